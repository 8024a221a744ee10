"""Progress: what is being done, for how long, how far it is, and what is left.

::

    with progress.stage("place and route", total=8, unit="seeds") as stage:
        stage.at("routing")
        stage.reached(3)

Commands show it (:func:`shown`, which :func:`common.tool.command` calls), on standard error; in a
program that only uses the modules nothing is shown.  On a terminal the stages under way are lines
at the bottom, drawn by a thread of their own: work need not say anything to be seen alive.
Elsewhere they are plain lines: when a stage has taken a while, every now and then, at its end.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from common import verbosity
from common.live import LOCK, Area, hidden, is_live
from common.terminal import printable

__all__ = ["VARIABLE", "Stage", "at", "each", "now", "reached", "shown", "stage"]

Item = TypeVar("Item")

VARIABLE = "SEPARABLE_PROGRESS"
"""Environment variable: with ``no`` nothing is shown."""

TICK = 0.1
"""Seconds between two pictures of the terminal."""
SHORT = 0.3
"""Seconds of a stage that is over before anybody has to be told, on a terminal."""
LONG = 1.5
"""The same for plain lines."""
AGAIN = 10.0
"""Seconds after which another plain line comes; later, a tenth of the time gone."""
MOST = 8
"""Lines at the bottom of a terminal."""


@dataclass(kw_only=True, eq=False)
class Stage:
    """Stage of a command's work, while it lasts.

    Attributes
    ----------
    what : str
        What is being done, as in "compiling the simulated core".
    note : str
        What one should know, such as that it is done once.
    unit : str
        What is counted, in the plural; without it, parts of the total are shown as per cent.
    total : int or None
        How many there are; ``None`` if nobody knows.
    done : int
        How many of them are done.
    kept : bool
        Its time stays to be read when it is over.
    watch : callable or None
        Called with the stage before it is shown: looks how far it is.
    """

    what: str
    note: str = ""
    unit: str = ""
    total: int | None = None
    done: int = 0
    kept: bool = False
    watch: Callable[[Stage], None] | None = None
    began: float = field(default_factory=lambda: monotonic())
    detail: str = ""
    _first: int = 0
    _told: float | None = None
    _thread: int = field(default_factory=threading.get_ident)
    _counted: bool = False

    def __post_init__(self) -> None:
        # What was done before says nothing about the rate.
        self._first = self.done

    def at(self, detail: str) -> None:
        """Say what exactly is being done now."""
        self.detail = detail

    def reached(self, done: int, total: int | None = None) -> None:
        """Say how many are done, and of how many if that was not known before."""
        self.done = done
        if total is not None:
            self.total = total

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return monotonic() - self.began

    @property
    def left(self) -> float | None:
        """Seconds that are left, if the rest goes on like this; ``None`` if nobody knows."""
        if self.total is None or self.done <= self._first:
            return None
        return self.seconds * max(self.total - self.done, 0) / (self.done - self._first)

    def name(self) -> str:
        """Return what is being done, in words."""
        detail = f": {self.detail}" if self.detail else ""
        note = f" ({self.note})" if self.note else ""
        return printable(f"{self.what}{detail}{note}")

    def figures(self) -> str:
        """Return how far it is, since when, and what is left."""
        parts = []
        if self.unit and self.total is not None and self.total > 1:
            parts.append(f"{self.done:,} of {self.total:,} {self.unit}")
        elif self.total and not self.unit:
            parts.append(f"{self.done / self.total:.0%}")
        parts.append(_clock(self.seconds))
        if self.left:
            parts.append(f"about {_clock(self.left)} left")
        return ", ".join(parts)

    def look(self) -> None:
        """Let it say how far it is."""
        if self.watch is not None:
            # What is looked at may just be written.
            with suppress(OSError):
                self.watch(self)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Display:
    """Shows the stages under way, those of all threads, in the order in which they began."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self._area = Area(self._picture) if is_live() else None
        self._utf8 = (getattr(sys.stderr, "encoding", None) or "").lower().startswith("utf")
        self._thread: threading.Thread | None = None

    def begin(self, stage: Stage) -> None:
        with LOCK:
            self.stages.append(stage)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
                self._thread.start()

    def end(self, stage: Stage, *, well: bool) -> None:
        with LOCK:
            if stage in self.stages:
                self.stages.remove(stage)
            if self._area is not None and not self.stages:
                self._area.clear()
            if well and (stage.kept or stage._told is not None):
                # With what was printed on standard output, and is on the same terminal, in order.
                with hidden():
                    _line(f"{printable(stage.what)}: {stage.seconds:.1f} s")

    def _run(self) -> None:
        while True:
            time.sleep(TICK)
            with LOCK:
                if not self.stages:
                    self._thread = None
                    return
                if self._area is None:
                    self.tell()
                elif self.stages[0].seconds >= SHORT:
                    self._area.draw()

    def _telling(self) -> list[Stage]:
        """Return the stages that say something: those that count, and the last of each thread."""
        last = {stage._thread: stage for stage in self.stages}
        return [s for s in self.stages if s.total is not None or s is last[s._thread]]

    def tell(self) -> None:
        """Write a line for each stage of which it is time to hear."""
        for stage in self._telling():
            now = stage.seconds
            if stage._told is None:
                # Of what comes again and again, the stage that counts it tells.
                if now >= LONG and (stage.note or not stage._counted):
                    stage._told = now
                    _line(f"{stage.name()} ...")
            elif now - stage._told >= max(AGAIN, now / 10):
                stage.look()
                stage._told = now
                _line(f"{stage.name()}, {stage.figures()}")

    def _picture(self) -> Text:
        """Return the lines of a terminal: names on the left, which may be cut, and figures."""
        assert self._area is not None
        # A terminal may put the cursor onto the next line behind the last column.
        width = self._area.console.width - 1
        signs = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" if self._utf8 else "|/-\\"
        sign = signs[int(monotonic() / TICK) % len(signs)]
        # Those within others come and go: only what lasts can be read.
        shown = [s for n, s in enumerate(self._telling()) if not n or s.seconds >= SHORT]
        lines = []
        for stage in shown[:MOST]:
            stage.look()
            figures = stage.figures()
            room = max(width - len(figures) - len(sign) - 2, 0)
            lines.append(f"{sign} {self._fit(stage.name(), room)} {figures}")
        return Text("\n".join(lines), no_wrap=True, overflow="crop")

    def _fit(self, name: str, room: int) -> str:
        """Return a name in so many columns of a terminal."""
        if cell_len(name) > room > 1 and self._utf8:
            return f"{set_cell_size(name, room - 1)}…"
        return set_cell_size(name, room)


_display: _Display | None = None
_of_thread = threading.local()


def _line(text: str) -> None:
    # Whoever does not want to read it is not told.
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _stack() -> list[Stage]:
    """Return the stages of this thread."""
    if not hasattr(_of_thread, "stages"):
        _of_thread.stages = []
    found: list[Stage] = _of_thread.stages
    return found


@contextmanager
def shown() -> Iterator[None]:
    """Show stages on standard error meanwhile, unless ``SEPARABLE_PROGRESS`` is ``no``.

    A command that is asked to be quiet shows none.
    """
    global _display
    if _display is not None or os.environ.get(VARIABLE) == "no":
        yield
        return
    _display = _Display()
    try:
        yield
    finally:
        _display = None


@contextmanager
def stage(
    what: str, *, total: int | None = None, done: int = 0, unit: str = "", note: str = "",
    kept: bool = False, watch: Callable[[Stage], None] | None = None,
) -> Iterator[Stage]:
    """Show a stage while it runs; parameters are attributes of :class:`Stage`."""
    entry = Stage(
        what=what, total=total, done=done, unit=unit, note=note, kept=kept, watch=watch
    )
    stack, well = _stack(), False
    display = None if verbosity.is_quiet() else _display
    entry._counted = any(outer.total is not None for outer in stack)
    stack.append(entry)
    try:
        if display is not None:
            display.begin(entry)
        yield entry
        well = True
    finally:
        stack.remove(entry)
        if display is not None:
            display.end(entry, well=well)


def at(detail: str) -> None:
    """Say what exactly this thread's innermost stage does now; nothing if there is none."""
    if stack := _stack():
        stack[-1].at(detail)


def reached(done: int, total: int | None = None) -> None:
    """Say how far this thread's innermost stage is; nothing if there is none."""
    if stack := _stack():
        stack[-1].reached(done, total)


def now() -> str:
    """Return in words what takes its time just now, for those who draw a picture of their own."""
    with LOCK:
        stages = [] if _display is None else [s for s in _display.stages if s.seconds >= SHORT]
        return f"{stages[-1].name()}, {stages[-1].figures()}" if stages else ""


def each(
    items: Iterable[Item], what: str, *, total: int, unit: str,
    name: Callable[[Item], str] | None = None,
) -> Iterator[Item]:
    """Yield items, in a stage that counts them; ``name`` says what an item is called."""
    with stage(what, total=total, unit=unit) as its:
        for number, item in enumerate(items, start=1):
            if name is not None:
                its.at(name(item))
            yield item
            its.reached(number)
