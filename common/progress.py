"""Progress on long work, for whoever looks on: it leaves nothing behind in files and pipes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeVar

from rich.console import Console
from rich.progress import Progress, track
from rich.text import Text

from common.terminal import Screen, console, printable

__all__ = ["Line", "Stages", "bar", "counting", "waiting"]

Item = TypeVar("Item")


class Stages:
    """Stages of a command: a spinner at the one under way, lines with the time of those done.

    Attributes
    ----------
    console : Screen
    """

    def __init__(self) -> None:
        self.console: Screen = console()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Show a stage while it runs, and its time when it is over."""
        began = time.monotonic()
        with waiting(name, self.console):
            yield
        self.console.print(f"{name:<24}{time.monotonic() - began:7.1f} s")


@contextmanager
def waiting(what: str, screen: Screen | None = None) -> Iterator[Callable[[str], None]]:
    """Show a spinner on a terminal; what is yielded changes the text beside it."""
    screen = screen or console()
    if not screen.is_terminal:
        yield lambda text: None
        return
    with screen.status(Text(printable(what))) as status:
        yield lambda text: status.update(Text(printable(text)))


def bar(items: Iterable[Item], *, total: int, what: str) -> Iterator[Item]:
    """Yield items, with a bar on standard error that disappears behind the last one."""
    screen = Console(stderr=True)
    yield from track(items, total=total, description=what, console=screen, transient=True,
                     disable=not screen.is_terminal)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error; what is yielded is told how much is done, and of how much."""
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, size: progress.update(task, completed=done, total=size)


class Line:
    """Line that is rewritten twice a second on a terminal, and written once a minute elsewhere.

    Parameters
    ----------
    stream : file
    """

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self.stream = stream
        self.live = stream.isatty()
        self.began = self._shown = time.monotonic()

    def begin(self) -> None:
        """Count time from now on."""
        self.began = self._shown = time.monotonic()

    def show(self, text: Callable[[float], str]) -> None:
        """Write what ``text`` returns for the seconds since the beginning, if it is time to."""
        now = time.monotonic()
        if now - self._shown < (0.5 if self.live else 60):
            return
        self._shown = now
        line = text(now - self.began)
        self.stream.write(f"\r{line:<79.79}" if self.live else f"{line}\n")
        self.stream.flush()

    def end(self) -> None:
        """Leave an empty line."""
        if self.live:
            self.stream.write("\r" + " " * 79 + "\r")
