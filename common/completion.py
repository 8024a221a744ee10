"""Completion of what is typed in a shell: argcomplete asks the command itself.

The shell runs the command with what is typed so far in its environment, and takes what it writes
to a descriptor of its own.  So each parser answers for itself, and nothing has to be kept in step.
"""

from __future__ import annotations

import argparse
import os

__all__ = ["answer", "asked", "skip", "typed"]

VARIABLE = "_ARGCOMPLETE"
"""Environment variable: where the command's line begins among the words typed, from 1."""

_answering = False


def asked() -> bool:
    """Whether the shell asks what could be typed, and nothing is to be done."""
    return VARIABLE in os.environ


def typed() -> list[str]:
    """Return the arguments that are complete, in front of the one that is being typed."""
    from argcomplete.lexers import split_line

    line, point = os.environ.get("COMP_LINE", ""), os.environ.get("COMP_POINT", "0")
    words: list[str] = split_line(line, int(point))[3]
    return words[int(os.environ[VARIABLE]) :]


def skip(count: int) -> None:
    """Let the answer be for what is behind some of those arguments: they name who answers."""
    os.environ[VARIABLE] = str(int(os.environ[VARIABLE]) + count)


def answer(parser: argparse.ArgumentParser) -> None:
    """Answer with what a parser takes, and end the process; do nothing if nobody asks."""
    global _answering
    if not asked() or _answering:
        return
    # Whose parser is then run on what is typed.
    _answering = True
    import argcomplete

    argcomplete.autocomplete(parser)
