"""Flash reader: a damaged program is found out."""

import random

import pytest
from support.flash_bench import PAYLOAD, RATES, FlashBench, flipped, halfwords
from support.marks import slow

from hw.contract.sections import SECTION_BYTES, seal

SECTION = SECTION_BYTES // 2


@RATES
@pytest.mark.parametrize("sections", [1, 2, 5])
def test_a_whole_stream_is_verified(sections, read):
    payload = PAYLOAD[: sections * SECTION_BYTES - 6]

    async def scenario(bench):
        reader = bench.reader
        await bench.until(reader.program.ready)
        for _ in range(2):
            start = await bench.start(0x77, payload=payload)
            taken, _ = await bench.take(len(payload) // 2)
            assert taken == halfwords(len(payload) // 2, payload)
            while bench.get(reader.busy):
                assert not bench.get(reader.program.verified)
                await bench.tick()
            assert bench.get(reader.program.verified) and not bench.get(reader.program.corrupt)
            transfers = sections * (SECTION + 1)
            assert bench.cycle - start == (
                read.first + read.halfword * (transfers - 1) + read.check)
            # What is left in the buffer is padding, which can still be taken.
            assert (await bench.take(3))[0] == [0, 0, 0]
            assert (await bench.exchange(0x9F, 0))[1] == 0xEF, "the flash is free"
            assert bench.get(reader.program.verified)
            await bench.stop()
            assert not bench.get(reader.program.verified)

    FlashBench(read=read).run(scenario)


@RATES
def test_the_last_section_is_read_whatever_is_taken(read):
    """The loader may stop anywhere in it."""
    async def scenario(bench):
        reader = bench.reader
        await bench.until(reader.program.ready)
        await bench.start(0, payload=PAYLOAD[:SECTION_BYTES])
        # One word that the loader has read; the ring has room for at least one more.
        await bench.take(2 * 4)
        await bench.until(reader.program.verified)

    FlashBench(read=read).run(scenario)


@RATES
@pytest.mark.slow
@pytest.mark.parametrize("where", ["first", slow("middle"), slow("last"), slow("trailer")])
def test_one_wrong_bit_is_found(where, read):
    """Any bit of a stream: nothing of what is behind its section is delivered."""
    data, size = seal(PAYLOAD[: 3 * SECTION_BYTES]), SECTION_BYTES + 2
    section = {"first": 0, "middle": 1, "last": 2, "trailer": 1}[where]
    at = range(8 * SECTION_BYTES, 8 * size) if where == "trailer" else range(8 * SECTION_BYTES)
    rng = random.Random(where)

    async def scenario(bench):
        reader = bench.reader
        await bench.until(reader.program.ready)
        for bit in rng.sample(at, 12):
            bench.flash.array[: len(data)] = flipped(data, 8 * section * size + bit)
            await bench.start(0, payload=None)
            if section:
                await bench.take(section * SECTION)
            await bench.take(10)
            await bench.until(reader.program.corrupt)
            assert not bench.get(reader.program.verified) and not bench.get(reader.busy)
            bench.set(reader.program.words.ready, 1)
            for _ in range(SECTION - 10 + 4):
                await bench.tick()
            bench.set(reader.program.words.ready, 0)
            assert not bench.get(reader.program.words.valid)
            await bench.stop()
            assert not bench.get(reader.program.corrupt)

    FlashBench(read=read).run(scenario)


@RATES
@pytest.mark.parametrize("value", [0x00, 0xFF])
def test_an_empty_flash_is_found(value, read):
    async def scenario(bench):
        await bench.until(bench.reader.program.ready)
        bench.flash.array[:] = bytes([value]) * len(bench.flash.array)
        await bench.start(0, payload=None)
        await bench.take(10)
        await bench.until(bench.reader.program.corrupt)

    FlashBench(read=read).run(scenario)
