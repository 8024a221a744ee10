"""A run over many numbers: what is done, what came out, what failed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import progress
from common.errors import SeparableError
from common.files import write_json
from common.tables import Table, add_figures, add_text, new_table
from sw.fuzz.trial import CAMPAIGNS, Trial, shrink
from sw.fuzz.verdict import FAILURES, Outcome, Verdict
from sw.fuzz.workers import Worker, examine_all

__all__ = ["Campaign", "outcome_table", "reason_table"]

SHOWN_REASONS = 12

SHRUNK = 3
"""Failures of one kind that are shrunk; the others are kept as they are."""

LONGEST_REASON = 120
"""Characters of a reason that the table shows."""


@dataclass
class Campaign:
    """A campaign.

    Attributes
    ----------
    name : str
        One of :data:`sw.fuzz.trial.CAMPAIGNS`.
    first, count : int
        The numbers.
    board : str
    state : Path or None
        JSON lines of what is done, appended; what is in it is not done again.
    keep : Path or None
        Folder of files that fail, as they are and shrunk.
    outcomes : Counter
        By outcome and stage.
    reasons : Counter
        Of refusals and failures: by outcome, stage and reason.
    failures : list of dict
        What is kept of each.
    """

    name: str
    first: int
    count: int
    board: str
    state: Path | None = None
    keep: Path | None = None
    done: set[int] = field(default_factory=set)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failures: list[dict[str, Any]] = field(default_factory=list)

    def run(self, jobs: int) -> None:
        """Examine what is not done yet.

        Raises
        ------
        SeparableError
            If the state cannot be read or written.
        """
        self._resume()
        workers = [Worker(self.board) for _ in range(jobs)]
        file = None if self.state is None else self.state.open("a", buffering=1)

        def each(worker: Worker, number: int, verdict: Verdict) -> None:
            entry: dict[str, Any] = {"number": number, **verdict.to_json()}
            if verdict.outcome in FAILURES:
                entry |= self._small(worker, number, verdict)
                self._save(entry)
            self._count(entry)
            if file is not None:
                file.write(json.dumps(entry) + "\n")
            stage.reached(len(self.done))
            stage.at(self._outcomes())

        try:
            with progress.stage(
                f"examining {self.name}", total=self.count, done=len(self.done), unit="files"
            ) as stage:
                examine_all(self.name, self._numbers(), workers, each)
        finally:
            for worker in workers:
                worker.close()
            if file is not None:
                file.close()

    def _outcomes(self) -> str:
        """Return what came out so far, in words."""
        counts = Counter[str]()
        for (outcome, _), count in self.outcomes.items():
            counts[outcome] += count
        return ", ".join(f"{count:,} {outcome}" for outcome, count in counts.most_common())

    def _numbers(self) -> Iterator[int]:
        return (n for n in range(self.first, self.first + self.count) if n not in self.done)

    def _resume(self) -> None:
        if self.state is None:
            return
        header = {"campaign": self.name, "board": self.board}
        if not self.state.exists() or not self.state.stat().st_size:
            self.state.parent.mkdir(parents=True, exist_ok=True)
            self.state.write_text(json.dumps(header) + "\n")
            return
        try:
            # The last line of a run that was killed may be half of one.
            lines = self.state.read_text().splitlines()
            if json.loads(lines[0]) != header:
                raise SeparableError(f"{self.state}: is the state of another campaign")
            for entry in (json.loads(line) for line in lines[1:] if line.endswith("}")):
                if self.first <= entry["number"] < self.first + self.count:
                    self._count(entry)
        except (ValueError, KeyError, TypeError):
            raise SeparableError(f"{self.state}: is not the state of a campaign") from None
        with self.state.open("a") as file:
            file.write("\n")

    def _count(self, entry: dict[str, Any]) -> None:
        outcome, stage, reason = entry["outcome"], entry["stage"], entry["reason"]
        self.done.add(entry["number"])
        self.outcomes[outcome, stage] += 1
        if reason:
            self.reasons[outcome, stage, reason] += 1
        if outcome in FAILURES:
            self.failures.append(entry)

    def _small(self, worker: Worker, number: int, verdict: Verdict) -> dict[str, Any]:
        """Return the trial, and for the first ones of a kind the smallest that fails like it."""
        trial = CAMPAIGNS[self.name](number)
        entry = {"trial": trial.to_json(), "small": None}
        if self.reasons[verdict.outcome, verdict.stage, verdict.reason] < SHRUNK:
            small = shrink(trial, lambda t: worker.examine(t).same_kind(verdict))
            entry["small"] = small.to_json()
        return entry

    def _save(self, entry: dict[str, Any]) -> None:
        if self.keep is None:
            return
        self.keep.mkdir(parents=True, exist_ok=True)
        name = f"{self.name}-{entry['number']}"
        write_json(self.keep / f"{name}.json", entry)
        trial = CAMPAIGNS[self.name](entry["number"])
        (self.keep / f"{name}.tflite").write_bytes(trial.subject.build())
        if entry["small"] is not None:
            small = Trial.from_json(entry["small"])
            (self.keep / f"{name}.small.tflite").write_bytes(small.subject.build())

    def to_json(self) -> dict[str, Any]:
        """Return the report."""
        return {
            "campaign": self.name,
            "board": self.board,
            "first": self.first,
            "count": self.count,
            "done": len(self.done),
            "outcomes": [
                {"outcome": outcome, "stage": stage, "count": count}
                for (outcome, stage), count in sorted(self.outcomes.items())
            ],
            "reasons": [
                {"outcome": outcome, "stage": stage, "reason": reason, "count": count}
                for (outcome, stage, reason), count in self.reasons.most_common()
            ],
            "failures": self.failures,
        }


def outcome_table(campaign: Campaign) -> Table:
    """Return what came out, and how far files came."""
    table = new_table(("outcome", "stage"), ("count", ""),
                      title=f"{len(campaign.done)} of {campaign.count} {campaign.name}")
    order = list(Outcome)
    for (outcome, stage), count in sorted(
        campaign.outcomes.items(), key=lambda item: (order.index(Outcome(item[0][0])), -item[1])
    ):
        table.add_row(outcome, stage, f"{count:,}", f"{count / len(campaign.done):.1%}")
    return table


def reason_table(campaign: Campaign) -> Table:
    """Return why files were refused, or how they failed: the most frequent reasons."""
    table = new_table(("outcome",))
    add_text(table, "reason")
    add_figures(table, "count")
    failures = [item for item in campaign.reasons.most_common() if item[0][0] in FAILURES]
    others = [item for item in campaign.reasons.most_common() if item[0][0] not in FAILURES]
    for (outcome, stage, reason), count in [*failures, *others[:SHOWN_REASONS]]:
        table.add_row(outcome, f"{stage}: {reason[:LONGEST_REASON]}", f"{count:,}")
    return table
