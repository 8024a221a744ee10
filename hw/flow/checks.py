"""Checks of a routed design's timing: what they are about, and what is left."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from common.tables import Table, add_names, add_text, new_table

__all__ = ["Check", "Checks"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """Worst path of a kind, nanoseconds.

    Attributes
    ----------
    what : str
        From which clock to which, or which pins.
    kind : str
        Set-up or hold.
    slack_ns : float
        Of an ideal clock.
    uncertain_ns : float
        What the clock's duty cycle, jitter and skew may take of it.
    path : str
        Where it begins and ends; empty: it is the data sheet's.
    """

    what: str
    kind: str
    slack_ns: float
    uncertain_ns: float
    path: str = ""

    @property
    def left_ns(self) -> float:
        """What is left for certain; negative if that is not all."""
        return self.slack_ns - self.uncertain_ns

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"what": self.what, "kind": self.kind, "slack_ns": round(self.slack_ns, 3),
                "uncertain_ns": round(self.uncertain_ns, 3), "left_ns": round(self.left_ns, 3),
                "path": self.path}


@dataclass(frozen=True, kw_only=True)
class Checks:
    """All checks of a design, and what they leave out.

    ``not_covered`` has a sentence for each thing that nothing was proven of.
    """

    checks: Sequence[Check] = field(default_factory=tuple)
    not_covered: Sequence[str] = field(default_factory=tuple)

    def failing(self) -> Check | None:
        """Return the worst check without slack, if there is one."""
        worst = min(self.checks, key=lambda check: check.slack_ns, default=None)
        return worst if worst is not None and worst.slack_ns < 0 else None

    def json(self) -> dict[str, Any]:
        """Return them as plain data."""
        return {"checks": [check.json() for check in self.checks],
                "not_covered": list(self.not_covered)}

    def tables(self) -> list[Table]:
        """Return the tables for the terminal: what was checked, and what was not."""
        left_out = new_table(())
        add_text(left_out, "not covered")
        for sentence in self.not_covered:
            left_out.add_row(sentence)
        return [self._table(), left_out]

    def _table(self) -> Table:
        table = new_table(("checked", ""), ("slack ns", "uncertain ns", "left ns"))
        add_names(table, "inside")
        for check in self.checks:
            table.add_row(check.what, check.kind, f"{check.slack_ns:.2f}",
                          f"{check.uncertain_ns:.2f}", f"{check.left_ns:.2f}",
                          "yes" if check.left_ns >= 0 else "no")
        return table
