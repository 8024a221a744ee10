"""Sections of a program in the flash: checksums in, checksums out."""

import random

import pytest
from support.flash_bench import PAYLOAD, flipped

from hw.contract.sections import SECTION_BYTES, seal, unseal


def test_unseal():
    payload = PAYLOAD[: 3 * SECTION_BYTES - 5]
    data = seal(payload)
    assert unseal(data) == payload + bytes(5)
    assert unseal(data + b"anything") == payload + bytes(5)
    for bit in random.Random(3).sample(range(8 * len(data)), 40):
        with pytest.raises(ValueError, match="must be right, but is wrong"):
            unseal(flipped(data, bit))
    with pytest.raises(ValueError, match="the last section is missing"):
        unseal(data[: 2 * (SECTION_BYTES + 2)])


def test_seal():
    """Against the checksum's definition, bit by bit."""
    def crc(data):
        register = 0x1D0F
        for byte in data:
            register ^= byte << 8
            for _ in range(8):
                register = register << 1 ^ (0x11021 if register & 0x8000 else 0)
        return register

    data = seal(PAYLOAD[: 2 * SECTION_BYTES + 1])
    assert len(data) == 3 * (SECTION_BYTES + 2)
    for number in range(3):
        section = data[number * (SECTION_BYTES + 2) :][:SECTION_BYTES]
        wanted = PAYLOAD[: 2 * SECTION_BYTES + 1][number * SECTION_BYTES :][:SECTION_BYTES]
        assert section == wanted + bytes(SECTION_BYTES - len(wanted))
        trailer = data[number * (SECTION_BYTES + 2) + SECTION_BYTES :][:2]
        assert int.from_bytes(trailer, "big") == crc(section) ^ (0 if number == 2 else 0xFFFF)
