"""What a proof is made of."""

from collections.abc import Callable
from dataclasses import dataclass

from hw.proofs.bench import Bench
from hw.proofs.sources import Fault

__all__ = ["Proof"]


@dataclass(frozen=True)
class Proof:
    """A proof of a block.

    Attributes
    ----------
    name : str
        On the command line.
    what : str
        What it proves, in one line.
    harness : callable
        Builds block, assumptions and claims on a :class:`Bench`.
    faults : tuple of Fault
        Mistakes in the block; with each of them the claims have to be disproved.
    steps : int
        Cycles of the longest induction; of all traces from reset if ``bounded``.
    cover_steps : int
        Cycles in which each cover must be reached, and each fault be found.
    bounded : bool
        All traces of ``steps`` cycles from reset are looked at, and no longer ones; otherwise all.
    feed_forward : bool
        The block is a pipeline without state: its registers are taken for wires.
    long : bool
        Left out unless it is named, or all are wanted.
    """

    name: str
    what: str
    harness: Callable[[Bench], None]
    faults: tuple[Fault, ...]
    steps: int
    cover_steps: int = 20
    bounded: bool = False
    feed_forward: bool = False
    long: bool = False

    @property
    def reach(self) -> str:
        """How far it goes, in words."""
        if self.feed_forward:
            return "all values"
        return f"{self.steps} cycles" if self.bounded else "unbounded"
