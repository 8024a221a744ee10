"""Supported operators: where each runs, and every rule that it has to keep, from the checks."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from common.errors import InputError
from hw.contract.board import Board
from sw import ir
from sw.compiler.rules import LIMITS, Runs, limits, rules_of, runs
from sw.importer import supported_operators
from sw.importer.converters import ALSO
from sw.importer.folding import SHAPE_OPERATORS

__all__ = [
    "SHAPES",
    "Block",
    "Operator",
    "core_blocks",
    "file_blocks",
    "operators",
    "places",
    "report",
    "text",
]

SHAPES = "nowhere, where they compute shapes"
"""Where operators on integers run."""

MOST = 0.75
"""Part of all operators from which on those are named that do not keep a rule."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Operator of a file.

    Attributes
    ----------
    name : str
        As TensorFlow Lite calls it.
    runs : Runs
    file_rules : tuple of str
        Sentences: a file that breaks one of them is refused.
    core_rules : tuple of str
        Sentences: an operator that breaks one of them is the host's.
    """

    name: str
    runs: Runs
    file_rules: tuple[str, ...]
    core_rules: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Block:
    """Rules that the same operators keep.

    Attributes
    ----------
    title : str
        The operators, or those that are not among them.
    rules : tuple of str
        Sentences, in the order in which they are checked.
    """

    title: str
    rules: tuple[str, ...]


def operators() -> list[Operator]:
    """Return all supported operators, in the order of their names."""
    kinds = {kind.kind: kind for kind in get_args(ir.Operator)} | ALSO
    return [
        Operator(
            name=name,
            runs=runs(kinds[name]),
            file_rules=tuple(rules),
            core_rules=tuple(rule.sentence for rule in rules_of(kinds[name])),
        )
        for name, rules in supported_operators().items()
    ]


def places(every: Sequence[Operator]) -> dict[str, list[str]]:
    """Return the operators by where they run, the core first."""
    found = {str(place): [op.name for op in every if op.runs is place] for place in Runs}
    return {**found, SHAPES: list(SHAPE_OPERATORS)}


def file_blocks(every: Sequence[Operator]) -> list[Block]:
    """Return the rules of files, each once, those of most operators first."""
    return _blocks(every, lambda op: op.file_rules, "every operator")


def core_blocks(every: Sequence[Operator]) -> list[Block]:
    """Return the rules of the core, each once, those of most operators first."""
    some = [op for op in every if op.runs in (Runs.CORE, Runs.BETWEEN)]
    folded = [op for op in every if op.runs is Runs.NOWHERE]
    of_host = [op for op in every if op.runs is Runs.HOST]
    return [
        *_blocks(some, lambda op: op.core_rules, "every operator on the core"),
        *_blocks(folded, lambda op: op.core_rules, "every operator that is folded"),
        *_blocks(of_host, lambda op: op.core_rules, "every operator of the host"),
    ]


def _blocks(
    every: Sequence[Operator], rules_of: Callable[[Operator], Iterable[str]], all_of_them: str
) -> list[Block]:
    keepers: dict[str, list[str]] = {}
    for op in every:
        for rule in rules_of(op):
            keepers.setdefault(rule, []).append(op.name)
    found: dict[tuple[str, ...], list[str]] = {}
    for rule, who in keepers.items():
        found.setdefault(tuple(who), []).append(rule)
    blocks = []
    for names, rules in sorted(found.items(), key=lambda entry: -len(entry[0])):
        title, without = ", ".join(names), [op.name for op in every if op.name not in names]
        if len(names) >= MOST * len(every):
            title = f"{all_of_them} but {', '.join(without)}" if without else all_of_them
        blocks.append(Block(title=title, rules=tuple(rules)))
    return blocks


def report(board: Board, name: str = "") -> dict[str, Any]:
    """Return all of it, or one operator's part, as JSON has it; parameters as for :func:`text`."""
    return {
        "board": board.name,
        "limits": limits(board.config),
        "operators": [
            {
                "name": op.name,
                "runs": op.runs.name.lower(),
                "file_rules": list(op.file_rules),
                "core_rules": list(op.core_rules),
            }
            for op in _named(operators(), name)
        ],
        "shape_operators": _shaping(name),
    }


def text(board: Board, name: str = "", width: int = 80) -> str:
    """Return all of it, or one operator's part, as text.

    Parameters
    ----------
    board : Board
        Whose core's limits are named.
    name : str
        An operator, in any case; all if empty.
    width : int
        Columns, at least 40.

    Raises
    ------
    InputError
        If there is no such operator.
    """
    every = operators()
    if not name:
        return "\n".join(_all(every, board, width))
    found = _named(every, name)
    where = [f"{op.name}: {op.runs}" for op in found]
    where += [f"{shaping}: {SHAPES}" for shaping in _shaping(name)]
    lines = [line for place in where for line in _wrapped(place, width, "", "  ")]
    return "\n".join([*lines, *(line for op in found for line in _rules(op, width))])


def _named(every: Sequence[Operator], name: str) -> Sequence[Operator]:
    """Return the operators of a name: none if it is one that computes shapes, and nothing else."""
    found = [op for op in every if not name or op.name.upper() == name.upper()]
    if not found and not _shaping(name):
        names = [op.name for op in every]
        names += [name for name in SHAPE_OPERATORS if name not in names]
        raise InputError(f"there is no supported operator {name!r}; there are {', '.join(names)}")
    return found


def _shaping(name: str) -> list[str]:
    """Return the operators of a name that compute shapes; all if it is empty."""
    return [op for op in SHAPE_OPERATORS if not name or op == name.upper()]


FILE_TITLE = "In the file, or it is refused:"
CORE_TITLE = "On the core, or the host runs it:"


def _rules(op: Operator, width: int) -> Iterator[str]:
    for title, rules in ((FILE_TITLE, op.file_rules), (CORE_TITLE, op.core_rules)):
        if rules:
            yield f"\n{title}"
            yield from _listed(rules, width)


def _all(every: Sequence[Operator], board: Board, width: int) -> Iterator[str]:
    for place, names in places(every).items():
        yield from _wrapped(f"{place}: {', '.join(names)}", width, "", "  ")
    yield f"\nOn the {board.title}:"
    found = (f"{LIMITS[what]}: {most:,}" for what, most in limits(board.config).items())
    yield from _listed(found, width)
    for title, blocks in ((FILE_TITLE, file_blocks(every)), (CORE_TITLE, core_blocks(every))):
        yield f"\n{title}"
        for block in blocks:
            yield ""
            yield from _wrapped(block.title, width, "", "")
            yield from _listed(block.rules, width)


def _listed(lines: Iterable[str], width: int) -> Iterator[str]:
    for line in lines:
        yield from _wrapped(line, width, "- ", "  ")


def _wrapped(line: str, width: int, first: str, others: str) -> Iterator[str]:
    yield from textwrap.wrap(
        line, width, initial_indent=first, subsequent_indent=others, break_long_words=False,
        break_on_hyphens=False,
    )
