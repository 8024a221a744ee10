"""The stream on the terminal: a live view, plain lines, or JSON lines."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from common import live, progress
from common.terminal import output_errors, printable
from sw.driver.backends import find
from sw.outputs.classes import TOP, Top
from sw.outputs.detections import Found
from sw.stream.records import Record, Snapshot

__all__ = ["About", "JsonLines", "LiveView", "PlainLines", "View"]

REFRESH_HZ = 8
"""Redraws of the live view: it must not slow the stream down."""
ERRORS = 3
"""Errors that stay visible."""
MARGIN = 3
"""Columns that stay free: the terminal's own ``^C`` goes there, not onto another line."""


@dataclass(frozen=True, kw_only=True)
class About:
    """Facts that do not change while the stream runs.

    Attributes
    ----------
    model, source : str
    board, title : str
        The board's name, and as its makers call it.
    backend : str
    clock_mhz : float
    verify : bool
        Results are compared with the golden model.
    """

    model: str
    source: str
    board: str
    title: str
    backend: str
    clock_mhz: float
    verify: bool = False

    @property
    def where(self) -> str:
        """What computes, for people."""
        return find(self.backend).where.format(board=self.board, name=self.backend)


    @property
    def clock(self) -> str:
        """By which the device's times are taken, if that is not the board's own."""
        return find(self.backend).clock


class View(Protocol):
    """Shows records as they come."""

    def __enter__(self) -> View:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""

    def show(self, record: Record, now: Snapshot) -> None:
        """Take note of a record; returns at once."""


class _Lines:
    """A line for each frame, and nothing to clear up."""

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file

    def __enter__(self) -> _Lines:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def _print(self, line: str) -> None:
        # At once: whoever reads the other end of a pipe wants each frame when it is there.
        with live.hidden(), output_errors():
            print(line, file=self._file or sys.stdout, flush=True)

    def show(self, record: Record, now: Snapshot) -> None:
        """Print a line."""
        raise NotImplementedError


class JsonLines(_Lines):
    """One JSON object per frame."""

    def show(self, record: Record, now: Snapshot) -> None:
        """Print a line."""
        self._print(json.dumps(record.json(), allow_nan=False))


class PlainLines(_Lines):
    """Columns of the live view, as far as they fit on a line.

    Parameters
    ----------
    clock : str
        By which the device's times are taken, if that is not the board's own.
    """

    def __init__(self, file: TextIO | None = None, clock: str = "") -> None:
        super().__init__(file)
        self._by = f" ({clock})" if clock else ""

    def show(self, record: Record, now: Snapshot) -> None:
        """Print a line."""
        parts = [f"{record.number:6}  {record.name}"]
        parts += _in_short(record)
        if record.board_seconds is not None:
            parts.append(f"{record.board_seconds * 1e3:.2f} ms")
        if now.rate is not None:
            parts.append(f"{now.rate:.1f} inf/s")
        if now.line_rate is not None:
            parts.append(f"{now.line_rate:.1f} /s with the line{self._by}")
        if record.right is False:
            parts.append("WRONG LABEL")
        if record.retries:
            parts.append(f"retries {record.retries}")
        if record.exact:
            parts.append("exact")
        if record.error:
            error = " ".join(record.error.split("\n"))
            parts.append(f"{'DIFFERS' if record.exact is False else 'ERROR'}: {error}")
        self._print(printable("  ".join(parts)))


def _rated(shown: Top | Found) -> str:
    """Return a label with its score, if it has one."""
    return shown.label if shown.score is None else f"{shown.label} {shown.score:.1%}"


def _in_short(record: Record) -> list[str]:
    """Return what was recognised: the best class, or the best object and how many there are."""
    if record.top:
        return [_rated(record.top[0])]
    if record.found is None:
        return []
    if not record.found:
        return ["nothing found"]
    more = len(record.found) - 1
    return [_rated(record.found[0]) + (f" and {more} more" if more else "")]


class LiveView:
    """A view that is redrawn in place, by a thread of its own.

    Parameters
    ----------
    about : About
    console : Console
        On a terminal.
    """

    def __init__(self, about: About, console: Console) -> None:
        self._about = about
        self._record: Record | None = None
        self._now = Snapshot()
        self._errors: deque[str] = deque(maxlen=ERRORS)
        self._console = console
        # Both would draw over each other.
        self._alone = live.alone()
        self._live = Live(
            console=console, get_renderable=self.render, refresh_per_second=REFRESH_HZ
        )

    def __enter__(self) -> LiveView:
        self._alone.__enter__()
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Draws the last state, and shows the cursor again.
        self._live.__exit__(kind, error, traceback)
        self._alone.__exit__(kind, error, traceback)

    def show(self, record: Record, now: Snapshot) -> None:
        """Take note of a record; it is drawn when the next redraw is due."""
        if record.error:
            self._errors.append(f"frame {record.number}: {record.error}")
        self._now = now
        if record.outputs or self._record is None:
            # A frame without a result does not wipe out the one before.
            self._record = record

    def render(self) -> RenderableType:
        """Return the view."""
        about, record, now = self._about, self._record, self._now
        if record is None:
            body: list[RenderableType] = [Text("waiting for the first frame …", style="dim")]
        else:
            heading = Text(f"frame {record.number}  ", style="dim")
            heading.append(printable(record.name), style="bold not dim")
            heading.truncate(200, overflow="ellipsis")
            body = [heading, Text(), _bars(record), Text(), _rates(record, now, about)]
            body += [_times(record), _counts(now, about)]
        if doing := progress.now():
            body.append(Text(doing, style="dim", overflow="ellipsis", no_wrap=True))
        # A list's copy is one step, whatever the other thread does.
        body += [Text(printable(error), style="red") for error in list(self._errors)]
        return Panel(
            Group(*body),
            title=Text(f"{printable(about.model)} · {printable(about.where)}"),
            title_align="left",
            subtitle=Text(f"{printable(about.source)} · Ctrl-C ends", style="dim"),
            subtitle_align="left",
            width=max(20, self._console.width - MARGIN),
        )


def _bars(record: Record) -> RenderableType:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=32, min_width=12)
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True, width=7)
    shown: Sequence[Top | Found] = record.top if record.found is None else record.found
    for rank, item in enumerate(shown[:TOP]):
        style = "" if rank else "bold"
        if item.score is None:
            table.add_row(Text(printable(item.label), style=style), Text(), Text())
            continue
        table.add_row(
            Text(printable(item.label), style=style),
            ProgressBar(
                total=1.0, completed=item.score,
                complete_style="blue" if rank else "green", finished_style="green",
            ),
            Text(f"{item.score:.1%}", style=style),
        )
    if len(shown) > TOP:
        table.add_row(Text(f"{len(shown) - TOP:,} more", style="dim"), Text(), Text())
    if record.right is False:
        table.add_row(Text("wrong label", style="red"), Text(), Text())
    if not record.outputs:
        table.add_row(Text("no result", style="red"), Text(), Text())
    elif not shown:
        table.add_row(Text("nothing found", style="dim"), Text(), Text())
    return table


def _rates(record: Record, now: Snapshot, about: About) -> Text:
    text = Text(overflow="ellipsis", no_wrap=True)
    text.append("–" if now.rate is None else f"{now.rate:.1f}", style="bold")
    text.append(" inferences/s measured")
    if now.board_rate is not None:
        text.append("   ")
        text.append(f"{now.board_rate:.1f}", style="bold")
        text.append(f" at {about.clock_mhz:g} MHz")
    if record.cycles is not None:
        text.append(f" ({record.cycles:,} cycles)")
    return text


def _times(record: Record) -> Text:
    stages = (
        ("prepare", record.prepare_seconds),
        ("upload", record.upload_seconds),
        ("compute", record.compute_seconds),
        ("download", record.download_seconds),
    )
    text = Text(overflow="ellipsis", no_wrap=True)
    for name, seconds in stages:
        text.append(f"{name} ", style="dim")
        text.append("–   " if seconds is None else f"{seconds * 1e3:.2f} ms   ")
    return text


def _counts(now: Snapshot, about: About) -> Text:
    def counted(count: int, one: str, many: str) -> str:
        return f"{count:,} {one if count == 1 else many}   "

    text = Text(counted(now.frames, "frame", "frames"), overflow="ellipsis", no_wrap=True)
    text.append(counted(now.errors, "error", "errors"), style="red" if now.errors else "")
    text.append(counted(now.retries, "retry", "retries"))
    if now.dropped:
        text.append(f"{now.dropped:,} skipped   ")
    if now.line_rate is not None:
        text.append(f"{now.line_rate:.1f}", style="bold")
        by = f" ({about.clock})" if about.clock else ""
        text.append(f" frames/s with the line{by}   ")
    if now.known:
        text.append(f"{now.right:,} of {now.known:,} labels right   ")
    if about.verify:
        differ = now.different
        text.append(f"{differ:,} differ" if differ else "exact", style="red" if differ else "green")
    return text
