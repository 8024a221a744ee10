"""Lines at the bottom of a terminal that change while something goes on, under all that is printed.

They are on standard error, so that standard output is what it is without them.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, RenderableType
from rich.live import Live

__all__ = ["LOCK", "Area", "Terminal", "alone", "hidden", "is_live"]

LOCK = threading.RLock()
"""Held by whoever writes to the terminal."""


class Terminal(Console):
    """A console that leaves it to the command how it ends when nobody reads any more."""

    def on_broken_pipe(self) -> None:
        """Raise what other writers raise; rich ends the process with the code of a difference."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def is_live() -> bool:
    """Whether standard error is a terminal on which lines can be redrawn."""
    return sys.stderr.isatty() and not Terminal(stderr=True).is_dumb_terminal


class Area:
    """Lines under everything else, while they are shown.

    Parameters
    ----------
    render : callable
        Returns what to show, whenever it is drawn.
    """

    _shown: list[Area] = []  # noqa: RUF012  # one for the process, as there is one terminal

    _forbidden = False

    def __init__(self, render: Callable[[], RenderableType]) -> None:
        self.console = Terminal(stderr=True, highlight=False, emoji=False, markup=False)
        self._render = render
        self._live: Live | None = None

    def draw(self) -> None:
        """Show the lines, or draw them again; a terminal that went away is passed over."""
        with LOCK, suppress(OSError):
            if Area._forbidden:
                return
            if self._live is None:
                self._live = Live(
                    get_renderable=self._render, console=self.console, transient=True,
                    auto_refresh=False, redirect_stdout=False,
                )
                Area._shown.append(self)
                self._live.start()
            self._live.refresh()

    def clear(self) -> None:
        """Take the lines away, until they are drawn again."""
        with LOCK:
            live, self._live = self._live, None
            if live is not None:
                Area._shown.remove(self)
                with suppress(OSError):
                    live.stop()


@contextmanager
def alone() -> Iterator[None]:
    """Draw no lines meanwhile: a command draws a picture of its own."""
    with hidden():
        Area._forbidden = True
    try:
        yield
    finally:
        Area._forbidden = False


@contextmanager
def hidden() -> Iterator[None]:
    """Take the lines away while something is printed on standard output."""
    with LOCK:
        for area in list(Area._shown):
            area.clear()
        yield
