"""Flash reader against the flash model: start-up, streams, exact timing, raw access."""

import gc
import itertools
import random

import pytest
from support.flash_bench import RATES, FlashBench, halfwords

from hw.contract.flash import SINGLE_RATE
from hw.contract.sections import SECTION_BYTES
from hw.program.flash_reader import FlashReader
from hw.technology.ice40.capture import CaptureClock
from sim.board.flash_part import FlashTiming
from sim.errors import FlashError

CONTENTS = random.Random(2).randbytes(1 << 14)
SECTION = SECTION_BYTES // 2


def predict(count, taken_at, read):
    """Cycles (start is 0) in which halfwords become valid, by the rules in FlashReader."""
    valid, counted, owed = [], 0, None
    begin = read.first - read.halfword
    for h in range(count):
        for checksum in (True, False) if h and h % SECTION == 0 else (False,):
            begin += read.halfword
            if counted >= FlashReader.BUFFER_HALFWORDS:
                begin = max(begin, taken_at[counted - FlashReader.BUFFER_HALFWORDS] + 1)
            if owed is not None and begin >= owed:
                owed = None
            else:
                counted += 1
            if checksum:
                owed = begin + read.trailer
        ready = begin + read.transfer
        valid.append(max(ready, taken_at[h - 1] + 1) if h else ready)
    return valid


def test_start_up_releases_the_flash_and_sets_quad_enable():
    async def scenario(bench):
        assert not bench.get(bench.reader.program.ready)
        await bench.until(bench.reader.program.ready)
        assert bench.flash.status[1] == 0x02
        assert bench.flash.status.stored[1] == 0, "the bit is written volatile"
        assert bench.cycle < 3 * FlashReader.ATTEMPT_CYCLES

    FlashBench(CONTENTS).run(scenario)


def test_start_up_leaves_a_set_quad_enable_bit_alone():
    async def scenario(bench):
        bench.flash._write_status = None    # a write would fail
        await bench.until(bench.reader.program.ready)

    FlashBench(CONTENTS, quad_enabled=True).run(scenario)


@pytest.mark.parametrize("clock_mhz", [12, 30, 36, 39.75, 40.7])
@pytest.mark.parametrize("command", [0xEB, 0xED])
def test_start_up_ends_continuous_read_mode(clock_mhz, command):
    async def scenario(bench):
        await bench.until(bench.reader.program.ready)
        await bench.start(3)
        taken, _ = await bench.take(8)
        assert taken == halfwords(8)

    FlashBench(CONTENTS, powered_down=False, continuous_read=command, quad_enabled=True,
               clock_mhz=clock_mhz).run(scenario)


@RATES
@pytest.mark.parametrize("address", [0, 1, 0x100, 0x1234])
def test_rate_and_latency_are_exact(address, read):
    async def scenario(bench):
        await bench.until(bench.reader.program.ready)
        start = await bench.start(address)
        taken, times = await bench.take(300)
        assert taken == halfwords(300)
        first = start + (read.first + read.transfer)
        assert times == [first + read.halfword * (k + k // SECTION)
                         for k in range(300)]

    FlashBench(CONTENTS, read=read).run(scenario)


@RATES
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_random_stalls_lose_nothing_and_follow_the_published_rule(seed, read):
    rng = random.Random(seed)
    address, count = rng.randrange(4096), 900
    # Stretches of very different willingness: empty, full and half-full buffer.
    eagerness = [rng.choice([0.0, 0.02, 0.2, 0.5, 1.0]) for _ in range(64)]

    async def scenario(bench):
        await bench.until(bench.reader.program.ready)
        start = await bench.start(address)
        taken, times = await bench.take(
            count, lambda cycle: cycle - start > 30_000
            or rng.random() < eagerness[(cycle - start) // 700 % 64])
        assert taken == halfwords(count)
        times = [time - start for time in times]
        expected = predict(count, times, read)
        assert all(time >= valid for time, valid in zip(times, expected, strict=True))
        await bench.stop()

        # The same stalls again, valid observed in every cycle.
        start = await bench.start(address)
        data, takes, seen = bench.reader.program.words, set(times), []
        for cycle in range(1, times[-1] + 1):
            bench.set(data.ready, int(cycle in takes))
            if bench.get(data.valid) and len(seen) <= len([t for t in seen if t[1]]):
                seen.append([cycle, False])
            if cycle in takes:
                seen[-1][1] = True
            await bench.tick()
        assert [cycle for cycle, _ in seen] == predict(count, times, read)

    FlashBench(CONTENTS, read=read).run(scenario)


@RATES
def test_full_buffer_pauses_the_clock(read):
    async def scenario(bench):
        await bench.until(bench.reader.program.ready)
        start = await bench.start(0)
        await bench.tick(start + read.first
                         + read.halfword * FlashReader.BUFFER_HALFWORDS
                         - bench.cycle)
        pins = bench.reader.pins
        for _ in range(100):
            assert not bench.get(pins.sck) and not bench.get(pins.cs_n)
            await bench.tick()
        taken, _ = await bench.take(1000)
        assert taken == halfwords(1000)

    FlashBench(CONTENTS, read=read).run(scenario)


@RATES
@pytest.mark.parametrize("after", [1, 5, 9, 10, 15, 16, 20, *range(23, 33), 60, 1200])
def test_stop_and_restart(after, read):
    async def scenario(bench):
        reader = bench.reader
        await bench.until(reader.program.ready)
        for address in (0x40, 0x801):
            await bench.start(address)
            assert bench.get(reader.busy)
            await bench.tick(after - 1)
            await bench.stop()
            assert not bench.get(reader.busy) and not bench.get(reader.program.words.valid)
            assert bench.get(reader.pins.cs_n)
            start = await bench.start(address + 2)      # /CS high for one cycle only
            taken, times = await bench.take(20)
            assert taken == halfwords(20)
            assert times[0] - start == (read.first + read.transfer)
            await bench.stop()
            await bench.tick(5)
            assert not bench.get(reader.program.words.valid)

    FlashBench(CONTENTS, read=read).run(scenario)


@RATES
@pytest.mark.slow
def test_stop_behind_a_checksum(read):
    """Whatever was about to be dropped, the next stream's first halfword counts."""
    full = read.first + read.halfword * (
        FlashReader.BUFFER_HALFWORDS)
    checksum = read.first + read.halfword * SECTION_BYTES // 2

    async def scenario(bench):
        reader = bench.reader
        await bench.until(reader.program.ready)
        bench.set(reader.program.words.ready, 1)
        for after in range(checksum - 1, checksum + 12):
            await bench.start(0x100)
            await bench.tick(after)
            await bench.stop()
            bench.set(reader.program.words.ready, 0)
            await bench.start(0x100, payload=None)
            await bench.tick(full - 2)
            assert bench.get(reader.pins.sck)
            await bench.tick(1)
            for _ in range(4):
                assert not bench.get(reader.pins.sck) and not bench.get(reader.pins.cs_n), after
                await bench.tick()
            await bench.stop()
            bench.set(reader.program.words.ready, 1)

    FlashBench(CONTENTS, read=read).run(scenario)


@RATES
@pytest.mark.slow
def test_words_can_be_taken_back_to_back_when_announced(read):
    rng = random.Random(7)

    async def scenario(bench):
        reader = bench.reader
        await bench.until(reader.program.ready)
        await bench.tick(3)
        start = await bench.start(0x123)
        taken, begins, hold = [], [], 1
        while len(taken) < 4 * 400:
            # As the core does it: announced in one cycle, taken in the next four.
            if hold == 0 and bench.get(reader.program.word_ready):
                begins.append(bench.cycle - start)
                for _ in range(4):
                    await bench.tick()
                    bench.set(reader.program.words.ready, 1)
                    assert bench.get(reader.program.words.valid)
                    taken.append(bench.get(reader.program.words.payload))
                    # `hold` of 0: the next word in the cycle in which this one's last is taken.
                hold = rng.choice([0, 0, 0, 1, 2, 30, 1500 if rng.random() < 0.1 else 0])
                if hold == 0:
                    continue
            await bench.tick()
            bench.set(reader.program.words.ready, 0)
            hold = max(0, hold - 1)
        assert taken == halfwords(1600)
        assert begins[0] == (read.first + 3 * read.halfword
                             + read.transfer)
        gaps = [b - a for a, b in itertools.pairwise(begins)]
        assert min(gaps) == 4, "words follow each other without a pause"

    FlashBench(CONTENTS, read=read).run(scenario)


def test_start_is_ignored_while_busy():
    async def scenario(bench):
        await bench.until(bench.reader.program.ready)
        await bench.start(0x10)
        await bench.tick(7)
        await bench.start(0x900)
        taken, _ = await bench.take(20)
        assert taken == halfwords(20)

    FlashBench(CONTENTS).run(scenario)


# A cycle of 39.75 MHz later.
SLOW_PATH = FlashTiming(longer=1000 / 39.75)
# Without a late clock for the input registers: what a nibble takes does not fit half a cycle.
ONE_CLOCK = FlashTiming(capture=CaptureClock(delay_ns=0, edges_ns=(0, 0)))


@pytest.mark.parametrize(("latency", "options", "works"), [
    (2, {"clock_mhz": 12}, True),
    (2, {"clock_mhz": 39.75}, True),
    (2, {"clock_mhz": 41.4}, True),
    (2, {"clock_mhz": 41.5}, False),                           # half a cycle is too short
    (3, {"clock_mhz": 39.75}, False),                          # one byte too late
    (2, {"clock_mhz": 39.75, "timing": SLOW_PATH}, False),     # one byte too early
    (3, {"clock_mhz": 39.75, "timing": SLOW_PATH}, True),
    (2, {"clock_mhz": 10, "timing": SLOW_PATH}, True),
    (2, {"clock_mhz": 39.75, "timing": ONE_CLOCK}, False),
    (2, {"clock_mhz": 20, "timing": ONE_CLOCK}, True),
    # At single rate it does: the window is half a cycle wider.
    (2, {"clock_mhz": 12, "read": SINGLE_RATE}, True),
    (2, {"clock_mhz": 48, "read": SINGLE_RATE}, True),
    (2, {"clock_mhz": 70, "read": SINGLE_RATE}, False),
    (3, {"clock_mhz": 39, "read": SINGLE_RATE}, False),
])
def test_sampling_at_the_wrong_time_is_found_out(latency, options, works):
    async def scenario(bench):
        for _ in range(1500):
            if bench.get(bench.reader.program.ready):
                break
            await bench.tick()
        else:
            assert not works, "never ready"
            return
        start = await bench.start(7)
        taken, times = await bench.take(50)
        assert (taken == halfwords(50)) == works
        read = bench.reader.read
        assert times[0] - start == read.first + read.transfer + latency - 2

    FlashBench(CONTENTS, sample_latency=latency, strict=False, **options).run(scenario)


def test_raw_access_programs_the_flash():
    async def scenario(bench):
        await bench.until(bench.reader.program.ready)
        assert (await bench.exchange(0x9F, 0, 0, 0))[1:] == [0xEF, 0x70, 0x18]
        for command in ([0x20, 0, 0x10, 0], [0x02, 0, 0x10, 0x20, *b"separable"]):
            await bench.exchange(0x06)
            assert (await bench.exchange(0x05, 0))[1] & 2
            await bench.exchange(*command)
            polls = 0
            while (await bench.exchange(0x05, 0))[1] & 1:
                polls += 1
            assert polls > 2
        assert bytes((await bench.exchange(3, 0, 0x10, 0x20, *bytes(9)))[4:]) == b"separable"
        assert bench.flash.array[0x1000:0x1020] == b"\xff" * 32
        await bench.start(0x1020, payload=None)
        taken, _ = await bench.take(4)
        assert taken == halfwords(4, b"separabl")

    FlashBench(CONTENTS, timing=FlashTiming(busy_scale=1e-3, pp=10e6)).run(scenario)


def test_raw_access_waits_for_the_stream_to_end():
    async def scenario(bench):
        await bench.until(bench.reader.program.ready)
        await bench.start(0)
        bench.set(bench.reader.raw.start, 1)
        await bench.tick(3)
        bench.set(bench.reader.raw.start, 0)
        assert not bench.get(bench.reader.raw.busy)
        taken, _ = await bench.take(10)
        assert taken == halfwords(10)

    FlashBench(CONTENTS).run(scenario)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("latency", [1, 7, "2", None])
def test_bad_sample_latency(latency):
    with pytest.raises(ValueError, match="sample_latency must be an integer from 2 to 6, not"):
        FlashReader(sample_latency=latency)
    gc.collect()


def test_the_model_refuses_a_reader_that_skips_the_start_up():
    async def scenario(bench):
        # A host takes the flash over, and does nothing with it.
        bench.set(bench.reader.raw.select, 1)
        await bench.until(bench.reader.program.ready)
        bench.set(bench.reader.raw.select, 0)
        await bench.tick(4)
        await bench.start(0)
        with pytest.raises(FlashError, match="command EDh in power-down: only ABh is obeyed"):
            await bench.take(1)

    FlashBench(CONTENTS).run(scenario)


@pytest.mark.parametrize(("options", "text"), [
    ({"dtr": False}, "command EDh: the flash has no double transfer rate"),
    ({"clock_mhz": 67}, "command EDh: clock above 66 MHz"),
])
def test_the_model_refuses_double_transfer_rate(options, text):
    async def scenario(bench):
        await bench.until(bench.reader.program.ready)
        await bench.start(0)
        with pytest.raises(FlashError, match=text):
            await bench.take(1)

    FlashBench(CONTENTS, **options).run(scenario)
