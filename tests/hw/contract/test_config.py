"""Configuration and command encoding: what hardware and software share."""

import dataclasses

import pytest

import boards
from hw.contract.config import CoreConfig
from hw.contract.descriptors import DESCRIPTOR_HALFWORDS, LAYOUT, Descriptor
from hw.contract.modes import Mode
from hw.contract.records import Record, header
from hw.contract.taps import window_steps
from hw.contract.words import HALFWORD_BITS


@pytest.mark.parametrize(("field", "value", "message"), [
    ("lanes", 8, "lanes must be 2 or 4, not 8"),
    ("memory_depth", 1000, "memory_depth must be a power of two of at least 4, not 1000"),
    ("memory_depth", 32768, "memory_depth must be at most 16384, not 32768"),
    ("weight_depth", 3, "weight_depth must be a power of two of at least 4, not 3"),
    ("acc_bits", 17, "acc_bits must be 18 to 24, not 17"),
    ("acc_bits", 25, "acc_bits must be 18 to 24, not 25"),
    ("fraction_bits", 16, "fraction_bits must be odd, 9 to 31, not 16"),
    ("technology", "ecp5", "technology must be 'ice40' or 'portable', not 'ecp5'"),
    ("flash_dtr", 1, "flash_dtr must be True or False, not 1"),
    ("core_mhz", 0, "core_mhz must be 1 to 200, not 0"),
])
def test_bad_configuration(field, value, message):
    with pytest.raises(ValueError, match=message):
        CoreConfig(**{field: value})


def test_derived_sizes():
    config = CoreConfig()
    assert (config.columns, config.word_bytes, config.multipliers) == (8, 8, 16)
    assert config.memory_bytes == 128 << 10
    small = dataclasses.replace(config, lanes=2)
    assert (small.columns, small.multipliers) == (4, 8)
    assert hash(small) != hash(config)


@pytest.mark.parametrize("name", boards.board_names())
def test_presets_are_configurations_of_their_board(name):
    board = boards.get(name)
    assert isinstance(board.config, CoreConfig)
    assert board.flash.program_base < board.flash.size


def descriptor(**changes):
    values = {
        "mode": Mode.SYSTOLIC, "steps": 8, "inner": 2, "middle": 1, "width": 3, "height": 4,
        "blocks": 5, "input_zero_point": -128, "output_zero_point": 3, "act_min": -128,
        "act_max": 127, "input_base": 100, "output_base": 200, "output_step": 5, "last_steps": 4,
    }
    return Descriptor(**(values | changes))


def test_descriptor_round_trip():
    changes = {
        "last": True, "shared": True, "pad_left": True, "skip_last": True, "odd": True,
        "step_inner": -3, "step_middle": 16383, "step_row": -16383, "steps": 1024, "blocks": 256,
    }
    halfwords = descriptor(**changes).halfwords()
    assert all(0 <= halfword < 1 << 16 for halfword in halfwords)
    assert len(halfwords) == DESCRIPTOR_HALFWORDS
    for name, at in LAYOUT.items():
        stored = halfwords[at.halfword] >> at.low & (1 << at.width) - 1
        value = int(getattr(descriptor(**changes), name)) - at.bias
        assert stored == value & (1 << at.width) - 1, name


def test_fields_do_not_overlap():
    taken = set()
    for name, at in LAYOUT.items():
        bits = {(at.halfword, bit) for bit in range(at.low, at.low + at.width)}
        assert not bits & taken, name
        assert max(bit for _, bit in bits) < HALFWORD_BITS
        taken |= bits


@pytest.mark.parametrize(("field", "value"), [
    ("steps", 0), ("steps", 1025), ("inner", 257), ("width", 0), ("input_base", 1 << 14),
    ("act_min", -129), ("input_zero_point", 128), ("step_inner", 1 << 14),
])
def test_descriptor_range(field, value):
    with pytest.raises(ValueError, match=f"{field} must be"):
        descriptor(**{field: value})


def test_descriptor_clamp_order_and_kernel_rows():
    with pytest.raises(ValueError, match="act_min must be at most act_max"):
        descriptor(act_min=5, act_max=4)
    with pytest.raises(ValueError, match="last_steps must be at least 2"):
        descriptor(inner=1, middle=3, last_steps=1, steps=3)


@pytest.mark.parametrize("changes", [
    {"mode": Mode.ADD}, {"height": 2}, {"shared": True}, {"skip_last": True},
    {"input_zero_point": 1},
])
def test_partial_sums_of_other_layers(changes):
    plain = {"partial": True, "mode": Mode.SYSTOLIC, "height": 1, "width": 3, "blocks": 4,
             "input_zero_point": 0}
    assert descriptor(**plain).records == 12
    with pytest.raises(ValueError, match="partial sums are for SYSTOLIC layers of one row"):
        descriptor(**plain | changes)


def test_headers():
    assert header(Record.BLOCK, 1024) == 2 << 13 | 1024
    with pytest.raises(ValueError, match="count must be 0 to 8191, not 8192"):
        header(Record.BLOCK, 8192)


def test_ordinary_window_steps_cover_every_tap():
    for mode, count, ages in ((Mode.DEPTHWISE, 5, (2, 1, 0)),
                              (Mode.DEPTHWISE_STRIDE2, 8, (1, 0, -1)),
                              (Mode.DEPTHWISE_STRIDE2, 8, (2, 1, 0))):
        seen = {tap for step in window_steps(mode)[:count] for tap in step}
        assert {(age, row) for age in ages for row in range(3)} <= seen
