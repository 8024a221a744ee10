"""The host's end of the serial line and the core's end of the bus, cycle by cycle."""

from amaranth.sim import Simulator

from hw.contract.config import CoreConfig
from hw.contract.link import (
    FILLER,
    REPLY_BYTES,
    REPLY_MARK,
    SAFE_RATE,
    Space,
    Status,
    control_address,
    crc32,
    digest,
    header,
    payload,
)
from hw.contract.registers import Register
from hw.link.engine import HostLink

CONFIG = CoreConfig(core_mhz=39.75)
BAUD = 12_000_000
WATCHDOG = 400_000


def bits(data):
    """Return the levels of bytes on the line."""
    return [level for byte in data for level in (0, *(byte >> k & 1 for k in range(8)), 1)]


class HalfCycles:
    """A line that is looked at twice a cycle; bits are any number of half cycles long."""

    def __init__(self, length, *, offset=0.0):
        self.length, self.offset = length, offset
        self.levels = []
        self.position = offset
        self.received = bytearray()
        self._heard = []
        self.edges = []         # half cycles between edges of what is heard
        self._since, self._level = 0, 1

    def send(self, levels):
        if not self.levels:
            self.position = self.offset
        self.levels += levels

    def step(self):
        """Return the level of the next half cycle."""
        if not self.levels:
            return 1
        level = self.levels[0]
        self.position += 1
        while self.levels and self.position >= self.length:
            self.position -= self.length
            self.levels.pop(0)
        return level

    def listen(self, level):
        """Take a level of the device; samples are in the middle of bits, as measured from the
        edge of the start bit."""
        self._since += 1
        if level != self._level:
            self.edges.append(self._since)
            self._since, self._level = 0, level
        if self._heard or not level:
            self._heard.append(level)
        if len(self._heard) >= 9.75 * self.length:
            samples = [self._heard[int((k + 0.5) * self.length)] for k in range(10)]
            assert samples[0] == 0 and samples[9] == 1, "start and stop bit"
            self.received.append(sum(bit << k for k, bit in enumerate(samples[1:9])))
            self._heard = []


class Line:
    """A :class:`HostLink` with a host at one end and a core and a flash at the other."""

    def __init__(self, *, rate=0, memory_delay=lambda: 3, config=CONFIG, baud=BAUD):
        self.link = HostLink(config, baud=baud)
        self.seed = digest(config, baud)
        self.highest = 2 * config.core_mhz * 1e6 / baud
        self.line = HalfCycles(self.highest * 2**SAFE_RATE)
        self.rate = rate
        self.memory_delay = memory_delay
        self.memory, self.registers, self.starts = {}, {}, 0
        self.flash_in, self.flash_out, self._raw = [], [], 0
        self.cycle = 0
        self.sequence = 0
        self._wait, self._answers, self._halfword = None, [], 0

    def run(self, scenario):
        async def testbench(ctx):
            self.ctx = ctx
            ctx.set(self.link.samples, 3)
            await self.tick(20)
            if self.rate is not None:
                await self.choose(self.rate)
            await scenario(self)

        simulator = Simulator(self.link)
        simulator.add_clock(1e-6)
        simulator.add_testbench(testbench)
        simulator.run()

    async def tick(self, cycles=1):
        for _ in range(cycles):
            levels = self.ctx.get(self.link.levels)
            self._serve()
            self.ctx.set(self.link.samples, self.line.step() | self.line.step() << 1)
            self.line.listen(levels & 1)
            self.line.listen(levels >> 1)
            self.cycle += 1
            assert self.cycle < WATCHDOG, "the bench does not come to an end"
            await self.ctx.tick()

    def _serve(self):
        """The core's host bus and the flash reader's raw access."""
        get, set_, link = self.ctx.get, self.ctx.set, self.link
        request, response = link.bus.request, link.bus.response
        set_(response.valid, 0)
        if self._answers and get(response.ready):
            set_(response.payload, self._answers.pop(0))
            set_(response.valid, 1)
        set_(request.ready, 0)
        if get(request.valid):
            payload = request.payload
            if self._wait is None:
                # Like the host port: data are taken at once.
                self._wait = self.memory_delay()
                self._halfword = get(payload.data)
            self._wait -= 1
            if self._wait < 0:
                self._wait = None
                set_(request.ready, 1)
                address = get(payload.address)
                if not get(payload.write):
                    space = self.registers if get(payload.register) else self.memory
                    self._answers.append(space.get(address, 0xDEAD))
                elif get(payload.register) and address % 8 == Register.STATUS:
                    pass    # it cannot be written: a change of rate does
                elif get(payload.register):
                    self.starts += address == 0
                    self.registers[address] = self._halfword
                else:
                    self.memory[address] = self._halfword
        set_(link.raw.busy, self._raw > 0)
        if self._raw:
            self._raw -= 1
            assert get(link.raw.tx) == self.flash_in[-1] or self._raw < 8, "held for 8 clocks"
        if get(link.raw.start):
            assert get(link.raw.select)
            self.flash_in.append(get(link.raw.tx))
            set_(link.raw.rx, self.flash_out.pop(0) if self.flash_out else 0xEE)
            self._raw = 16

    async def send(self, data):
        self.line.send(bits(data))
        while self.line.levels:
            await self.tick()

    async def reply(self, count, *, patience=None):
        patience = patience or int(self.line.length * 12 * (count + 40))
        for _ in range(patience):
            if len(self.line.received) >= count:
                break
            await self.tick()
        await self.tick(int(6 * self.line.length))
        data, self.line.received = bytes(self.line.received), bytearray()
        return data

    def check(self, data, *, size=0):
        """Return status and items of a reply; its checksum must be right."""
        assert len(data) == REPLY_BYTES + size, "no reply, or a strange one"
        assert crc32(data, self.seed) == 0
        assert data[0] & 0xF0 == REPLY_MARK
        self.first = data[0]
        self.sequence = data[1]
        return Status(data[0] & 3), data[2:-4]

    async def write(self, space, address, items, *, damage=lambda data: data, **options):
        packet = self.packet(space, address, items, **options)
        await self.send(bytes([FILLER] * 10) + damage(packet))
        return self.check(await self.reply(REPLY_BYTES))[0]

    def packet(self, space, address, items, *, sequence=None):
        size = 2 if space in (Space.MEMORY, Space.REGISTER) else 1
        data = b"".join(item.to_bytes(size, "little") for item in items)
        head = header(sequence=self.sequence if sequence is None else sequence, write=True,
                      space=space, address=address, count=len(items))
        return head + payload(data)

    async def read(self, space, address, count, **options):
        size = 1 if space == Space.FLASH else 2
        head = header(sequence=self.sequence, write=False, space=space, address=address,
                      count=count)
        await self.send(bytes([FILLER] * 10) + head)
        status, data = self.check(await self.reply(REPLY_BYTES + size * count, **options),
                                  size=size * count)
        assert status == Status.OK
        return [int.from_bytes(data[size * k:size * (k + 1)], "little") for k in range(count)]

    async def choose(self, rate):
        """Change the rate of both ends."""
        assert await self.write(Space.CONTROL, control_address(rate), [0]) == Status.OK
        self.line.length = self.highest * 2**rate

    async def break_(self):
        """Hold the line low for longer than a character of any rate."""
        self.line.send([0] * int(20 * self.highest * 2**SAFE_RATE / self.line.length) + [1] * 20)
        while self.line.levels:
            await self.tick()
        self.line.received.clear()
        self.line.length = self.highest * 2**SAFE_RATE
