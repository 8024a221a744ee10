"""Door of a command: how it begins and ends, whenever Ctrl-C is pressed.

It ends with one line at most, and leaves no child.

The packages that hold commands import this first.  From then on until ``main`` runs, while
libraries are imported, a signal ends the process at once: nothing has begun that had to be ended,
and Python loses an exception that is raised in the middle of an import, or prints it.  In ``main``
it is a KeyboardInterrupt; behind it the process ends at once again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not otherwise: this module must not be what is interrupted.
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any, NoReturn, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])
    Result = TypeVar("Result")

__all__ = ["INTERRUPTED", "begin", "interruptible", "run", "uninterrupted"]

PACKAGES = ("hw", "sim", "sw")

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C has ended; of other signals, 128 and their number."""

SIGNALS = [
    number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))
]

AGAIN = 0.01
"""Seconds after which an interrupt comes again that Python has lost, or that has to wait."""

_uninterrupted: set[CodeType] = set()

_came = [signal.SIGINT]
"""Signals that came, in order, behind the one that is assumed."""


def begin() -> None:
    """Let signals end this process at once, until :func:`run`: what is not begun with ``-m`` has to
    say that it is a command.
    """
    _handle(_leave)


def run(main: Callable[[], int]) -> NoReturn:
    """Run ``main``, which returns the exit code, as all that this process does."""
    sys.unraisablehook = _raise_again
    _open_streams()
    try:
        _handle(_interrupt)
        code = main()
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        _handle(_leave)
    sys.exit(128 + _came[-1] if code == INTERRUPTED else code)


def interruptible(work: Callable[[], Result]) -> Result:
    """Return what ``work`` does for a command whose processes this one is of; a signal ends it when
    the tools that it runs have ended, and between two works at once.
    """
    try:
        _handle(_interrupt)
        return work()
    except KeyboardInterrupt:
        os._exit(128 + _came[-1])
    finally:
        _handle(_leave)


def uninterrupted(function: Function) -> Function:
    """Let interrupts wait until a function is done; to be short, and no generator."""
    _uninterrupted.add(function.__code__)
    return function


def _open_streams() -> None:
    """Give standard streams that whoever began us has closed a place where nothing is."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _is_command() -> bool:
    """Whether Python is about to run one of our modules (``python -m``)."""
    # While it looks for the module, that is what Python puts in the place of the file.
    if sys.argv[:1] != ["-m"]:
        return False
    module = sys.orig_argv[-len(sys.argv)].removeprefix("-m")
    return module.partition(".")[0] in PACKAGES


def _handle(handler: Callable[[int, FrameType | None], None]) -> None:
    """Let a function handle the signals, but for those that whoever began us wants ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _came.append(signal.Signals(number))
    while frame is not None:
        if frame.f_code in _uninterrupted:
            _come_again()
            return
        frame = frame.f_back
    # What is not finished any more is not worth a warning.
    warnings.simplefilter("ignore")
    raise KeyboardInterrupt


@uninterrupted
def _raise_again(lost: sys.UnraisableHookArgs) -> None:
    """Let an interrupt that came where nothing can be raised, such as a destructor, come later."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        _come_again()
    else:
        sys.__unraisablehook__(lost)


def _come_again() -> None:
    # A signal wakes the main thread up wherever it waits.
    main = threading.main_thread().ident
    timer = threading.Timer(AGAIN, signal.pthread_kill, [main, _came[-1]])
    timer.daemon = True
    timer.start()


if _is_command():
    begin()
