"""Options of a trial: how a file is compiled, and what it is run on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

__all__ = ["FRAMES", "Options"]

FRAMES = ("random", "ends", "lowest", "highest", "zero point")
"""What inputs are: any integers, only the ends, or one integer everywhere."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of compiling and running a file.

    Attributes
    ----------
    remove_constant_channels, compact_input, dense_input : bool
        As for :func:`sw.compiler.compile_graph`.
    fallback : bool
        As for :func:`sw.compiler.compile_network`.
    late : bool
        The functional model is given parts of the input as late as possible.
    frames : tuple of str
        Some of :data:`FRAMES`.
    seed : int
        Of random inputs, and of junk in memories.
    """

    remove_constant_channels: bool = False
    compact_input: bool = False
    dense_input: bool = False
    fallback: bool = True
    late: bool = False
    frames: tuple[str, ...] = ("random", "ends")
    seed: int = 0

    def simpler(self) -> Iterator[Options]:
        """Yield simpler ones."""
        if self.remove_constant_channels:
            yield replace(self, remove_constant_channels=False)
        if self.compact_input:
            yield replace(self, compact_input=False)
        if self.dense_input:
            yield replace(self, dense_input=False)
        if self.fallback:
            yield replace(self, fallback=False)
        if self.late:
            yield replace(self, late=False)
        if len(self.frames) > 1:
            for frame in self.frames:
                yield replace(self, frames=(frame,))
        if self.seed:
            yield replace(self, seed=0)
