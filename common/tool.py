"""Command-line tools: arguments, errors, exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, NoReturn

from common import live, progress
from common.door import INTERRUPTED
from common.errors import SeparableError
from common.terminal import OUTPUT, any_encoding, output_errors, printable

__all__ = [
    "USER_ERROR", "VERIFICATION_FAILED", "Parser", "command", "complain", "remark", "version",
]

VERIFICATION_FAILED = 1
USER_ERROR = 2


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, like all others, and that knows ``--version``.

    Parameters
    ----------
    **options
        Those of :class:`argparse.ArgumentParser`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_argument(
            "--version", action="version", version=f"Separable {version()}",
            help="show the version and exit",
        )

    def parse_known_args(  # type: ignore[override]  # overloads of a namespace's type
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Refuse empty arguments: a default would run something else than was meant."""
        args = sys.argv[1:] if args is None else args
        if any(not arg or (arg.startswith("--") and arg.endswith("=")) for arg in args):
            self.error("an argument is empty, such as a variable that is not set")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print the error and leave."""
        complain(f"{message} (try --help)")
        raise SystemExit(USER_ERROR)


def version() -> str:
    """Return the version that is installed, such as ``0.1.0``; ``unknown`` if none is."""
    try:
        return metadata.version("separable")
    except metadata.PackageNotFoundError:
        # A checkout that runs without having been installed.
        return "unknown"


def command(main: Callable[[Sequence[str] | None], int]) -> Callable[..., int]:
    """Wrap a tool's ``main(arguments)``: errors that are the user's become one line and a code."""

    def run(arguments: Sequence[str] | None = None) -> int:
        any_encoding()
        try:
            with progress.shown():
                code = main(arguments)
            with output_errors():
                sys.stdout.flush()
            return code
        except SeparableError as error:
            complain(str(error))
        except KeyboardInterrupt:
            complain("interrupted")
            return INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output has seen enough.
            _give_up_output()
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            if error.filename == OUTPUT:
                _give_up_output()
            complain(f"{where}{error.strerror or error}")
        return USER_ERROR

    return run


def _give_up_output() -> None:
    """Let nothing be written to standard output any more, not even when Python exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(message: str) -> None:
    """Print an error, on one line."""
    _say("error", message)


def remark(message: str) -> None:
    """Print, on one line of standard error, what is no error but may surprise."""
    _say("note", message)


def _say(kind: str, message: str) -> None:
    with live.hidden():
        print(f"{kind}: {printable(' '.join(message.split()))}", file=sys.stderr)
