"""Report of a self-test: stages with what they measured, as table and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from common import progress
from common.errors import SeparableError
from common.tables import Table, add_text, new_table

__all__ = ["NAMES", "NotRun", "Report", "Stage", "carry_out"]

NAMES = {
    "link": "identity and registers",
    "echo": "bytes each way at every rate",
    "flash": "the flash's identity, quad-enable bit and drive strength",
    "eye": "sealed data at every tap of the capture clock",
    "spram": "march through the single-port memories",
    "blockram": "march through the block RAMs",
    "multipliers": "all products of all multipliers",
    "layer": "layers on the core's own bitstream against the golden model",
}
"""The stages, in their order, and what they try."""


class NotRun(Exception):
    """The stage cannot be carried out; the message says what it takes."""


@dataclass(kw_only=True)
class Stage:
    """One stage.

    Attributes
    ----------
    name : str
        Of :data:`NAMES`.
    state : str
        ``passed``, ``failed`` or ``not run``.
    findings : list of str
        Sentences: what is wrong; of a stage that passed, what was measured.
    data : dict
        What was measured, for JSON.
    """

    name: str
    state: str = "passed"
    findings: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    def fail(self, finding: str) -> None:
        """Take down that something is wrong."""
        if self.state != "failed":
            self.findings.clear()
        self.state = "failed"
        self.findings.append(finding)

    def note(self, finding: str) -> None:
        """Take down what was measured, unless something is wrong."""
        if self.state != "failed":
            self.findings.append(finding)

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"stage": self.name, "state": self.state, "findings": self.findings, **self.data}


def carry_out(name: str, work: Callable[[Stage], None]) -> Stage:
    """Return a stage after it was carried out, or could not be."""
    stage = Stage(name=name)
    try:
        with progress.stage(NAMES[name], kept=True):
            work(stage)
    except NotRun as reason:
        stage.state, stage.findings = "not run", [str(reason)]
    except SeparableError as error:
        stage.fail(str(error))
    return stage


@dataclass(frozen=True, kw_only=True)
class Report:
    """All stages.

    Attributes
    ----------
    board : str
    backend : str
    stages : sequence of Stage
    """

    board: str
    backend: str
    stages: Sequence[Stage]

    @property
    def passed(self) -> bool:
        """Whether no stage failed, whatever was not run."""
        return all(stage.state != "failed" for stage in self.stages)

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "board": self.board,
            "backend": self.backend,
            "passed": self.passed,
            "not_run": [stage.name for stage in self.stages if stage.state == "not run"],
            "stages": [stage.json() for stage in self.stages],
        }

    def table(self) -> Table:
        """Return the table for the terminal."""
        table = new_table(("stage", "state"))
        add_text(table, "what was found")
        for stage in self.stages:
            table.add_row(stage.name, stage.state, "; ".join(stage.findings))
        return table
