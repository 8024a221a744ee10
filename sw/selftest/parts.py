"""Stages of the chip's own blocks: memories and multipliers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from common import progress
from hw.contract.selftest import (
    BLOCK_DEPTH,
    BLOCK_MEMORIES,
    PRODUCTS,
    Element,
    Test,
    TestRegister,
    operands,
    signature,
)
from sw.selftest.device import SelfTestDevice
from sw.selftest.report import Stage

__all__ = ["BACKGROUNDS", "MARCH", "block_rams", "multipliers", "single_port_memories"]

READ0, READ1 = Element.READ, Element.READ | Element.EXPECT_INVERSE
WRITE0, WRITE1 = Element.WRITE, Element.WRITE | Element.WRITE_INVERSE

MARCH = (
    WRITE0, READ0 | WRITE1, READ1 | WRITE0, READ0 | WRITE1 | Element.DOWN,
    READ1 | WRITE0 | Element.DOWN, READ0,
)
"""March C-: finds stuck bits, wrong addresses, bits that do not change, and most bits that change
others (A. J. van de Goor, Testing Semiconductor Memories, 1991)."""

BACKGROUNDS = (0x0000, 0x5555, 0x3333, 0x0F0F, 0x00FF)
"""Words of 16 bits in which every two bits differ once at least, besides the one in which none do:
for bits that change others of the same word."""


def single_port_memories(device: SelfTestDevice, stage: Stage) -> None:
    """March through each single-port memory."""
    _memories(device, stage, "SPRAM", first=0, count=device.config.lanes,
              depth=device.config.memory_depth)


def block_rams(device: SelfTestDevice, stage: Stage) -> None:
    """March through each block RAM but the flash reader's."""
    _memories(device, stage, "block RAM", first=device.config.lanes, count=BLOCK_MEMORIES,
              depth=BLOCK_DEPTH)


def _memories(
    device: SelfTestDevice, stage: Stage, kind: str, *, first: int, count: int, depth: int
) -> None:
    stage.data |= {"memories": count, "words": depth, "wrong": []}
    for number in range(count):
        progress.at(f"{kind} {number} of {count}")
        wrong = _march(device, first + number)
        if wrong is not None:
            stage.data["wrong"].append({"memory": number, **wrong})
            stage.fail(f"{kind} {number}: {wrong['words_wrong']} reads wrong, the first at address "
                       f"{wrong['first_address']}, bits {wrong['mask']:04x}")
    stage.note(f"{count} of {depth:,} words, March C-, {len(BACKGROUNDS)} backgrounds")


def _march(device: SelfTestDevice, unit: int) -> dict[str, int] | None:
    """Return what was wrong with a memory."""
    words = mask = 0
    first: int | None = None
    for background in BACKGROUNDS:
        for element in MARCH:
            result = device.march(unit, element, background)
            if result.value and first is None:
                first = result.first
            words, mask = words + result.value, mask | result.mask
    return None if first is None else {"words_wrong": words, "first_address": first, "mask": mask}


@cache
def expected_products() -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Return the signature behind every pair of operands, uint32(65536)."""
    signatures = np.zeros(PRODUCTS, np.uint32)
    value = 0
    for number in range(PRODUCTS):
        a, b = operands(number)
        products = sum(
            (_signed(a >> shift) * _signed(b >> shift) & 0xFFFF) << 2 * shift for shift in (0, 8))
        signatures[number] = value = signature(value, products)
    return signatures


def _signed(byte: int) -> int:
    return (byte & 0xFF ^ 0x80) - 0x80


def multipliers(device: SelfTestDevice, stage: Stage) -> None:
    """Multiply all pairs of int8 in each multiplier; find the first wrong product, if one is."""
    blocks = device.config.multipliers // 2
    stage.data |= {"blocks": blocks, "products": PRODUCTS, "wrong": []}
    expected = expected_products()
    for unit in range(blocks):
        progress.at(f"block {unit} of {blocks}")
        if _signature(device, unit, PRODUCTS) == expected[-1]:
            continue
        # The first pair behind which the signature is wrong.
        low, high = 0, PRODUCTS - 1
        while low < high:
            middle = (low + high) // 2
            if _signature(device, unit, middle + 1) == expected[middle]:
                low = middle + 1
            else:
                high = middle
        a, b = operands(low)
        pairs = [[_signed(a >> shift), _signed(b >> shift)] for shift in (0, 8)]
        stage.data["wrong"].append({"block": unit, "operands": pairs})
        stage.fail(f"block {unit}: one of {pairs[0][0]} × {pairs[0][1]} and {pairs[1][0]} × "
                   f"{pairs[1][1]} is wrong, and nothing before them")
    stage.note(f"{blocks} blocks of two, all {PRODUCTS:,} products of each")


def _signature(device: SelfTestDevice, unit: int, count: int) -> int:
    return device.test(
        Test.PRODUCTS, (TestRegister.UNIT, unit), (TestRegister.COUNT, count - 1)).value
