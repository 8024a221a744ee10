"""Flash model: what it refuses, and the C++ model equal to the Python one on random traces."""

import dataclasses
import random
import shutil
import subprocess

import pytest

from sim.board.flash_faults import FlashFaults
from sim.board.flash_model import FlashModel
from sim.board.flash_part import FlashTiming
from sim.errors import FlashError

CONTENTS = random.Random(2).randbytes(1 << 16)
FAST = FlashTiming(busy_scale=1e-4, pp=10e6)


class Master:
    """Drives a model with whole commands and writes down every step."""

    def __init__(self, model):
        self.model = model
        self.trace = []

    def step(self, cs_n=1, sck=0, o=0xD, oe=0xD):
        """One cycle; ``sck`` is 0, 2 (a pulse), 1 (a pulse ends) or 3.  Return what was there."""
        value = self.model.step(cs_n, sck, o, oe)
        self.trace.append((cs_n, sck, o, oe, value))
        return value

    def idle(self, cycles):
        for _ in range(cycles):
            self.step()

    def clocks(self, values):
        """One clock per (o, oe); return what came in, one step later."""
        seen = [self.step(0, 2, o, oe) for o, oe in values]
        seen.append(self.step(0))
        return [value & 0xF for value in seen[1:]]

    def command(self, data, count=0, *, gap=4):
        """Single-bit command of bytes, then ``count`` bytes in."""
        bits = [(0xC | (byte >> k & 1), 0xD) for byte in data for k in range(7, -1, -1)]
        seen = self.clocks(bits + [(0xC, 0xD)] * (8 * count))[len(bits):]
        self.idle(gap)
        bits = [value >> 1 & 1 for value in seen]
        return [int("".join(map(str, bits[8 * k:8 * k + 8])), 2) for k in range(count)]

    def quad_read(self, address, count, *, mode=0xFF, opcode=True):
        bits = [(0xC | (0xEB >> k & 1), 0xD) for k in range(7, -1, -1)] if opcode else []
        nibbles = [(address << 8 | mode) >> 4 * k & 0xF for k in range(7, -1, -1)]
        outgoing = bits + [(nibble, 0xF) for nibble in nibbles] + [(0, 0)] * 4
        seen = []
        for o, oe in outgoing + [(0, 0)] * (2 * count):
            seen.append(self.step(0, 2, o, oe) & 0xF)
        seen.append(self.step(0, 0, 0, 0) & 0xF)
        self.step(1, 0, 0, 0)
        seen = seen[1 + len(outgoing):]
        self.idle(4)
        return bytes(seen[2 * k] << 4 | seen[2 * k + 1] for k in range(count))


    def dtr_read(self, address, count, *, mode=0xFF, opcode=True, dummies=7):
        if opcode:
            for k in range(7, -1, -1):
                self.step(0, 2, 0xC | (0xED >> k & 1), 0xD)
        for k in range(7, -1, -1):
            self.step(0, 1 + k % 2, (address << 8 | mode) >> 4 * k & 0xF, 0xF)
        for _ in range(dummies):
            self.step(0, 2, 0, 0)
        seen = [self.step(0, 2, 0, 0) for _ in range(count)]
        seen.append(self.step(0, 0, 0, 0))
        self.step(1, 0, 0, 0)
        self.idle(4)
        return bytes(seen[1:])


def awake(**options):
    options = {"quad_enabled": True, "timing": FAST, "clock_mhz": 40} | options
    master = Master(FlashModel(CONTENTS, powered_down=False, **options))
    master.idle(4)
    return master


def test_reads():
    master = awake()
    assert bytes(master.command([0x03, 0, 1, 2], 5)) == CONTENTS[0x102:0x107]
    assert bytes(master.command([0x0B, 0, 1, 2, 0], 5)) == CONTENTS[0x102:0x107]
    assert master.quad_read(0x1234, 9) == CONTENTS[0x1234:0x123D]
    assert master.dtr_read(0x1234, 9) == CONTENTS[0x1234:0x123D]
    assert master.command([0x9F], 4) == [0xEF, 0x70, 0x18, 0xEF]
    assert awake(dtr=False).command([0x9F], 3) == [0xEF, 0x40, 0x18]
    assert master.command([0xAB, 0, 0, 0], 1) == [0x17]
    assert master.quad_read(0xFFFFFE, 4) == b"\xff\xff" + CONTENTS[:2], "the address wraps"


def test_continuous_read_needs_no_opcode_until_reset():
    master = awake()
    assert master.quad_read(0x10, 2, mode=0xA5) == CONTENTS[0x10:0x12]
    assert master.quad_read(0x20, 2, mode=0xA0, opcode=False) == CONTENTS[0x20:0x22]
    master.command([0xFF])
    assert master.quad_read(0x30, 2) == CONTENTS[0x30:0x32]
    assert master.dtr_read(0x10, 2, mode=0xA5) == CONTENTS[0x10:0x12]
    assert master.dtr_read(0x20, 2, mode=0xA0, opcode=False) == CONTENTS[0x20:0x22]
    master.command([0xFF])
    assert master.dtr_read(0x30, 2) == CONTENTS[0x30:0x32]


@pytest.mark.parametrize("dummies", [6, 8])
def test_a_wrong_number_of_dummy_clocks_gives_wrong_data(dummies):
    assert awake().dtr_read(0x40, 8, dummies=dummies) != CONTENTS[0x40:0x48]


@pytest.mark.parametrize(("options", "text"), [
    ({"quad_enabled": False}, "command EDh: the quad-enable bit is 0"),
    ({"dtr": False}, "command EDh: the flash has no double transfer rate"),
    ({"clock_mhz": 70}, "command EDh: clock above 66 MHz"),
])
def test_double_transfer_rate_is_refused(options, text):
    with pytest.raises(FlashError, match=text):
        awake(**options).dtr_read(0, 1)


def test_lines_that_change_with_the_clock_are_found():
    """At double transfer rate, nibbles that change with SCK and not half a cycle earlier."""
    master = awake()
    for k in range(7, -1, -1):
        master.step(0, 2, 0xC | (0xED >> k & 1), 0xD)
    with pytest.raises(FlashError, match="the lines change while the flash takes them"):
        for nibble in (1, 2, 3):
            master.step(0, 1, nibble, 0xF)


def test_power_down_until_released():
    master = Master(FlashModel(CONTENTS, timing=FAST))
    with pytest.raises(FlashError, match="command 9Fh in power-down: only ABh is obeyed"):
        master.command([0x9F], 3)
    master = Master(FlashModel(CONTENTS, timing=FAST))
    master.command([0xAB])
    with pytest.raises(FlashError, match="command 9Fh: tRES1 is not over"):
        master.command([0x9F], 3)
    master = Master(FlashModel(CONTENTS, timing=FAST, strict=False, clock_mhz=40))
    assert master.command([0x9F], 3) == [0xFF] * 3
    master.command([0xAB])
    master.idle(145)
    assert master.command([0x9F], 1) == [0xEF]
    master.command([0xB9])
    master.command([0x05], 1)
    assert [error.split(": ", 1)[1] for error in master.model.errors] == [
        "command 9Fh in power-down: only ABh is obeyed",
        "command 05h in power-down: only ABh is obeyed"]


def test_quad_commands_need_quad_enable():
    master = awake(quad_enabled=False)
    with pytest.raises(FlashError, match="command EBh: the quad-enable bit is 0"):
        master.quad_read(0, 1)
    master = awake(quad_enabled=False)
    master.command([0x50])
    master.command([0x31, 0x02])
    assert master.command([0x35], 1) == [0x02]
    assert master.quad_read(4, 3) == CONTENTS[4:7]
    master.command([0x66])
    master.command([0x99])
    master.idle(1500)
    assert master.command([0x35], 1) == [0], "a volatile bit does not survive a reset"
    with pytest.raises(FlashError, match="IO3 is /HOLD and low"):
        master.step(0, 2, 0x5, 0xD)


def test_program_and_erase():
    master = awake()
    for data in ([0x20, 0, 0x12, 0x34], [0x02, 0, 0x12, 0xFE, 1, 2, 3]):
        with pytest.raises(FlashError, match=f"command {data[0]:02X}h without write enable"):
            master.command(data)
        master.idle(4)
        master.command([0x06])
        assert master.command([0x05], 1) == [0x02]
        master.command(data)
        assert master.command([0x05], 1) == [0x01]
        with pytest.raises(FlashError, match="command 03h: busy"):
            master.command([0x03, 0, 0x12, 0], 1)
        for _ in range(20_000):
            if master.command([0x05], 1) == [0]:
                break
        else:
            pytest.fail("busy for ever")
    array = master.model.array
    assert array[0x12FE:0x1300] == b"\1\2" and array[0x1200] == 3, "the page wraps"
    assert array[0x1201:0x12FE] == b"\xff" * 0xFD
    assert array[0x0FFF] == CONTENTS[0x0FFF] and array[0x2000] == CONTENTS[0x2000]


def test_timing_of_chip_select():
    master = awake()
    master.command([0x06], gap=0)
    with pytest.raises(FlashError, match="/CS high for 25 ns, must be at least 50 ns"):
        for cs_n in (1, 0):
            master.step(cs_n)


def test_writes_end_at_a_byte():
    master = awake()
    master.command([0x06])
    master.clocks([(0xC, 0xD)] * 6 + [(0xD, 0xD), (0xC, 0xD)] + [(0xC, 0xD)] * 29)
    with pytest.raises(FlashError, match="command 02h: /CS high in the middle of a byte"):
        master.idle(1)


def test_contention_is_found():
    master = awake()
    with pytest.raises(FlashError, match="the host drives lines that the flash drives"):
        master.clocks([(0xC | (0x9F >> k & 1), 0xF) for k in range(7, -1, -1)]
                      + [(0, 0xF)] * 4)


@pytest.mark.parametrize(("clock_mhz", "off", "refused"), [
    (39, 0, True), (39, 1, False), (70, 0, True), (133, 0, True), (133, 1, False), (12, 0, True),
])
def test_outputs_of_the_host_too_early_behind_a_read_are_refused(clock_mhz, off, refused):
    """Half a cycle of 133 MHz is less than tSHQZ, a whole one is not."""
    master = awake(clock_mhz=clock_mhz, strict=False)
    master.step(0)
    for o, oe in ([(0xC | (0xEB >> k & 1), 0xD) for k in range(7, -1, -1)]
                  + [(0xF, 0xF)] * 8 + [(0, 0)] * 8):
        master.step(0, 2, o, oe)
    assert not master.model.errors
    for _ in range(off):
        master.step(1, 0, 0, 0)
    master.idle(4)
    assert bool(master.model.errors) == refused
    assert all("less than 7 ns (tSHQZ) after /CS went high" in e for e in master.model.errors)


def test_outputs_of_the_host_behind_a_single_read_are_no_matter():
    """The flash drives IO1 alone, the host all others."""
    master = awake()
    master.command([0x05], 1)
    master.command([0x9F], 3)
    master.clocks([(0xC | (0x05 >> k & 1), 0xD) for k in range(7, -1, -1)] + [(0xC, 0xD)] * 8)
    with pytest.raises(FlashError, match="the host drives lines less than 7 ns"):
        master.step(1, 0, 0xF, 0xF)


def test_clocks_at_edges_of_cs_are_refused():
    master = awake()
    with pytest.raises(FlashError, match=r"clock rises too early after /CS$"):
        master.step(0, 1)
    master = awake()
    master.step(0)
    with pytest.raises(FlashError, match="clock rises too early after /CS went high"):
        master.step(1, 1)
    # With the clock's other edge it is half a cycle, and nobody listens.
    awake().step(1, 2)


def test_pins_that_move_in_reset_are_refused():
    master = Master(FlashModel(CONTENTS, reset_cycles=10))
    master.idle(5)
    with pytest.raises(FlashError, match="the clock runs in reset"):
        master.step(1, 2)
    master = Master(FlashModel(CONTENTS, reset_cycles=10))
    master.idle(5)
    with pytest.raises(FlashError, match="/CS is low in reset"):
        master.step(0)
    master = Master(FlashModel(CONTENTS, reset_cycles=10))
    master.idle(10)
    master.command([0xAB])


@pytest.mark.parametrize("options", [{"clock_mhz": 0.5}, {"clock_mhz": 134},
                                     {"contents": bytes((1 << 24) + 1)}])
def test_bad_parameters(options):
    with pytest.raises(ValueError, match="must be"):
        FlashModel(**options)


def random_faults(seed):
    """Return faults of the lines, or none."""
    rng = random.Random(seed)
    if rng.random() < 0.5:
        return FlashFaults()
    masks = [1 << rng.randrange(4) if rng.random() < 0.3 else 0 for _ in range(3)]
    return FlashFaults(flip=rng.choice([0.0, 1e-3, 0.3]), high=masks[0], low=masks[1],
                       late=masks[2], seed=seed)


def random_trace(seed):
    """A master that does sensible and senseless things, on a model that only takes notes."""
    rng = random.Random(seed)
    clock_mhz = rng.choice([12, 30, 39.75, 39.75, 48, 66, 100, 133])
    options = {"clock_mhz": clock_mhz, "quad_enabled": rng.random() < 0.5,
               "powered_down": rng.random() < 0.5,
               "continuous_read": rng.choice([0, 0, 0, 0xEB, 0xED]), "dtr": rng.random() < 0.8,
               "reset_cycles": rng.choice([0, 20, 100]), "size": rng.choice([1 << 24, 1 << 22])}
    model = FlashModel(CONTENTS, strict=False, timing=FlashTiming(busy_scale=1e-5), **options)
    model.have(random_faults(seed))
    master = Master(model)
    master.command([0xFF])
    if rng.random() < 0.8:
        master.command([0xAB])
        master.idle(rng.choice([10, 400]))
    for _ in range(60):
        address = rng.randrange(1 << 16)
        place = [0, address >> 8, address & 0xFF]
        action = rng.randrange(14)
        if action < 3:
            master.quad_read(address, rng.randrange(1, 20), mode=rng.choice([0xFF, 0xA0, 0x5A]),
                             opcode=rng.random() < 0.8)
        elif action < 4:
            master.command([rng.choice([0x03, 0x0B, 0x6B]), *place, 0], rng.randrange(5))
        elif action < 6:
            master.command([rng.choice([0x06, 0x50, 0x04])])
            master.command([0x31, rng.choice([0, 2])], gap=rng.choice([1, 4]))
        elif action < 8:
            master.command([0x06])
            master.command([rng.choice([0x20, 0x02, 0x52, 0x02, 0x32]), *place,
                            *rng.randbytes(rng.choice([0, 3, 300]))])
        elif action < 9:
            master.command([rng.choice([0x05, 0x35, 0x15, 0x9F, 0xAB])], 5)
        elif action < 10:
            master.command([rng.choice([0xFF, 0x66, 0x99, 0xB9, 0xAB, 0xC7, 0x5A])])
        elif action < 12:
            master.dtr_read(address, rng.randrange(1, 20), mode=rng.choice([0xFF, 0xA0, 0x5A]),
                            opcode=rng.random() < 0.8, dummies=rng.choice([7, 7, 6]))
        else:
            for _ in range(rng.randrange(40)):
                master.step(*(rng.getrandbits(bits) for bits in (1, 2, 4, 4)))
        master.idle(rng.choice([1, 3, 50]))
    return options, master


REPLAY = """
#include "flash_model.h"
#include <cinttypes>
int main(int, char **argv) {
    FlashOptions options;
    options.clock_mhz = atof(argv[1]);
    options.quad_enabled = atoi(argv[2]);
    options.powered_down = atoi(argv[3]);
    options.continuous_read = atoi(argv[4]);
    options.dtr = atoi(argv[5]);
    options.reset_cycles = atoi(argv[6]);
    options.size = atoi(argv[7]);
    options.path_max = atof(argv[8]);
    options.path_min = atof(argv[9]);
    options.strict = false;
    options.busy_scale = 1e-5;
    FlashModel flash(options);
    FlashFaults faults;
    faults.flip = atof(argv[10]);
    faults.high = atoi(argv[11]);
    faults.low = atoi(argv[12]);
    faults.late = atoi(argv[13]);
    faults.seed = atoi(argv[14]);
    flash.have(faults);
    FILE *contents = fopen(argv[15], "rb");
    std::vector<uint8_t> bytes(1 << 16);
    if (fread(bytes.data(), 1, bytes.size(), contents) != bytes.size()) return 1;
    flash.load(0, bytes.data(), bytes.size());
    int cs_n, sck, o, oe;
    while (scanf("%d %d %d %d", &cs_n, &sck, &o, &oe) == 4)
        printf("%d\\n", flash.step(cs_n, sck, o, oe));
    for (auto &error : flash.errors) printf("%s\\n", error.c_str());
    uint64_t sum = 0;
    for (auto byte : flash.array) sum = sum * 31 + byte;
    printf("%" PRIu64 "\\n", sum % 1000003);
}
"""


@pytest.fixture(scope="module")
def replay(tmp_path_factory):
    """Return the compiled C++ model behind a trace reader."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("flash")
    source, program = folder / "replay.cpp", folder / "replay"
    source.write_text("#include <cstdlib>\n" + REPLAY)
    (folder / "contents").write_bytes(CONTENTS)
    subprocess.run([compiler, "-std=c++14", "-O1", "-Wall", "-Wextra", "-Werror", "-Isim/board",
                    str(source), "-o", str(program)], check=True)
    return folder


@pytest.mark.parametrize("seed", range(12))
def test_both_models_are_equal(replay, seed):
    options, master = random_trace(seed)
    steps = "\n".join(" ".join(str(int(x)) for x in step[:4]) for step in master.trace)
    values = [*options.values(), *FlashTiming().path(options["clock_mhz"]),
              *dataclasses.astuple(random_faults(seed))]
    arguments = [str(replay / "replay"), *(repr(float(value)) for value in values),
                 str(replay / "contents")]
    result = subprocess.run(arguments, input=steps, capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    count = len(master.trace)
    assert [int(line) for line in lines[:count]] == [step[4] for step in master.trace]
    assert lines[count:-1] == master.model.errors
    total = 0
    for byte in master.model.array[:1 << 17]:
        total = (total * 31 + byte) % (1 << 64)
    tail = len(master.model.array) - (1 << 17)
    assert master.model.array[1 << 17:] == b"\xff" * tail
    power = pow(31, tail, 1 << 64)
    series = (pow(31, tail, 30 << 64) - 1) // 30
    total = (total * power + 255 * series) % (1 << 64)
    assert int(lines[-1]) == total % 1000003


def test_faults_of_lines():
    """Each of them by itself, on a read that is right without."""
    def read(**faults):
        master = awake()
        master.model.have(FlashFaults(**faults))
        return master.dtr_read(0x40, 64)

    right = CONTENTS[0x40:0x80]
    assert read() == right
    assert read(high=0b0010) == bytes(byte | 0x22 for byte in right)
    assert read(low=0b1000) == bytes(byte & 0x77 for byte in right)
    late = read(late=0b0001)
    assert late != right and [byte & 0xEE for byte in late] == [byte & 0xEE for byte in right]
    # The low nibble's line has what was there with the high one.
    assert [byte & 1 for byte in late] == [byte >> 4 & 1 for byte in right]
    wrong = [a ^ b for a, b in zip(read(flip=0.2, seed=3), right, strict=True)]
    nibbles = [nibble for byte in wrong for nibble in (byte >> 4, byte & 15) if nibble]
    assert 10 < len(nibbles) < 45 and all(nibble in (1, 2, 4, 8) for nibble in nibbles)
    assert {1, 2, 4, 8} <= set(nibbles)
