"""Proofs as they are run: each with its covers and with its faults."""

from dataclasses import dataclass
from pathlib import Path

from common import progress
from hw.proofs.bench import Bench
from hw.proofs.proof import Proof
from hw.proofs.solver import Answer, Solver
from hw.proofs.sources import Fault, Sources

__all__ = ["Result", "check"]


@dataclass(frozen=True)
class Result:
    """What came of a proof.

    Attributes
    ----------
    proof : Proof
    answer : Answer
        To its claims.
    covers : dict of str to Answer
        ``disproved`` where a trace leads there.
    faults : tuple of (Fault, Answer)
    """

    proof: Proof
    answer: Answer
    covers: dict[str, Answer]
    faults: tuple[tuple[Fault, Answer], ...]

    @property
    def unreached(self) -> list[str]:
        """Covers that no trace leads to: the assumptions may contradict one another."""
        return [name for name, answer in self.covers.items() if answer.verdict != "disproved"]

    @property
    def unfound(self) -> list[str]:
        """Faults that the claims do not notice."""
        return [fault.name for fault, answer in self.faults if answer.verdict != "disproved"]

    @property
    def good(self) -> bool:
        """It is proven, can be met, and would have found a mistake."""
        return (self.answer.verdict == "proven" and bool(self.covers) and bool(self.faults)
                and not self.unreached and not self.unfound)

    @property
    def seconds(self) -> float:
        """All of it took."""
        answers = [self.answer, *self.covers.values(), *(answer for _, answer in self.faults)]
        return sum(answer.seconds for answer in answers)

    def as_json(self) -> dict[str, object]:
        """Return it as plain data."""
        return {
            "name": self.proof.name,
            "what": self.proof.what,
            "reach": self.proof.reach,
            "verdict": self.answer.verdict,
            "cycles": self.answer.cycles,
            "failed": list(self.answer.failed),
            "seconds": round(self.seconds, 1),
            "good": self.good,
            "covers": [
                {"name": name, "reached": answer.verdict == "disproved", "cycles": answer.cycles}
                for name, answer in self.covers.items()
            ],
            "faults": [
                {"name": fault.name, "module": fault.module, "old": fault.old, "new": fault.new,
                 "verdict": answer.verdict, "cycles": answer.cycles,
                 "failed": list(answer.failed)}
                for fault, answer in self.faults
            ],
        }


def check(proof: Proof, folder: Path) -> Result:
    """Run a proof, its covers and its faults.

    Parameters
    ----------
    proof : Proof
    folder : Path
        For designs, logs and waves; a folder of the proof's name is made in it.

    Raises
    ------
    BuildError
        If a tool is missing or fails.
    ValueError
        If a fault's text is not in its module once, or the harness does not use that module.
    """
    folder = folder / proof.name
    with progress.stage(proof.name) as stage:
        stage.at("claims")
        bench = Bench(Sources())
        proof.harness(bench)
        solver = Solver(bench, folder, "proof", feed_forward=proof.feed_forward)
        answer = solver.prove(proof.steps, bounded=proof.bounded)
        covers = {}
        for cover in bench.covers:
            stage.at(f"cover {cover}")
            covers[cover] = solver.reach(cover, proof.cover_steps)
        faults = []
        for number, fault in enumerate(proof.faults, start=1):
            stage.at(f"fault {number}")
            faults.append((fault, _with(proof, fault, folder, f"fault-{number}")))
    return Result(proof, answer, covers, tuple(faults))


def _with(proof: Proof, fault: Fault, folder: Path, name: str) -> Answer:
    """Return what the claims say to a mistake."""
    sources = Sources(fault)
    bench = Bench(sources)
    proof.harness(bench)
    solver = Solver(bench, folder, name, feed_forward=proof.feed_forward)
    if fault.module not in sources.used:
        raise ValueError(f"{proof.name} does not use {fault.module}, which has its fault")
    return solver.disprove(proof.cover_steps)
