"""What the Python API is given: of the right kind, or refused in a sentence."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from os import PathLike, fspath
from typing import TypeAlias

import boards
from common.errors import InputError
from hw.contract.board import Board
from hw.contract.config import CoreConfig
from sw.driver import backends
from sw.ir import Graph
from sw.networks.labels import check_number, labels_of

__all__ = ["File", "board_of", "check_backend", "check_file", "labels_for"]

File: TypeAlias = "str | PathLike[str]"


def board_of(given: str | Board | CoreConfig | None) -> Board:
    """Return the board that is meant; a configuration takes the place of the iCEBreaker's."""
    if given is None:
        return boards.default()
    if isinstance(given, Board):
        return given
    if isinstance(given, CoreConfig):
        return dataclasses.replace(
            boards.get(boards.DEFAULT), name="configuration", title="a configuration", config=given
        )
    if not isinstance(given, str):
        raise InputError(f"a board is a name, a Board or a CoreConfig, not {_kind(given)}")
    return boards.get(given)


def _kind(value: object) -> str:
    return f"a value of type {type(value).__name__}"


def check_file(given: object, what: str) -> None:
    """Refuse what is no name of a file; ``what`` begins the message."""
    if not isinstance(given, str | PathLike):
        raise InputError(f"{what} the name of a file, not {_kind(given)}")
    if not fspath(given):
        raise InputError(f"{what} the name of a file, and this one is empty")


def check_backend(given: object) -> None:
    """Refuse what can be no backend; whether a serial port is there shows when it is opened."""
    if not isinstance(given, str) or not given:
        names = ", ".join(map(repr, backends.BACKENDS))
        raise InputError(
            f"a backend is {names} or the name of a serial port, not "
            f"{repr(given) if isinstance(given, str) else _kind(given)}"
        )


def labels_for(
    graph: Graph, ships: bool, given: File | Sequence[str] | None
) -> tuple[str, ...]:
    """Return the names of classes; those of the network that ships are known."""
    if given is not None and not isinstance(given, str | PathLike):
        if not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
            raise InputError(
                "labels are the name of a file, or a sequence of names of classes, not "
                f"{_kind(given)}"
            )
        check_number(graph, given)
        return tuple(given)
    file = None if given is None else fspath(given)
    return tuple(labels_of(graph, None if ships else graph.name, file))
