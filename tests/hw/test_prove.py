"""``python -m hw.prove``: proofs, counterexamples, and what makes a proof worthless."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from rich.console import Console
from support.places import REPOSITORY

from common.tool import USER_ERROR, VERIFICATION_FAILED
from hw import prove
from hw.proofs import catalogue
from hw.proofs.bench import Bench
from hw.proofs.proof import Proof
from hw.proofs.run import check
from hw.proofs.sources import Fault, Sources

MODULE = "hw.common.delay"


def late(bench: Bench, *, cycles: int = 2, contradiction: bool = False) -> None:
    """Claim that a delay of two cycles is one."""
    bit = bench.free("bit")
    delayed = bench.sources.get(MODULE).delayed(bench.m, bit, 2, name="late")
    known = bit
    for _ in range(cycles):
        known = bench.past(known)
    if contradiction:
        bench.assume(bit & ~bit)
    bench.show("delayed", delayed)
    bench.claim("late", delayed == known)
    bench.cover("high", delayed)


def proof(harness=late, *, faults: tuple[Fault, ...] | None = None) -> Proof:
    fault = Fault("is wrong", MODULE, *_fault())
    return Proof("late", "a delay", harness, faults=(fault,) if faults is None else faults,
                 steps=4, cover_steps=6)


def _fault() -> tuple[str, str]:
    """Return some text of the module that shortens the delay, and what to put there."""
    text = (REPOSITORY / "hw/common/delay.py").read_text()
    old = next(line.strip() for line in text.splitlines() if "m.d.sync +=" in line)
    return old, old.replace("m.d.sync +=", "m.d.comb +=")


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, its: Proof) -> int:
    monkeypatch.setitem(catalogue.PROOFS, its.name, its)
    code: int = prove.main([
        its.name, "--output", str(tmp_path), "--json", str(tmp_path / "results.json")])
    return code


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert prove.main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in catalogue.PROOFS)


def test_the_list_fits_a_terminal() -> None:
    output = StringIO()
    Console(width=80, file=output).print(prove._listing(list(catalogue.PROOFS.values())))
    assert all(len(line) <= 80 for line in output.getvalue().splitlines())
    assert "left out" not in output.getvalue()


def test_the_page_has_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert prove.main(["--markdown"]) == 0
    assert capsys.readouterr().out in (REPOSITORY / "docs" / "proofs.md").read_text()


def test_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert prove.main(["nothing"]) == USER_ERROR
    assert "there is no proof 'nothing'; known: ring," in capsys.readouterr().err


def test_proven(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, tmp_path, proof()) == 0
    (result,) = json.loads((tmp_path / "results.json").read_text())["proofs"]
    assert result["verdict"] == "proven"
    assert result["reach"] == "unbounded"
    (cover,) = result["covers"]
    assert cover["reached"]
    assert 3 <= cover["cycles"] <= 6
    assert result["faults"][0]["failed"] == ["late"]


def test_disproved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    its = proof(lambda bench: late(bench, cycles=1))
    assert run(monkeypatch, tmp_path, its) == VERIFICATION_FAILED
    printed = capsys.readouterr().out
    assert "disproved" in printed
    assert "delayed" in printed
    assert (tmp_path / "late" / "proof.vcd").exists()


def test_assumptions_that_cannot_be_met(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    its = proof(lambda bench: late(bench, contradiction=True))
    assert run(monkeypatch, tmp_path, its) == VERIFICATION_FAILED
    printed = capsys.readouterr().out
    assert "late: cover high is not reached" in printed
    assert "is not disproved" in printed


def test_without_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, tmp_path, proof(faults=())) == VERIFICATION_FAILED
    assert "without a cover or without a fault" in capsys.readouterr().out


def test_a_fault_elsewhere_is_refused(tmp_path: Path) -> None:
    fault = Fault("elsewhere", "hw.program.ring", "same & wrapped", "same & ~wrapped")
    with pytest.raises(ValueError, match=r"does not use hw\.program\.ring"):
        check(proof(faults=(fault,)), tmp_path)


def test_unknown_signals_and_states() -> None:
    class Block:
        def elaborate(self, platform: object) -> Module:
            m = Module()
            m.d.sync += Signal(name="twice").eq(1)
            m.d.sync += Signal(name="twice").eq(1)
            with m.FSM(), m.State("ONLY"):
                pass
            return m

    bench = Bench(Sources())
    block = bench.block("block", MODULE, lambda source: Block())
    for name in ("none", "twice"):
        with pytest.raises(LookupError, match=name):
            block.local(name)
    with pytest.raises(LookupError, match="no state 'OTHER'"):
        block.state("OTHER")
    assert "ONLY" not in bench.rtlil()


@pytest.mark.slow
@pytest.mark.parametrize(
    "its", [p for p in catalogue.PROOFS.values() if not p.long], ids=lambda p: p.name)
def test_the_blocks(its: Proof, tmp_path: Path) -> None:
    result = check(its, tmp_path)
    assert result.answer.verdict == "proven"
    assert not result.unreached
    assert not result.unfound
    assert result.good
