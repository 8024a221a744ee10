"""Requantisation parameters of many channels at once."""

from __future__ import annotations

import numpy as np
import pytest

from hw.contract.requantiser import decode_channels, encode_channel, encode_channels


def test_channels_are_encoded_like_each_by_itself() -> None:
    rng = np.random.default_rng(0)
    multiplier = rng.integers(0, 1 << 31, (50, 8))
    shift = rng.integers(0, 32, (50, 8))
    bias = rng.integers(-(1 << 23), 1 << 23, (50, 8))
    multiplier[0, :3], shift[0, :3] = (0, (1 << 31) - 1, 1 << 30), (0, 31, 0)
    bias[0, :3] = (-(1 << 23), (1 << 23) - 1, -1)
    fields = encode_channels(multiplier, shift, bias)
    for at in np.ndindex(multiplier.shape):
        expected = encode_channel(
            multiplier=int(multiplier[at]), shift=int(shift[at]), bias=int(bias[at]))
        assert tuple(fields[at].tolist()) == expected
    for decoded, value in zip(
        decode_channels(fields), (multiplier, shift, bias), strict=True
    ):
        np.testing.assert_array_equal(decoded, value)


@pytest.mark.parametrize(
    ("multiplier", "shift", "bias", "fields"),
    [
        # Digits 0 to 3 of the multiplier are −1, 1, 2 and 0: its code is 0b00100111.
        (-1 + 4 + 2 * 16, 5, -2, (0, 5 << 10, 0xFFFE, 0x27FF)),
        (1 << 30, 0, 0x123456, (0, 1 << 8 | 1 << 6, 0x3456, 0x12)),
        (1 << 8, 1, 0, (1, 1 << 10, 0, 0)),
    ],
)
def test_fields(multiplier: int, shift: int, bias: int, fields: tuple[int, ...]) -> None:
    assert encode_channel(multiplier=multiplier, shift=shift, bias=bias) == fields


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("multiplier", 1 << 31, "multiplier must be"),
        ("multiplier", -1, "multiplier must be"),
        ("shift", 32, "shift must be from 0 to 31, not 32"),
        ("shift", -1, "shift must be"),
        ("bias", 1 << 23, "bias must be a signed 24-bit integer, not 8388608"),
        ("bias", -(1 << 23) - 1, "bias must be"),
    ],
)
def test_channels_that_do_not_fit_the_fields(name: str, value: int, message: str) -> None:
    values = {key: np.zeros((3, 8), np.int64) for key in ("multiplier", "shift", "bias")}
    values[name][2, 5] = value
    with pytest.raises(ValueError, match=message):
        encode_channels(**values)
