"""Command-line tools: arguments, errors, exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, NoReturn

from common import completion, live, progress, verbosity
from common.door import INTERRUPTED
from common.errors import SeparableError
from common.terminal import OUTPUT, any_encoding, output_errors, printable

__all__ = [
    "COMMON", "USER_ERROR", "VERIFICATION_FAILED", "Parser", "command", "complain", "names",
    "remark", "version",
]

VERIFICATION_FAILED = 1
USER_ERROR = 2

COMMON = frozenset(("-q", "--quiet", "-v", "-vv", "--verbose"))
"""Options without a value that every command takes, and that may stand in front of its name."""

names: dict[str, str] = {}
"""What commands are to be called in their own usage, by how they are called otherwise."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, with the options that every command takes.

    Parameters
    ----------
    prog : str
        How the command is called, such as ``python -m sw.run``.
    **options
        Those of :class:`argparse.ArgumentParser`.
    """

    def __init__(self, *, prog: str, **options: Any) -> None:
        super().__init__(prog=names.get(prog, prog), **options)
        self.add_argument(
            "--version", action="version", version=f"Separable {version()}",
            help="show the version and exit",
        )
        # Without a value if they are not given: a command's own commands take them as well.
        volume = self.add_mutually_exclusive_group()
        volume.add_argument(
            "-q", "--quiet", action="store_true", default=argparse.SUPPRESS,
            help="only results and errors: no progress, no notes",
        )
        volume.add_argument(
            "-v", "--verbose", action="count", default=argparse.SUPPRESS,
            help="say which tools run and which cache entries are used; -vv: what the tools print",
        )

    def parse_known_args(  # type: ignore[override]  # overloads of a namespace's type
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse arguments, none of them empty, and heed those that every command takes.

        Where the shell asks what could be typed, that is the answer, and the process ends.
        """
        return _heeded(super().parse_known_args(self._checked(args), namespace))

    def parse_known_intermixed_args(  # type: ignore[override]  # as above
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Do the same with arguments in any order: newer Pythons do not come by the other one."""
        return _heeded(super().parse_known_intermixed_args(self._checked(args), namespace))

    def _checked(self, args: Sequence[str] | None) -> Sequence[str]:
        """Refuse empty arguments: a default would run something else than was meant."""
        completion.answer(self)
        args = sys.argv[1:] if args is None else args
        if any(not arg or (arg.startswith("--") and arg.endswith("=")) for arg in args):
            self.error("an argument is empty, such as a variable that is not set")
        return args

    def error(self, message: str) -> NoReturn:
        """Print the error and leave."""
        complain(f"{message} (try --help)")
        raise SystemExit(USER_ERROR)


def _heeded(
    found: tuple[argparse.Namespace, list[str]],
) -> tuple[argparse.Namespace, list[str]]:
    options, _ = found
    verbosity.choose(
        quiet=getattr(options, "quiet", False), verbose=getattr(options, "verbose", 0)
    )
    return found


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
    """Print, on one line of standard error, what is no error but may surprise; not if quiet."""
    if not verbosity.is_quiet():
        _say("note", message)


def _say(kind: str, message: str) -> None:
    with live.hidden():
        print(f"{kind}: {printable(' '.join(message.split()))}", file=sys.stderr)
