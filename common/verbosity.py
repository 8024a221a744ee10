"""Verbosity: how much a command says beside its results.

The modules say things to :mod:`logging`, where programs that import them find them as well; here
is how much of it a command shows, on standard error.

======== ===========================================================
quiet    results and errors
as usual the progress, notes and warnings, too
``-v``   which tools run, how long, and which cache entries are used
``-vv``  what the tools print, too
======== ===========================================================
"""

from __future__ import annotations

import logging
import sys

__all__ = ["choose", "chosen", "is_quiet"]

PACKAGES = ("boards", "common", "hw", "sim", "sw")

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)

_quiet, _verbose = False, 0


class _Handler(logging.Handler):
    """Handler that writes to what standard error is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message; of several lines, each by itself."""
        from common.live import hidden
        from common.terminal import printable

        kind = {logging.WARNING: "warning: ", logging.ERROR: "error: "}.get(record.levelno, "")
        with hidden():
            for line in record.getMessage().splitlines():
                print(f"{kind}{printable(line)}", file=sys.stderr)


_HANDLER = _Handler()


def choose(*, quiet: bool = False, verbose: int = 0) -> None:
    """Let the modules say more, or less, from now on."""
    global _quiet, _verbose
    _quiet, _verbose = quiet, verbose
    level = logging.ERROR if quiet else _LEVELS[min(verbose, len(_LEVELS) - 1)]
    for name in PACKAGES:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        if _HANDLER not in logger.handlers:
            logger.addHandler(_HANDLER)


def chosen() -> tuple[bool, int]:
    """Return whether to be quiet, and how verbose to be: other processes have to be told."""
    return _quiet, _verbose


def is_quiet() -> bool:
    """Whether nothing but results and errors is wanted."""
    return _quiet
