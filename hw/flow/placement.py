"""Placement of a design: which cell of which module is where on the chip."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["PlacedCell", "Usages", "module_of", "part_of", "usages"]


@dataclass(frozen=True, slots=True)
class PlacedCell:
    """Cell of the chip that the design uses.

    Attributes
    ----------
    module : str
        Path of the module that it belongs to, such as ``core.array.lane_0``; empty: the top.
    kind : str
        As utilisation has it: ``LC``, ``RAM``, ...
    x, y : int
        Tile, counted from the chip's lower left.
    place : int
        Within the tile.
    carry, register : bool
        A logic cell's carry or flip-flop is used.
    """

    module: str
    kind: str
    x: int
    y: int
    place: int = 0
    carry: bool = False
    register: bool = False


Usages = dict[str, Counter[str]]
"""Cells of each kind, ``carry`` and ``register`` among them, by module or part."""


def module_of(names: Iterable[str], modules: frozenset[str]) -> str:
    """Return the innermost module that the first name with one begins with; else the top.

    Parameters
    ----------
    names : iterable of str
        A cell's own, and those of signals at it, flattened: scopes with dots between.
    modules : frozenset of str
        Paths of all modules.
    """
    for name in names:
        path = name
        while "." in path:
            path = path.rpartition(".")[0]
            if path in modules:
                return path
    return ""


def part_of(module: str) -> str:
    """Return the part of the design, for tables, that a module belongs to: of the core, its own."""
    scopes = module.split(".")
    return ".".join(scopes[: 2 if scopes[0] == "core" else 1]) or "top"


def usages(cells: Iterable[PlacedCell], *, parts: bool = False) -> Usages:
    """Return how many cells modules use, those with most logic cells first.

    Parameters
    ----------
    cells : iterable of PlacedCell
    parts : bool
        By part, instead of each module by itself.
    """
    found: Usages = {}
    for cell in cells:
        name = part_of(cell.module) if parts else cell.module or "top"
        counts = found.setdefault(name, Counter())
        counts[cell.kind] += 1
        counts["carry"] += cell.carry
        counts["register"] += cell.register
    return dict(sorted(found.items(), key=lambda item: (-item[1]["LC"], item[0])))
