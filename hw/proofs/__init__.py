"""Formal proofs of the core's blocks: one harness per block, named like it; ``docs/proofs.md``."""
