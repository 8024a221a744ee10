"""The link: requests, replies, sequence numbers, damage and recovery."""

import random

import pytest
from support.link_bench import CONFIG, Line
from support.marks import slow

from hw.contract.link import (
    BUSY,
    FILLER,
    FRESH,
    REPLY_BYTES,
    Space,
    Status,
    control_address,
    crc32,
    digest,
    find_seed,
    header,
)
from hw.contract.registers import Register

pytestmark = pytest.mark.slow


def test_checksum_is_the_published_one():
    assert crc32(b"123456789") ^ 0xFFFFFFFF == 0xCBF43926
    assert crc32(b"123456789" + crc32(b"123456789").to_bytes(4, "little")) == 0


def test_seeds_are_found():
    rng = random.Random(1)
    for size in (0, 1, 2, 6, 300):
        data, seed = rng.randbytes(size), rng.getrandbits(32)
        assert find_seed(data, crc32(data, seed)) == seed


def test_digests_differ():
    from dataclasses import replace

    one = digest(CONFIG, 12_000_000)
    assert one == digest(replace(CONFIG, technology="portable"), 12_000_000)
    assert len({one, digest(CONFIG, 6_000_000), digest(replace(CONFIG, lanes=2), 12_000_000),
                digest(replace(CONFIG, flash_dtr=False), 12_000_000),
                digest(replace(CONFIG, acc_bits=23), 12_000_000)}) == 5


def test_bad_fields():
    good = {"sequence": 0, "write": True, "space": Space.MEMORY, "address": 0, "count": 1}
    with pytest.raises(ValueError, match="count must be 1 to 2048, not 0"):
        header(**good | {"count": 0})
    with pytest.raises(ValueError, match="address must be 0 to 65535, not 65536"):
        header(**good | {"address": 1 << 16})
    with pytest.raises(ValueError, match="rate must be 0 to 3, not 4"):
        control_address(4)


@pytest.mark.parametrize("rate", [slow(0), 1, slow(3)])
def test_bursts(rate):
    rng = random.Random(rate)

    async def scenario(line):
        for count in (1, 2, 7, 260 if rate == 0 else 20):
            items = [rng.getrandbits(16) for _ in range(count)]
            address = rng.randrange(1 << 16)
            assert await line.write(Space.MEMORY, address, items) == Status.OK
            await line.tick(20)
            places = [(address + k) & 0xFFFF for k in range(count)]
            assert line.memory == dict(zip(places, items, strict=True))
            assert await line.read(Space.MEMORY, address, count) == items
            line.memory.clear()
        assert not line.starts

    Line(rate=rate, memory_delay=lambda: rng.randrange(8)).run(scenario)


def test_registers_and_start():
    async def scenario(line):
        await line.write(Space.REGISTER, 1, [0x1234, 0xABCD])
        assert line.registers == {1: 0x1234, 2: 0xABCD} and not line.memory
        line.registers[3] = 0x8001
        assert await line.read(Space.REGISTER, 1, 3) == [0x1234, 0xABCD, 0x8001]
        assert line.starts == 0
        assert await line.write(Space.CONTROL, control_address(), [0]) == Status.OK
        assert line.starts == 1 and not line.memory
        line.ctx.set(line.link.busy, 1)
        await line.write(Space.REGISTER, 3, [0])
        assert line.first & BUSY
        line.ctx.set(line.link.busy, 0)
        await line.write(Space.REGISTER, 3, [0])
        assert not line.first & BUSY

    Line().run(scenario)


@pytest.mark.slow
def test_the_rate_changes_after_the_reply():
    async def scenario(line):
        await line.write(Space.MEMORY, 0, [1])
        assert line.first & FRESH
        for rate in (0, 3, 2, 1, 0):
            await line.choose(rate)
            await line.write(Space.MEMORY, 0, [rate])
            assert not line.first & FRESH
        assert line.memory == {0: 0} and line.starts == 0
        await line.break_()
        await line.write(Space.MEMORY, 0, [7])
        assert line.memory == {0: 7}
        assert not line.first & FRESH

    Line(rate=None).run(scenario)


@pytest.mark.slow
def test_a_packet_out_of_sequence_does_nothing_and_says_what_is_expected():
    async def scenario(line):
        for _ in range(9):
            await line.write(Space.MEMORY, 0, [3])
        expected = line.sequence
        assert expected == 10     # with the change of rate
        for wrong in (expected + 1, expected - 1, expected ^ 0x80, 0):
            status = await line.write(Space.MEMORY, 0, [9, 8], sequence=wrong)
            assert (status, line.sequence) == (Status.SEQUENCE, expected)
            status = await line.write(Space.CONTROL, control_address(), [0], sequence=wrong)
            assert (status, line.sequence) == (Status.SEQUENCE, expected)
            status = await line.write(Space.FLASH, 1, [9], sequence=wrong)
            assert (status, line.sequence) == (Status.SEQUENCE, expected)
            await line.send(header(sequence=wrong & 255, write=False, space=Space.MEMORY,
                                   address=0, count=8))
            status, items = line.check(await line.reply(REPLY_BYTES))
            assert (status, items, line.sequence) == (Status.SEQUENCE, b"", expected)
        assert line.memory == {0: 3} and not line.starts
        assert not line.flash_in and not line.ctx.get(line.link.raw.select)
        assert await line.write(Space.MEMORY, 1, [4]) == Status.OK
        assert line.memory == {0: 3, 1: 4}

    Line().run(scenario)


@pytest.mark.slow
def test_flash():
    async def scenario(line):
        selected = line.link.raw.select
        await line.write(Space.FLASH, 1, [0x03, 0, 1, 2])
        assert line.flash_in == [3, 0, 1, 2] and line.ctx.get(selected), "/CS stays low"
        line.flash_out = [9, 8, 7]
        assert await line.read(Space.FLASH, 0, 3) == [9, 8, 7]
        assert not line.ctx.get(selected)
        await line.write(Space.FLASH, 0, [0x06])
        assert line.flash_in[7:] == [6] and not line.ctx.get(selected)
        await line.write(Space.FLASH, 1, [0x05])
        await line.write(Space.MEMORY, 0, [5])
        assert line.ctx.get(selected), "others leave it alone"

        def flip(data):
            return data[:12] + bytes([data[12] ^ 1]) + data[13:]

        assert await line.write(Space.FLASH, 0, [1, 2, 3, 4], damage=flip) == Status.DAMAGED
        assert line.ctx.get(selected), "a damaged packet does not end a command"
        await line.break_()
        assert line.ctx.get(selected), "nor does a break"
        assert await line.write(Space.FLASH, 0, [0xFF]) == Status.OK
        assert not line.ctx.get(selected)

    Line(rate=1).run(scenario)


@pytest.mark.slow
def test_a_damaged_header_does_nothing():
    rng = random.Random(3)

    async def scenario(line):
        for number in range(8):
            bit = rng.randrange(80) if number else 0
            packet = bytearray(line.packet(Space.MEMORY, 0, [1, 2, 3]))
            packet[bit // 8] ^= 1 << bit % 8
            await line.send(packet)
            assert await line.reply(1, patience=1500) == b""
            assert not line.memory and not line.registers and not line.flash_in
            assert await line.write(Space.REGISTER, 1, [number]) == Status.OK
            line.registers.clear()

    Line().run(scenario)


@pytest.mark.slow
def test_damaged_items_are_reported_and_written_again():
    async def scenario(line):
        for byte in (10, 12, 15, 16, 19):
            def flip(data, byte=byte):
                return data[:byte] + bytes([data[byte] ^ 0x10]) + data[byte + 1:]

            before = line.sequence
            assert await line.write(Space.MEMORY, 0, [1, 2, 3], damage=flip) == Status.DAMAGED
            assert line.sequence == before
            assert await line.write(Space.MEMORY, 0, [1, 2, 3]) == Status.OK
            assert line.memory == {0: 1, 1: 2, 2: 3}
        for byte in range(10, 15):
            def flip(data, byte=byte):
                return data[:byte] + bytes([data[byte] ^ 0x10]) + data[byte + 1:]

            await line.write(Space.CONTROL, control_address(), [0], damage=flip)
            assert not line.starts, "only what was right as a whole starts"

    Line().run(scenario)


@pytest.mark.parametrize("seed", [0, *map(slow, range(1, 4))])
def test_garbage_and_lost_bytes(seed):
    """After fillers the next packet is understood, whatever came before."""
    rng = random.Random(seed)

    async def scenario(line):
        for number in range(4):
            packet = line.packet(Space.MEMORY, 8, [1, 2, 3])
            kind = rng.randrange(3)
            at = rng.randrange(len(packet))
            if kind == 0:
                packet = packet[:at] + packet[at + 1:]
            elif kind == 1:
                packet = packet[:at] + rng.randbytes(3) + packet[at:]
            else:
                packet = rng.randbytes(rng.randrange(40)) + packet[at:]
            await line.send(packet + bytes([FILLER] * 60))
            line.line.received.clear()
            before = line.sequence
            line.memory.clear()
            status = await line.write(Space.MEMORY, 30, [number])
            if status == Status.SEQUENCE:
                # The damage did no harm after all.
                assert line.sequence == (before + 1) % 256
                status = await line.write(Space.MEMORY, 30, [number])
            assert status == Status.OK
            assert line.memory == {30: number}

    Line().run(scenario)


@pytest.mark.parametrize("sent", [slow(1), slow(5), slow(9), slow(10), 13, slow(15), slow(17)])
def test_a_break_ends_a_request(sent):
    async def scenario(line):
        await line.send(line.packet(Space.MEMORY, 8, [1, 2, 3])[:sent])
        assert await line.reply(1, patience=500) == b""
        await line.break_()
        line.memory.clear()
        assert await line.write(Space.MEMORY, 8, [4, 5]) == Status.OK
        await line.tick(20)
        assert line.memory == {8: 4, 9: 5}

    Line().run(scenario)


def test_a_core_without_time_is_reported():
    async def scenario(line):
        assert await line.write(Space.MEMORY, 0, list(range(8))) == Status.OVERRUN
        line.memory_delay = lambda: 0
        assert await line.write(Space.MEMORY, 0, list(range(8))) == Status.OK
        await line.tick(20)
        assert line.memory == {k: k for k in range(8)}
        # An access that waits long is not led astray by what comes after it.
        line.memory_delay = lambda: 6000
        assert await line.write(Space.MEMORY, 77, [0x1234]) == Status.OK
        await line.send(line.packet(Space.REGISTER, 1, [1]))
        await line.tick(9000)
        assert line.memory.pop(77) == 0x1234
        assert line.memory == {k: k for k in range(8)} and not line.registers

    Line(memory_delay=lambda: 100).run(scenario)


def test_status_is_register_4():
    """A change of rate writes it, which does nothing."""
    assert control_address(2) % 8 == Register.STATUS and control_address() == Register.START
