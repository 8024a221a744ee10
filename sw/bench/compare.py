"""Comparison of two measurements, as ``--json`` wrote them: what became faster, and what slower."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from common import reading
from common.errors import InputError
from common.tables import new_table

__all__ = ["Change", "Comparison", "compare", "missing", "read_measurements", "table"]

Measurements = dict[str, dict[str, Any]]
"""Networks of a file by their names: ``board``, ``cycles`` and ``layers``."""

MOST = (1 << 63) - 1
"""Cycles of the longest thing that is compared; nothing takes as many."""

REMEDY = "make it with python -m sw.bench --json FILE"


@dataclass(frozen=True, kw_only=True)
class Change:
    """Cycles of a layer, or of a network, in both files; ``None`` where there is no such layer."""

    name: str
    before: int | None
    after: int | None

    @property
    def difference(self) -> int:
        """Cycles more in the second file; a layer that is not there takes none."""
        return (self.after or 0) - (self.before or 0)

    def json(self) -> dict[str, Any]:
        """Return the change as plain data."""
        return {**asdict(self), "difference": self.difference}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Comparison of a network.

    Attributes
    ----------
    total : Change
        Of the network, by its name.
    layers : tuple of Change
        All of them, in the order of the first file; then those that only the second has.
    """

    total: Change
    layers: tuple[Change, ...]

    @property
    def slower(self) -> bool:
        """Whether the network takes more cycles in the second file."""
        return self.total.difference > 0

    def json(self) -> dict[str, Any]:
        """Return the comparison as plain data."""
        changed = self.total.json()
        return {"model": changed.pop("name"), **changed,
                "layers": [layer.json() for layer in self.layers]}


def read_measurements(path: str) -> Measurements:
    """Return the networks of a file that ``sw.bench``, ``sw.compile`` or ``sw.run`` wrote.

    Raises
    ------
    InputError
        If it is no such file.
    """
    content = reading.read(path, limit=reading.TEXT_LIMIT)
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}); {REMEDY}") from None
    try:
        networks = data.get("networks", [data])
        found = {_text(network["model"]): _measurement(network) for network in networks}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: has no cycles of networks and their layers; {REMEDY}") from None
    if len(found) != len(networks):
        raise InputError(f"{path}: has two networks of one name; measure them one by one")
    return found


def _measurement(network: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "board": _text(network["board"]),
        "cycles": _cycles(network["cycles"]),
        "layers": [(_text(layer["name"]), _cycles(layer["cycles"])) for layer in network["layers"]],
    }


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _cycles(value: Any) -> int:
    """Return cycles that something took: a whole number in JSON, from one on."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST:
        raise ValueError
    return value


def compare(before: Measurements, after: Measurements) -> list[Comparison]:
    """Compare the networks that both files have, in the order of the first.

    Raises
    ------
    InputError
        If there are none, or one was measured on two boards.
    """
    both = [name for name in before if name in after]
    if not both:
        names = " and ".join(", ".join(which) or "nothing" for which in (before, after))
        raise InputError(f"the files have no network in common: {names}")
    for name in both:
        old, new = before[name]["board"], after[name]["board"]
        if old != new:
            raise InputError(f"{name} is of the board {old} in the first file and of {new} in the "
                             "second; compare files of one board")
    return [_compare(name, before[name], after[name]) for name in both]


def _compare(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Comparison:
    old, new = dict(before["layers"]), dict(after["layers"])
    return Comparison(
        total=Change(name=name, before=before["cycles"], after=after["cycles"]),
        layers=tuple(Change(name=layer, before=old.get(layer), after=new.get(layer))
                     for layer in dict.fromkeys([*old, *new])),
    )


def table(comparison: Comparison) -> Table:
    """Return the layers that differ, and the whole."""
    total = comparison.total
    result = new_table(["layer"], ["before", "after", "difference", "%"], title=total.name)
    changed = [layer for layer in comparison.layers if layer.difference]
    for layer in changed:
        _add(result, layer.name, layer)
    if changed:
        result.add_section()
    alike = len(comparison.layers) - len(changed)
    _add(result, f"total; {alike} of {len(comparison.layers)} layers are alike", total)
    return result


def _add(result: Table, name: str, change: Change) -> None:
    def cell(value: int | None) -> str:
        return "" if value is None else f"{value:,}"

    share = f"{change.difference / change.before:+.1%}" if change.before else ""
    result.add_row(name, cell(change.before), cell(change.after), f"{change.difference:+,}", share)


def missing(before: Measurements, after: Measurements, paths: Sequence[str]) -> list[str]:
    """Return what to say of networks that only one file has."""
    return [
        f"only in {path}: {', '.join(name for name in ours if name not in theirs)}"
        for path, ours, theirs in zip(paths, (before, after), (after, before), strict=True)
        if any(name not in theirs for name in ours)
    ]
