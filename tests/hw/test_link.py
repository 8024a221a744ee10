"""UART and host link: loops, requests, damage and recovery."""

import gc
import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from hw.link.host import HostLink
from hw.link.protocol import Space, Status, crc16, opcode
from hw.link.uart import UARTReceiver, UARTTransmitter, divisor

WATCHDOG = 400_000


class Line:
    """The host's end of the line and the core's end of the bus, cycle by cycle."""

    def __init__(self, *, divisor=4, memory_delay=lambda: 3):
        self.link = HostLink(divisor=divisor)
        self.divisor = divisor
        self.memory_delay = memory_delay
        self.memory = {}
        self.registers = {}
        self.flash_in, self.flash_out, self.selects = [], [], 0
        self.cycle = 0
        self.outgoing = []          # bits to the device
        self.incoming = bytearray()
        self._sampled = []
        self._wait, self._answers = None, []

    def run(self, scenario):
        async def testbench(ctx):
            self.ctx = ctx
            ctx.set(self.link.rx, 1)
            await self.tick(20)
            await scenario(self)

        simulator = Simulator(self.link)
        simulator.add_clock(1e-6)
        simulator.add_testbench(testbench)
        simulator.run()

    async def tick(self, cycles=1):
        for _ in range(cycles):
            self._listen(self.ctx.get(self.link.tx))
            self._serve()
            bit = self.outgoing.pop(0) if self.outgoing else 1
            self.ctx.set(self.link.rx, bit)
            self.cycle += 1
            assert self.cycle < WATCHDOG, "the bench does not come to an end"
            await self.ctx.tick()

    def _listen(self, level):
        """Receive the device's bytes, sampling in the middle of each bit."""
        if self._sampled or not level:
            self._sampled.append(level)
        if len(self._sampled) == 10 * self.divisor:
            bits = self._sampled[self.divisor // 2::self.divisor]
            assert bits[0] == 0 and bits[9] == 1, "start and stop bit"
            self.incoming.append(sum(bit << k for k, bit in enumerate(bits[1:9])))
            self._sampled = []

    def _serve(self):
        """The core's host bus and the flash reader's raw access."""
        get, set_, link = self.ctx.get, self.ctx.set, self.link
        request, response = link.request, link.response
        set_(response.valid, 0)
        if self._answers and get(response.ready):
            set_(response.payload, self._answers.pop(0))
            set_(response.valid, 1)
        set_(request.ready, 0)
        if get(request.valid):
            if self._wait is None:
                self._wait = self.memory_delay()
            self._wait -= 1
            if self._wait < 0:
                self._wait = None
                set_(request.ready, 1)
                space = self.registers if get(request.payload.register) else self.memory
                address = get(request.payload.address)
                if get(request.payload.write):
                    space[address] = get(request.payload.data)
                else:
                    self._answers.append(space.get(address, 0xDEAD))
        set_(link.raw_busy, 0)
        if get(link.raw_start):
            assert get(link.raw_select)
            self.flash_in.append(get(link.raw_tx))
            set_(link.raw_rx, self.flash_out.pop(0) if self.flash_out else 0xEE)
            self._raw = 16
        if getattr(self, "_raw", 0):
            self._raw -= 1
            set_(link.raw_busy, 1)

    async def send(self, data):
        for byte in data:
            for bit in (0, *(byte >> k & 1 for k in range(8)), 1):
                self.outgoing += [bit] * self.divisor
        while self.outgoing:
            await self.tick()

    async def break_(self):
        self.outgoing += [0] * (12 * self.divisor) + [1] * (3 * self.divisor)
        while self.outgoing:
            await self.tick()
        self.incoming.clear()

    async def reply(self, count, *, patience=3000):
        for _ in range(patience):
            if len(self.incoming) >= count:
                break
            await self.tick()
        await self.tick(12 * self.divisor)
        data, self.incoming = bytes(self.incoming), bytearray()
        return data

    async def write(self, space, address, items, *, damage=lambda frame: frame):
        await self.send(damage(write_frame(space, address, items)))
        return check(await self.reply(3))

    async def read(self, space, address, count, **options):
        await self.send(header(False, space, address, count))
        size = 1 if space == Space.FLASH else 2
        status, data = check(await self.reply(3 + size * count, **options))
        assert status == Status.OK
        return [int.from_bytes(data[size * k:size * (k + 1)], "little") for k in range(count)]


def header(write, space, address, count):
    frame = bytes([opcode(write=write, space=space), address & 255, address >> 8, count & 255])
    return frame + crc16(frame).to_bytes(2, "little")


def write_frame(space, address, items):
    size = 1 if space == Space.FLASH else 2
    data = b"".join(item.to_bytes(size, "little") for item in items)
    return header(True, space, address, len(items)) + data + crc16(data).to_bytes(2, "little")


def check(data):
    """Return status and items of a reply; its checksum must be right."""
    assert len(data) >= 3, "no reply"
    assert crc16(data) == 0
    return Status(data[0]), data[1:-2]


def test_checksum_is_the_published_one():
    assert crc16(b"123456789") == 0x6F91


@pytest.mark.parametrize(("ratio", "skew"), [
    (4, 1.0), (5, 1.0), (10, 1.0), (16, 1.0),
    (4, 0.99), (4, 1.01), (10, 0.97), (10, 1.03), (16, 0.96), (16, 1.04),
])
def test_uart_loop(ratio, skew):
    class Loop(wiring.Component):
        def __init__(self):
            super().__init__({})
            self.transmitter = UARTTransmitter(divisor=ratio)
            self.receiver = UARTReceiver(divisor=ratio)

        def elaborate(self, platform):
            m = Module()
            m.submodules.transmitter, m.submodules.receiver = self.transmitter, self.receiver
            if skew == 1:
                m.d.comb += self.receiver.rx.eq(self.transmitter.tx)
            return m

    loop = Loop()
    message = bytes([0, 255, 0x55, 0xAA, *random.Random(ratio).randbytes(20)])
    got, bits = [], {"in": [], "out": []}

    async def sender(ctx):
        for byte in message:
            ctx.set(loop.transmitter.data.payload, byte)
            ctx.set(loop.transmitter.data.valid, 1)
            await ctx.tick().until(loop.transmitter.data.ready)
        ctx.set(loop.transmitter.data.valid, 0)

    async def bent_line(ctx):
        """The same bits a little faster or slower than the receiver's."""
        levels = [1] * 3
        for byte in message:
            levels += [0, *(byte >> k & 1 for k in range(8)), 1]
        for cycle in range(int(len(levels) * ratio * skew)):
            ctx.set(loop.receiver.rx, levels[min(int(cycle / ratio / skew), len(levels) - 1)])
            await ctx.tick()

    async def watcher(ctx):
        receiver, transmitter = loop.receiver, loop.transmitter
        for _ in range(14 * ratio * len(message)):
            await ctx.tick()
            assert not ctx.get(receiver.failed)
            if ctx.get(receiver.valid):
                got.append(ctx.get(receiver.data))
            for name, end in (("in", receiver), ("out", transmitter)):
                if ctx.get(end.bit_valid):
                    bits[name].append(ctx.get(end.bit))

    simulator = Simulator(loop)
    simulator.add_clock(1e-6)
    simulator.add_testbench(sender if skew == 1 else bent_line)
    simulator.add_testbench(watcher, background=False)
    simulator.run()
    assert bytes(got) == message
    expected = [byte >> k & 1 for byte in message for k in range(8)]
    assert bits["in"] == expected
    assert bits["out"] == (expected if skew == 1 else [])


def test_divisor():
    assert divisor(clock_mhz=36, baud=3_000_000) == 12
    assert divisor(clock_mhz=39, baud=115_200) == 339
    with pytest.raises(ValueError, match="baud must divide the clock of 36 MHz, not 7000000"):
        divisor(clock_mhz=36, baud=7_000_000)
    with pytest.raises(ValueError, match="baud must be at most a quarter of the clock, not"):
        divisor(clock_mhz=12, baud=6_000_000)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("end", [UARTReceiver, UARTTransmitter])
def test_bad_divisor(end):
    with pytest.raises(ValueError, match="divisor must be an integer of at least 4, not 3"):
        end(divisor=3)
    gc.collect()


@pytest.mark.parametrize("ratio", [4, 10])
def test_bursts(ratio):
    rng = random.Random(ratio)

    async def scenario(line):
        for count in (1, 2, 7, 256 if ratio == 4 else 30):
            items = [rng.getrandbits(16) for _ in range(count)]
            address = rng.randrange(1 << 16)
            status, data = await line.write(Space.MEMORY, address, items)
            assert (status, data) == (Status.OK, b"")
            places = [(address + k) & 0xFFFF for k in range(count)]
            assert line.memory == dict(zip(places, items, strict=True))
            assert await line.read(Space.MEMORY, address, count, patience=60_000) == items
            line.memory.clear()
        assert not line.registers

    Line(divisor=ratio, memory_delay=lambda: rng.randrange(8)).run(scenario)


def test_registers():
    async def scenario(line):
        await line.write(Space.REGISTER, 3, [0x1234, 0xABCD])
        assert line.registers == {3: 0x1234, 4: 0xABCD} and not line.memory
        line.registers[5] = 0x8001
        assert await line.read(Space.REGISTER, 3, 3) == [0x1234, 0xABCD, 0x8001]

    Line().run(scenario)


def test_flash():
    async def scenario(line):
        selected = line.link.raw_select
        await line.write(Space.FLASH, 1, [0x03, 0, 1, 2])
        assert line.flash_in == [3, 0, 1, 2] and line.ctx.get(selected), "/CS stays low"
        line.flash_out = [9, 8, 7]
        assert await line.read(Space.FLASH, 0, 3) == [9, 8, 7]
        assert not line.ctx.get(selected)
        await line.write(Space.FLASH, 0, [0x06])
        assert line.flash_in[7:] == [6] and not line.ctx.get(selected)
        assert not line.memory and not line.registers
        await line.write(Space.FLASH, 1, [0x05])
        await line.break_()
        assert not line.ctx.get(selected), "a break ends the access"

    Line().run(scenario)


def test_a_damaged_header_does_nothing_until_a_break():
    rng = random.Random(3)

    async def scenario(line):
        for _ in range(12):
            bit = rng.randrange(48)

            def flip(frame, bit=bit):
                frame = bytearray(frame)
                frame[bit // 8] ^= 1 << bit % 8
                return bytes(frame)

            status, _ = await line.write(Space.MEMORY, 0, [1, 2, 3], damage=flip)
            assert status == Status.BAD_HEADER
            await line.send(write_frame(Space.MEMORY, 0, [1]))
            assert await line.reply(1) == b"", "deaf"
            assert not line.memory and not line.registers and not line.flash_in
            await line.break_()
        await line.write(Space.MEMORY, 0, [1])
        assert line.memory == {0: 1}

    Line().run(scenario)


def test_damaged_items_are_reported():
    async def scenario(line):
        for byte in (6, 8, 12, 13):
            def flip(frame, byte=byte):
                return frame[:byte] + bytes([frame[byte] ^ 0x10]) + frame[byte + 1:]

            status, _ = await line.write(Space.MEMORY, 0, [1, 2, 3], damage=flip)
            assert status == Status.BAD_DATA
            status, _ = await line.write(Space.MEMORY, 0, [1, 2, 3])
            assert status == Status.OK
            assert line.memory == {0: 1, 1: 2, 2: 3}

    Line().run(scenario)


def test_foreign_opcodes_are_refused():
    async def scenario(line):
        frame = b"\x01\0\0\1"
        await line.send(frame + crc16(frame).to_bytes(2, "little"))
        assert check(await line.reply(3))[0] == Status.BAD_HEADER

    Line().run(scenario)


@pytest.mark.parametrize("sent", [1, 5, 6, 7, 9, 11])
def test_a_break_ends_a_request_with_lost_bytes(sent):
    async def scenario(line):
        await line.send(write_frame(Space.MEMORY, 8, [1, 2, 3])[:sent])
        assert await line.reply(1, patience=500) == b""
        await line.break_()
        line.memory.clear()
        assert (await line.write(Space.MEMORY, 8, [4, 5]))[0] == Status.OK
        assert line.memory == {8: 4, 9: 5}

    Line().run(scenario)


def test_a_break_ends_a_reply():
    async def scenario(line):
        line.memory = {k: k for k in range(64)}
        await line.send(header(False, Space.MEMORY, 0, 64))
        await line.tick(500)
        await line.break_()
        await line.tick(200)
        line.incoming.clear()
        assert await line.read(Space.MEMORY, 5, 3) == [5, 6, 7]

    Line(memory_delay=lambda: 50).run(scenario)


def test_a_core_without_time_is_reported():
    async def scenario(line):
        status, _ = await line.write(Space.MEMORY, 0, list(range(8)))
        assert status == Status.OVERRUN
        line.memory_delay = lambda: 0
        assert (await line.write(Space.MEMORY, 0, list(range(8))))[0] == Status.OK
        assert line.memory == {k: k for k in range(8)}

    Line(memory_delay=lambda: 100).run(scenario)
