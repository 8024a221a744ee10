"""Findings as tables, and as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from common import files
from common.tables import Table, add_names, new_table
from sw.survey.examine import Finding

__all__ = ["exactness", "reasons", "summary", "table", "write_csv"]


def exactness(finding: Finding) -> str:
    """Return in a word or two with whom the golden model agrees."""
    if finding.verdict == "differs":
        return "NO"
    agree = ["LiteRT"] if finding.judge == "equal" else []
    agree += [finding.core and "core"] if finding.core else []
    return "+".join(agree)


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def table(findings: Sequence[Finding]) -> Table:
    """Return a row for each file."""
    result = new_table(
        ("file", "verdict"), ("MACs", "on core", "cycles", "host ms", "inferences/s"),
        give_way=("MACs", "host ms", "on core"),
    )
    add_names(result, "equal")
    for finding in findings:
        host = finding.host_seconds
        result.add_row(
            Path(finding.file).stem,
            finding.verdict,
            _figure(finding.macs, ","),
            _figure(finding.core_share, ".1%"),
            _figure(finding.cycles, ","),
            _figure(None if host is None else host * 1e3, ",.1f"),
            _figure(finding.inferences_per_second, ",.1f"),
            exactness(finding),
        )
    return result


def reasons(findings: Sequence[Finding]) -> list[str]:
    """Return a line for each file of which something is to be said."""
    lines = []
    for finding in findings:
        name = Path(finding.file).name
        if finding.verdict != "runs":
            lines.append(f"{name}: {finding.verdict}: {finding.reason}")
        elif finding.falls_back:
            parts = f"{finding.programs} programs; " if finding.programs != 1 else ""
            kinds = ", ".join(finding.falls_back)
            lines.append(f"{name}: {parts}on the host: {kinds}: {finding.reason}")
        elif finding.programs == 0:
            lines.append(f"{name}: none of its outputs is made by a layer")
        if finding.cycles_with_input:
            lines.append(
                f"{name}: the input does not fit into memory: the rate is that of at least "
                f"{finding.cycles_with_input:,} cycles, with the serial line"
            )
        if finding.judge in ("refuses", "crashes"):
            lines.append(f"{name}: LiteRT {finding.judge}")
    return lines


def summary(findings: Sequence[Finding]) -> str:
    """Return the sentence that sums a survey up."""
    counts = {
        verdict: sum(finding.verdict == verdict for finding in findings)
        for verdict in ("runs", "refused", "differs", "fails")
    }
    whole = sum(f.verdict == "runs" and not f.falls_back for f in findings)
    words = {"runs": "run", "refused": "refused", "differs": "differ", "fails": "fail"}
    parts = [f"{count} {words[verdict]}" for verdict, count in counts.items() if count]
    shares = [f.core_share for f in findings if f.core_share is not None]
    least = f"; at least {min(shares):.1%} of the multiplications on the core" if shares else ""
    return (
        f"{len(findings)} file{'' if len(findings) == 1 else 's'}: {', '.join(parts)}; "
        f"{whole} without a part that falls back{least}"
    )


def write_csv(path: str, findings: Sequence[Finding]) -> None:
    """Write the findings, a row each."""
    rows = [asdict(f) | {"falls_back": " ".join(f.falls_back)} for f in findings]
    files.write_csv(path, rows)
