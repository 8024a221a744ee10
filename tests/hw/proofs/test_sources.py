"""Faults: made once, where they were meant, and nowhere else."""

from __future__ import annotations

import pytest

from hw.program import ring
from hw.proofs.catalogue import PROOFS
from hw.proofs.proof import Proof
from hw.proofs.sources import Fault, Sources

FAULT = Fault("other text", "hw.program.ring", "same & wrapped", "same & ~wrapped")


def test_only_the_copy_has_the_fault() -> None:
    sources = Sources(FAULT)
    changed = sources.get("hw.program.ring")
    assert changed is not ring
    assert changed.Ring is not ring.Ring
    assert sources.get("hw.program.buffer").HalfwordBuffer.__module__ == "hw.program.buffer"
    assert Sources().get("hw.program.ring") is ring


@pytest.mark.parametrize("text", ["", "a a"])
def test_the_text_has_to_be_there_once(text: str) -> None:
    with pytest.raises(ValueError, match="times, not once"):
        Fault("x", "m", "a", "b").apply(text)


@pytest.mark.parametrize("proof", PROOFS.values(), ids=lambda proof: proof.name)
def test_each_fault_can_be_made(proof: Proof) -> None:
    assert proof.faults
    for fault in proof.faults:
        Sources(fault).get(fault.module)


@pytest.mark.parametrize("proof", PROOFS.values(), ids=lambda proof: proof.name)
def test_what_is_proven_fits_a_line(proof: Proof) -> None:
    assert len(proof.name) <= 24
    assert len(proof.what) <= 72
