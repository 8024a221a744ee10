"""Trials: what a number stands for, and how it becomes smaller."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from sw.fuzz.around import random_around
from sw.fuzz.generate import random_network
from sw.fuzz.mutants import Mutant, random_mutant
from sw.fuzz.network import Network
from sw.fuzz.options import FRAMES, Options

__all__ = ["CAMPAIGNS", "Trial", "shrink"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A file, and how it is compiled and run."""

    subject: Network | Mutant
    options: Options

    def smaller(self) -> Iterator[Trial]:
        """Yield simpler trials."""
        for subject in self.subject.smaller():
            yield replace(self, subject=subject)
        for options in self.options.simpler():
            yield replace(self, options=options)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Trial:
        """Return what :meth:`to_json` described."""
        options = Options(**data["options"] | {"frames": tuple(data["options"]["frames"])})
        kind = Mutant if "base" in data else Network
        return cls(subject=kind.from_json(data), options=options)

    def to_json(self) -> dict[str, Any]:
        """Return the description."""
        return {**self.subject.to_json(), "options": asdict(self.options)}


def _network(number: int) -> Trial:
    rng = random.Random(f"options {number}")
    options = Options(
        remove_constant_channels=rng.random() < 0.4,
        compact_input=rng.random() < 0.4,
        dense_input=rng.random() < 0.2,
        late=rng.random() < 0.5,
        frames=("random", "ends", rng.choice(FRAMES[2:])),
        seed=number,
        fallback=rng.random() < 0.7,
    )
    return Trial(subject=random_network(number), options=options)


def _mutant(number: int) -> Trial:
    rng = random.Random(f"options {number}")
    options = Options(remove_constant_channels=rng.random() < 0.3, seed=number)
    return Trial(subject=random_mutant(number), options=options)


def _around(number: int) -> Trial:
    frames = ("random", "ends", random.Random(f"frames {number}").choice(FRAMES[2:]))
    return Trial(subject=random_around(number), options=Options(frames=frames, seed=number))


CAMPAIGNS: dict[str, Callable[[int], Trial]] = {
    "networks": _network, "mutants": _mutant, "around": _around,
}
"""From a number to what is tried."""


def shrink(
    trial: Trial, fails: Callable[[Trial], bool], *, tries: int = 400, seconds: float = 120
) -> Trial:
    """Return the smallest trial that still fails, as far as steps that each fail lead.

    Parameters
    ----------
    trial : Trial
    fails : callable
        Whether a trial has the fault.
    tries : int
        Calls of ``fails``.
    seconds : float
        On the clock, after which no more are made.
    """
    end = time.monotonic() + seconds
    progress = True
    while progress:
        progress = False
        for smaller in trial.smaller():
            if tries == 0 or time.monotonic() > end:
                return trial
            tries -= 1
            if fails(smaller):
                trial, progress = smaller, True
                break
    return trial
