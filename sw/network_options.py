"""Options that all tools with a compiler in them share."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["MODEL", "add_compiler_options", "compiler_options", "given_compiler_options"]

MODEL: dict[str, Any] = {
    "nargs": "?",
    "help": "a quantised network (default: the MobileNet V1 that ships with the project)",
}
"""What every tool says of its MODEL.tflite."""


def add_compiler_options(parser: argparse.ArgumentParser, *, compact: bool = False) -> None:
    """Add the options that every tool with a compiler in it takes.

    ``compact`` is the default of ``--compact-input``.
    """
    parser.add_argument(
        "--drop-constant-channels", action="store_true",
        help="leave out channels that are proven to have one value whatever the input; all "
        "tensors stay what they are, and utilisation, which counts the channels, may exceed 100 %%",
    )
    parser.add_argument(
        "--compact-input", action=argparse.BooleanOptionalAction,
        help="send as few bytes per inference as possible, at the price of some cycles; where "
        "memory is large enough the next input can come while the core still runs (default: "
        f"{'yes' if compact else 'no'})",
    )
    parser.add_argument(
        "--no-fallback", action="store_true",
        help="refuse a network with an operator that the core cannot run between those that it "
        "runs; without, the host runs it, exactly",
    )
    parser.set_defaults(compact_by_default=compact)


def compiler_options(options: argparse.Namespace) -> dict[str, bool]:
    """Return those options as arguments of :func:`sw.compiler.compile_network`."""
    compact = options.compact_input
    return {
        "fallback": not options.no_fallback,
        "remove_constant_channels": options.drop_constant_channels,
        "compact_input": options.compact_by_default if compact is None else compact,
    }


def given_compiler_options(options: argparse.Namespace) -> list[str]:
    """Return the names of those options that were given."""
    names = ["--drop-constant-channels"] if options.drop_constant_channels else []
    names += ["--no-fallback"] if options.no_fallback else []
    if options.compact_input is not None:
        names.append("--compact-input" if options.compact_input else "--no-compact-input")
    return names
