"""Words of the program stream, as ``hw/contract/records.py`` defines them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hw.contract.blocks import Block
from hw.contract.descriptors import DESCRIPTOR_HALFWORDS, Descriptor
from hw.contract.records import PARAMETER_FIELDS, Record, header
from hw.contract.requantiser import encode_channels

__all__ = [
    "block_words",
    "command_words",
    "descriptor_words",
    "stream",
    "words_of",
]

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


def _parameter_words(blocks: Sequence[Block], word_bytes: int) -> Words:
    """Return the requantisation parameters of blocks: (blocks, words, word bytes).

    Word ``k``, lane ``g`` holds field ``k mod 4`` of output channel ``2g + k // 4``.
    """
    rows, lanes = blocks[0].weights.shape[1], word_bytes // 2
    fields = encode_channels(
        *(np.stack([getattr(block, name) for block in blocks]).astype(np.int64)
          for name in ("multiplier", "shift", "bias"))
    )
    # (block, lane, row, field) to (block, row, field, lane).
    words = fields.reshape(-1, lanes, rows, PARAMETER_FIELDS).transpose(0, 2, 3, 1)
    words = np.ascontiguousarray(words.astype("<u2"))
    return words.reshape(len(blocks), -1, lanes).view(np.uint8)


def command_words(blocks: Sequence[Block], lanes: int) -> int:
    """Return the words of a descriptor's records: its own, and its blocks'."""
    return 1 + DESCRIPTOR_HALFWORDS // lanes + sum(map(words_of, blocks))


def words_of(block: Block) -> int:
    """Return the size of a BLOCK record: header, parameters, weights."""
    steps, rows = map(int, block.weights.shape[:2])
    return 1 + rows * PARAMETER_FIELDS + rows * steps


def block_words(blocks: Sequence[Block], word_bytes: int) -> Words:
    """Return the BLOCK records of a descriptor, whose blocks have equal numbers of steps."""
    weights = np.stack([block.weights for block in blocks]).reshape(len(blocks), -1, word_bytes)
    head = _header_word(Record.BLOCK, weights.shape[1], word_bytes)
    parts = (
        np.broadcast_to(head, (len(blocks), *head.shape)),
        _parameter_words(blocks, word_bytes),
        weights.view(np.uint8),
    )
    return np.concatenate(parts, axis=1).reshape(-1, word_bytes)


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
        if id(blocks) not in encoded:
            encoded[id(blocks)] = block_words(blocks, word_bytes)
        record = [descriptor_words(descriptor, word_bytes), encoded[id(blocks)]]
        sizes.append(sum(map(len, record)))
        parts += record
    parts.append(_header_word(Record.END, 0, word_bytes))
    return np.concatenate(parts), sizes
