"""The program in the flash, decoded as a core does: descriptors and their blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.contract.blocks import Block
from hw.contract.config import CoreConfig
from hw.contract.descriptors import DESCRIPTOR_HALFWORDS, LAYOUT, Descriptor
from hw.contract.modes import Mode
from hw.contract.records import COUNT_BITS, PARAMETER_FIELDS, Record
from hw.contract.requantiser import decode_channels
from hw.contract.sections import unseal

__all__ = ["ProgramError", "records"]


class ProgramError(Exception):
    """A program breaks a rule of the architecture."""


def _descriptor(halfwords: npt.NDArray[np.uint16]) -> Descriptor:
    values: dict[str, Any] = {}
    for name, field in LAYOUT.items():
        raw = int(halfwords[field.halfword]) >> field.low & (1 << field.width) - 1
        if field.signed and raw >> field.width - 1:
            raw -= 1 << field.width
        values[name] = raw + field.bias
    mode = Mode(values.pop("mode"))
    return Descriptor(mode=mode, **values)


def _block(words: npt.NDArray[np.uint8], config: CoreConfig) -> Block:
    lanes = config.lanes
    count = config.rows * PARAMETER_FIELDS
    # Word k, lane g: field k mod 4 of channel 2g + k // 4.
    fields = words[:count].copy().view("<u2").astype(np.int64)
    fields = fields.reshape(config.rows, PARAMETER_FIELDS, lanes).transpose(2, 0, 1)
    multiplier, shift, bias = decode_channels(fields.reshape(-1, PARAMETER_FIELDS))
    return Block(
        multiplier=multiplier,
        shift=shift,
        bias=bias,
        weights=words[count:].view(np.int8).reshape(-1, config.rows, config.columns),
    )


def records(flash: bytes, config: CoreConfig) -> Iterator[tuple[Descriptor, list[Block]]]:
    """Decode what is in the flash: every descriptor with its blocks, up to the END record.

    Raises
    ------
    ProgramError
        If the stream is not well formed.
    """
    try:
        stream = unseal(flash)
    except ValueError as error:
        raise ProgramError(str(error)) from None
    words = np.frombuffer(stream, np.uint8).reshape(-1, config.word_bytes)
    position = 0
    current: Descriptor | None = None
    blocks: list[Block] = []
    while True:
        if position >= len(words):
            raise ProgramError("the stream ends without an END record")
        head = int(words[position, 0]) | int(words[position, 1]) << 8
        kind, count = Record(head >> COUNT_BITS), head & (1 << COUNT_BITS) - 1
        position += 1
        if kind != Record.BLOCK and current is not None:
            wanted = current.records
            if len(blocks) != wanted:
                raise ProgramError(f"a descriptor of {wanted} blocks has {len(blocks)}")
            yield current, blocks
        if kind == Record.END:
            if current is None or not current.last:
                raise ProgramError("the last descriptor is not marked as the last")
            return
        if kind == Record.DESCRIPTOR:
            size = DESCRIPTOR_HALFWORDS // config.lanes
            current, blocks = _descriptor(words[position : position + size].ravel().view("<u2")), []
        else:
            size = config.rows * PARAMETER_FIELDS + count
            block = _block(words[position : position + size], config)
            if current is None or len(block.weights) != current.steps:
                raise ProgramError("a block does not have its descriptor's number of steps")
            blocks.append(block)
        position += size
