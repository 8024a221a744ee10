"""Words of the program stream, as ``hw/command.py`` defines them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hw.command import PARAMETER_FIELDS, Descriptor, Record, header
from hw.compute.encoding import encode_channel
from sw.compiler.layers import Block

__all__ = ["block_words", "descriptor_words", "parameter_words", "stream", "words_of"]

Words = npt.NDArray[np.uint8]
"""(n, word bytes) uint8."""


def _header_word(kind: Record, count: int, word_bytes: int) -> Words:
    word = np.zeros((1, word_bytes), np.uint8)
    word[0, :2] = np.frombuffer(header(kind, count).to_bytes(2, "little"), np.uint8)
    return word


def descriptor_words(descriptor: Descriptor, word_bytes: int) -> Words:
    """Return a DESCRIPTOR record."""
    data = np.array(descriptor.halfwords(), "<u2").view(np.uint8).reshape(-1, word_bytes)
    return np.concatenate([_header_word(Record.DESCRIPTOR, 0, word_bytes), data])


def parameter_words(block: Block, word_bytes: int) -> Words:
    """Return the requantisation parameters of a block.

    Word ``k``, lane ``g`` holds field ``k mod 4`` of output channel ``2g + k // 4``.
    """
    rows = 2
    fields = np.array(
        [
            encode_channel(multiplier=int(m), shift=int(s), bias=int(b))
            for m, s, b in zip(block.multiplier, block.shift, block.bias, strict=True)
        ],
        np.int64,
    ).T
    lanes = word_bytes // 2
    # (field, lane, row) to (row, field, lane).
    words = fields.reshape(PARAMETER_FIELDS, lanes, rows).transpose(2, 0, 1)
    return np.ascontiguousarray(words.reshape(-1, lanes).astype("<u2")).view(np.uint8)


def words_of(block: Block) -> int:
    """Return the size of a BLOCK record: header, parameters, weights."""
    steps, rows = map(int, block.weights.shape[:2])
    return 1 + rows * PARAMETER_FIELDS + rows * steps


def block_words(block: Block, word_bytes: int) -> Words:
    """Return a BLOCK record."""
    weights = block.weights.reshape(-1, word_bytes).view(np.uint8)
    return np.concatenate(
        [
            _header_word(Record.BLOCK, len(weights), word_bytes),
            parameter_words(block, word_bytes),
            weights,
        ]
    )


def stream(
    items: Sequence[tuple[Descriptor, tuple[Block, ...]]], word_bytes: int
) -> tuple[Words, list[int]]:
    """Encode a program.

    Parameters
    ----------
    items : sequence of (Descriptor, blocks)
    word_bytes : int

    Returns
    -------
    words : (n, word_bytes) uint8
    sizes : list of int
        Words of every item; the END record comes on top.
    """
    # Rows of a layer share their blocks.
    encoded: dict[int, Words] = {}
    parts: list[Words] = []
    sizes = []
    for descriptor, blocks in items:
        record = [descriptor_words(descriptor, word_bytes)]
        for block in blocks:
            if id(block) not in encoded:
                encoded[id(block)] = block_words(block, word_bytes)
            record.append(encoded[id(block)])
        sizes.append(sum(map(len, record)))
        parts += record
    parts.append(_header_word(Record.END, 0, word_bytes))
    return np.concatenate(parts), sizes
