"""All proofs, in the order in which they are run."""

from hw.proofs import halfword_buffer
from hw.proofs.proof import Proof

__all__ = ["PROOFS"]

PROOFS: dict[str, Proof] = {
    proof.name: proof
    for block in (halfword_buffer,)
    for proof in block.PROOFS
}
"""By name."""
