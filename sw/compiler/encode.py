"""Words of the program stream, as ``hw/command.py`` defines them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hw.command import PARAMETER_FIELDS, Descriptor, Record, header
from hw.compute.encoding import encode_channel
from sw.compiler.layers import Block, Layer

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
    layers: Sequence[Layer], addresses: Mapping[int, int], word_bytes: int
) -> tuple[Words, list[int]]:
    """Encode a program.

    Parameters
    ----------
    layers : sequence of Layer
    addresses : dict
        Word address of every tensor.
    word_bytes : int

    Returns
    -------
    words : (n, word_bytes) uint8
    sizes : list of int
        Words of every layer; the END record comes on top.
    """
    parts: list[Words] = []
    sizes = []
    for number, layer in enumerate(layers):
        before = sum(map(len, parts))
        for index, command in enumerate(layer.commands):
            last = number == len(layers) - 1 and index == len(layer.commands) - 1
            parts.append(descriptor_words(command.descriptor(addresses, last=last), word_bytes))
            parts += [block_words(block, word_bytes) for block in command.blocks]
        sizes.append(sum(map(len, parts)) - before)
    parts.append(_header_word(Record.END, 0, word_bytes))
    return np.concatenate(parts), sizes
