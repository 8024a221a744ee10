"""All proofs, in the order in which they are run."""

from hw.proofs import (
    arbiter,
    flash_reader,
    halfword_buffer,
    host_port,
    link_engine,
    loader,
    requantiser,
    ring,
    sequencer,
    serial_line,
    word_reader,
)
from hw.proofs.proof import Proof

__all__ = ["PROOFS"]

PROOFS: dict[str, Proof] = {
    proof.name: proof
    for block in (ring, halfword_buffer, word_reader, arbiter, loader, sequencer, host_port,
                  link_engine, serial_line, flash_reader, requantiser)
    for proof in block.PROOFS
}
"""By name."""
