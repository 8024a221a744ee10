"""Start-up of the flash reader: lines that are stuck, late or disturbed; pins at rest; the host."""

import random

import pytest
from amaranth.hdl import ClockDomain, Module, ResetSignal, Signal
from amaranth.sim import Simulator
from support.disturbed_flash import FOREVER, LINES, Disturbance, DisturbedBench
from support.flash_bench import FlashBench, halfwords

import boards
from hw.contract.link import CRC_BYTES, REPLY_BYTES
from hw.program.flash_reader import FlashReader
from sw.driver.serial import FLASH_RATE

CONTENTS = random.Random(2).randbytes(1 << 14)
PAYLOAD = random.Random(3).randbytes(100)

ATTEMPT = FlashReader.ATTEMPT_CYCLES
RECOVERY = 3 * ATTEMPT + 32 * FlashReader.READ_BACKS
"""Cycles from the end of a disturbance to a flash that is ready: one attempt may have been cut
into, one may find that QE is 0."""

STATES = (
    {"powered_down": True},
    {"powered_down": False, "quad_enabled": True},
    {"powered_down": False, "quad_enabled": True, "continuous_read": 0xED},
    {"powered_down": False, "quad_enabled": True, "continuous_read": 0xEB},
)
"""What a flash may have been left as."""


async def stream(bench):
    """Run a stream; return how it ended."""
    program = bench.reader.program
    await bench.start(0x40, payload=PAYLOAD)
    bench.set(program.words.ready, 1)
    for _ in range(3000):
        await bench.tick()
        if bench.get(program.verified) or bench.get(program.corrupt):
            return "verified" if bench.get(program.verified) else "corrupt"
    return "nothing"


def check_late(disturbances, **options):
    """A flash whose lines come right in the end is ready then, and obeys."""
    async def scenario(bench):
        while not bench.get(bench.reader.program.ready):
            assert bench.cycle < bench.calm + RECOVERY, disturbances
            await bench.tick()
        await bench.tick(max(0, bench.calm - bench.cycle) + 4)
        del bench.flash.errors[:]
        assert await stream(bench) == "verified", disturbances
        assert not bench.flash.errors, disturbances

    DisturbedBench(CONTENTS, disturbances, **options).run(scenario)


def check_stuck(disturbances, **options):
    """A flash with dead lines is never ready, or its streams are corrupt."""
    async def scenario(bench):
        for _ in range(6 * ATTEMPT):
            if bench.get(bench.reader.program.ready):
                # Only lines that the start-up does without.
                assert {d.line for d in disturbances} <= {"io2", "io3"}, disturbances
                assert await stream(bench) == "corrupt", disturbances
                return
            await bench.tick()

    DisturbedBench(CONTENTS, disturbances, **options).run(scenario)


@pytest.mark.parametrize("level", [0, 1, None])
def test_a_flash_that_answers_late_becomes_ready(level):
    """As an FT2232H pulls its lines during enumeration: a status of FFh is not one with QE."""
    check_late([Disturbance(line="io1", level=level, until=1200)])


@pytest.mark.parametrize("line", ["cs_n", "sck", "io0"])
def test_a_flash_that_hears_late_becomes_ready(line):
    """It missed its release from power-down."""
    check_late([Disturbance(line=line, level=0, until=400)])


@pytest.mark.slow
@pytest.mark.parametrize("until", [20, 270, 290, 310, 580, 600, 700, 1000, 2500])
@pytest.mark.parametrize("line", LINES)
def test_every_line_may_come_late(line, until):
    for number, level in enumerate((0, 1, None)):
        check_late([Disturbance(line=line, level=level, until=until)],
                   **STATES[(number + until) % len(STATES)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_any_lines_may_come_late(seed):
    rng = random.Random(seed)
    for number in range(6):
        check_late([
            Disturbance(line=line, level=rng.choice([0, 1, None]), until=rng.randrange(1, 2500))
            for line in rng.sample(LINES, rng.randint(2, 6))
        ], seed=number, **rng.choice(STATES))


def test_a_line_that_rises_or_falls_is_no_status():
    """Wherever in the byte it does, and as often in a row as a status is looked at."""
    # Those with QE; the bits behind `place` are not `first` any more.
    edges = [(0, place) for place in range(7)] + [(1, 7)]
    clocks = reads = 0
    opcode = 0

    def step(cs_n, sck, o, _oe):
        nonlocal clocks, reads, opcode
        clocks = 0 if cs_n else clocks + sck.bit_count()
        if clocks <= 8:
            opcode = (opcode << 1 | o & 1) if sck else opcode
        reads += clocks == 16 and sck and opcode & 0xFF == 0x35
        first, place = edges[reads // FlashReader.READ_BACKS % len(edges)]
        return 0xFF * (first ^ (clocks > 8 + place))

    async def scenario(bench):
        bench.flash.step = step
        while reads < len(edges) * FlashReader.READ_BACKS:
            await bench.tick()
            assert not bench.get(bench.reader.program.ready), (reads, opcode)

    FlashBench().run(scenario)


@pytest.mark.slow
@pytest.mark.parametrize("level", [0, 1, None])
@pytest.mark.parametrize("line", LINES)
def test_no_dead_line_is_taken_for_a_flash(line, level):
    for state in STATES:
        check_stuck([Disturbance(line=line, level=level, until=FOREVER)], **state)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_no_dead_lines_are_taken_for_a_flash(seed):
    rng = random.Random(seed)
    for number in range(6):
        check_stuck([
            Disturbance(line=line, level=rng.choice([0, 1, None]), until=FOREVER)
            for line in rng.sample(LINES, rng.randint(1, 6))
        ], seed=number, **rng.choice(STATES))


def test_no_flash_is_never_ready():
    async def scenario(bench):
        bench.flash.step = lambda *pins: 0
        await bench.tick(5 * ATTEMPT)
        assert not bench.get(bench.reader.program.ready)
        await bench.start(0)
        assert not bench.get(bench.reader.busy)

    FlashBench().run(scenario)


# -- pins ----------------------------------------------------------------------------------------


def test_pins_are_quiet_in_reset_and_for_a_while_after_it():
    reader, reset = FlashReader(), Signal(init=1)
    m = Module()
    m.domains.sync = ClockDomain()
    m.submodules.reader = reader
    m.d.comb += ResetSignal("sync").eq(reset)
    pins = reader.pins

    async def testbench(ctx):
        for cycle in range(250):
            ctx.set(reset, cycle < 50)
            ctx.set(pins.i, cycle & 0xFF)
            assert ctx.get(pins.cs_n) and not ctx.get(pins.sck)
            # /WP and /HOLD are high, the flash's output is left alone.
            assert ctx.get(pins.oe) == 0b1101 and ctx.get(pins.o) & 0b1100 == 0b1100
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("after", [9, 15, 16, 17, 18, 23, 24, 25, 40])
def test_outputs_stay_off_until_the_flash_has_let_go(after):
    """A cycle behind the rise of /CS, wherever a stream is stopped."""
    async def scenario(bench):
        reader, pins = bench.reader, bench.reader.pins
        await bench.until(reader.program.ready)
        await bench.start(0x40, payload=PAYLOAD)
        await bench.tick(after - 1)
        await bench.stop()
        assert bench.get(pins.cs_n) and not bench.get(pins.sck)
        assert bench.get(pins.oe) == (0 if after > 15 else 0b1101)
        await bench.start(0x40, payload=PAYLOAD)
        assert not bench.get(pins.cs_n) and bench.get(pins.oe) == 0b1101
        assert (await bench.take(4))[0] == halfwords(4, PAYLOAD)

    FlashBench(CONTENTS).run(scenario)


def test_outputs_stay_off_until_the_flash_has_let_go_behind_a_stream():
    async def scenario(bench):
        reader, pins = bench.reader, bench.reader.pins
        await bench.until(reader.program.ready)
        await bench.start(0x40, payload=PAYLOAD)
        bench.set(reader.program.words.ready, 1)
        await bench.until(reader.busy, 0)
        for outputs in (0, 0b1101, 0b1101):
            assert bench.get(pins.cs_n) and not bench.get(pins.sck)
            assert bench.get(pins.oe) == outputs
            await bench.tick()

    FlashBench(CONTENTS).run(scenario)


# -- the host ------------------------------------------------------------------------------------


async def take_over(bench, delay):
    """Select the flash after some cycles, and send what a host sends first."""
    await bench.tick(delay)
    bench.set(bench.reader.raw.select, 1)
    await bench.until(bench.reader.program.ready)
    assert bench.cycle <= delay + ATTEMPT
    await bench.exchange(0xFF)
    await bench.exchange(0xAB)
    await bench.tick(200)


DELAYS = [0, 260, 500, 540, 560, 580, 600, 630]
"""Cycles: in reset's wait, in the commands' bytes and between them."""


@pytest.mark.parametrize("delay", DELAYS)
def test_a_host_takes_over_a_flash_that_is_not_ready(delay):
    async def scenario(bench):
        model = bench.flash.step
        bench.flash.step = lambda *pins: model(*pins) & 0   # nothing comes back
        await take_over(bench, delay)
        bench.flash.step = model
        assert (await bench.exchange(0x9F, 0, 0, 0))[1:] == [0xEF, 0x70, 0x18]
        await bench.exchange(0x50)
        await bench.exchange(0x31, 0x02)
        assert (await bench.exchange(0x35, 0))[1] == 2
        assert await stream(bench) == "verified"

    FlashBench(CONTENTS).run(scenario)


@pytest.mark.parametrize("level", [0, 1])
def test_a_host_takes_over_where_no_flash_is(level):
    async def scenario(bench):
        bench.flash.step = lambda *pins: 0xFF * level
        await take_over(bench, 1000)
        assert (await bench.exchange(0x9F, 0, 0, 0))[1:] == [0xFF * level] * 3
        assert await stream(bench) == "corrupt"

    FlashBench().run(scenario)


def test_a_packet_of_one_byte_lasts_longer_than_an_attempt():
    """So the first one that the driver sends takes the flash over."""
    board = boards.get("icebreaker")
    bit = board.config.core_mhz * 1e6 / (board.baud >> FLASH_RATE)
    assert 10 * (1 + CRC_BYTES + REPLY_BYTES) * bit > ATTEMPT


def test_a_host_that_selects_a_ready_flash_changes_nothing():
    async def scenario(bench):
        reader = bench.reader
        await bench.until(reader.program.ready)
        bench.set(reader.raw.select, 1)
        await bench.tick(2 * ATTEMPT)
        assert bench.get(reader.program.ready) and not bench.get(reader.raw.busy)
        bench.set(reader.raw.select, 0)
        await bench.tick(4)
        assert await stream(bench) == "verified"

    FlashBench(CONTENTS).run(scenario)
