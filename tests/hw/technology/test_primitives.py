"""Vendor forms of the primitives against the portable ones."""

from __future__ import annotations

import gc
import pkgutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Mux, Signal, UnusedElaboratable
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator

from hw import technology
from hw.contract.config import TECHNOLOGIES
from hw.technology import TechnologyError, portable
from hw.technology.ice40 import primitives
from sim.board import verilate

pytestmark = pytest.mark.slow

MAIN = """
#include "Vtop.h"
#include "verilated.h"
#include <cstdio>
#include <cstdlib>
int main(int argc, char **argv) {
    VerilatedContext context;
    context.randReset(2);
    context.randSeed(std::atoi(argv[2]));
    Vtop top{&context};
    for (long cycle = 0, cycles = std::atol(argv[1]); cycle < cycles; cycle++) {
        top.rst = cycle < 2;
        top.clk = 0;
        top.eval();
        top.clk = 1;
        top.eval();
        if (top.rst == 0) std::printf("%x\\n", unsigned(top.value));
    }
    return 0;
}
"""


class Player(wiring.Component):
    """Applies one vector a cycle to the inputs of a unit, and shows its output.

    Parameters
    ----------
    unit : Component
    ports : dict of str to int
        Input ports and their widths.
    vectors : list of int
        The concatenated inputs.
    output : callable
        From the unit to what is shown.
    """

    def __init__(self, unit, ports, vectors, output):
        self.unit, self.ports, self.vectors, self.output = unit, ports, vectors, output
        super().__init__({"value": Out(32)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = self.unit
        m.submodules.vectors = memory = Memory(
            shape=sum(self.ports.values()), depth=len(self.vectors), init=self.vectors
        )
        read = memory.read_port()
        index = Signal(range(len(self.vectors)))
        started = Signal()
        m.d.sync += [index.eq(index + 1), started.eq(1)]
        m.d.comb += read.addr.eq(index)
        # The memory's first word is there in the second cycle.
        word = Mux(started, read.data, 0)
        m.d.comb += [
            Cat(getattr(self.unit, name) for name in self.ports).eq(word),
            self.value.eq(self.output(self.unit)),
        ]
        return m


def verilated(player: Player, folder: Path, cycles: int) -> list[int]:
    """Return what a player shows in Verilator, after reset."""
    design, main = folder / "top.v", folder / "main.cc"
    design.write_text(verilate.verilog(verilate.rtlil(player)))
    main.write_text(MAIN)
    verilate.translate([design], folder, top="top", flags=[])
    include = verilate.verilator_root() / "include"
    support = [include / f"verilated{part}.cpp" for part in ("", "_threads")]
    verilate.compile_design(folder, [*support, main], folder / "bench", ["-pthread"])
    command = [str(folder / "bench"), str(cycles + 2), "1"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [int(line, 16) for line in text.split()]


def simulated(player: Player, cycles: int) -> list[int]:
    """Return what a player shows in Amaranth's simulator."""
    values = []

    async def bench(ctx):
        for _ in range(cycles):
            await ctx.tick()
            values.append(ctx.get(player.value))

    simulator = Simulator(player)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return values


def factors() -> np.ndarray:
    """Return two pairs of int8 for each cycle: corners with corners, then random ones."""
    rng = np.random.default_rng(0)
    corners = np.array([-128, -127, -1, 0, 1, 2, 126, 127])
    a, b = (x.ravel() for x in np.meshgrid(corners, corners))
    directed = np.stack([a, b[::-1], b, a[::-1]], axis=1)
    return np.concatenate([directed, rng.integers(-128, 128, (4000, 4))])


def multiplier_player(name: str, pairs: np.ndarray) -> Player:
    """Return a player of factors (a_0, a_1, b_0, b_1)."""
    vectors = [sum(int(x) % 256 << 8 * i for i, x in enumerate(row)) for row in pairs]
    unit = technology.get(name).dual_multiplier()
    return Player(unit, {"a": 16, "b": 16}, vectors, lambda unit: unit.p.as_value())


def test_dual_multiplier_portable() -> None:
    """Products, after the published latency."""
    pairs = factors()
    cycles = len(pairs) + portable.DualMultiplier.LATENCY
    values = simulated(multiplier_player("portable", pairs), cycles)
    # The first vector is at the unit's inputs when the first value is taken, a cycle after reset.
    products = np.array(values[portable.DualMultiplier.LATENCY :])
    np.testing.assert_array_equal(products & 0xFFFF, pairs[:, 0] * pairs[:, 2] & 0xFFFF)
    np.testing.assert_array_equal(products >> 16, pairs[:, 1] * pairs[:, 3] & 0xFFFF)


@pytest.mark.slow
def test_dual_multiplier_ice40(tmp_path: Path) -> None:
    """The cell's model gives the same, cycle by cycle."""
    pairs = factors()
    cycles = len(pairs) + primitives.DualMultiplier.LATENCY
    expected = simulated(multiplier_player("portable", pairs), cycles)
    values = verilated(multiplier_player("ice40", pairs), tmp_path, cycles)
    # The cell's registers are not reset.
    latency = primitives.DualMultiplier.LATENCY
    assert values[latency:] == expected[latency:]


def accesses(depth: int, cycles: int) -> np.ndarray:
    """Return (enable, write, address, data) for each cycle.

    All words of a few regions are written, then anything happens; reads follow writes and writes
    follow reads of the same word.
    """
    rng = np.random.default_rng(1)
    words = np.concatenate([np.arange(32), np.arange(depth - 32, depth), [depth // 2]])
    fill = np.stack([words * 0 + 1, words * 0 + 1, words, rng.integers(0, 65536, len(words))])
    busy = rng.random(cycles) < 0.8
    writes = rng.random(cycles) < 0.4
    some = rng.choice(words[::9], cycles)
    anything = np.stack([busy, writes, some, rng.integers(0, 65536, cycles)])
    return np.concatenate([fill, anything], axis=1).T


def memory_player(name: str, depth: int, rows: np.ndarray) -> Player:
    """Return a player of accesses."""
    bits = depth.bit_length() - 1
    vectors = [int(e) | int(w) << 1 | int(a) << 2 | int(d) << 2 + bits for e, w, a, d in rows]
    unit = technology.get(name).single_port_memory(depth=depth, width=16)
    ports = {"enable": 1, "write_enable": 1, "address": bits, "write_data": 16}
    return Player(unit, ports, vectors, lambda unit: unit.read_data)


def expected_reads(rows: np.ndarray) -> dict[int, int]:
    """Return what is read, by the cycle in which it is."""
    memory: dict[int, int] = {}
    reads = {}
    for cycle, (enable, write, address, data) in enumerate(rows.tolist()):
        if enable and write:
            memory[address] = data
        elif enable:
            reads[cycle + 1] = memory[address]
    return reads


@pytest.mark.parametrize("depth", [256, 16384])
def test_single_port_memory_portable(depth: int) -> None:
    """Words are read a cycle later, and poison in any other cycle."""
    rows = accesses(depth, 3000)
    player = memory_player("portable", depth, rows)
    values = simulated(player, len(rows) + 1)
    reads = expected_reads(rows)
    expected = [reads.get(cycle, player.unit.poison) for cycle in range(len(values))]
    assert len(reads) > 1000
    assert values[1:] == expected[1:]


def test_single_port_memory_unwritten() -> None:
    """Words that were never written are poison."""
    values = simulated(memory_player("portable", 16, np.array([[1, 0, 5, 0]] * 2)), 3)
    assert values == [portable.POISON & 0xFFFF] * 3


@pytest.mark.slow
@pytest.mark.parametrize("depth", [256, 16384])
def test_single_port_memory_ice40(tmp_path: Path, depth: int) -> None:
    """The cell's model reads the same."""
    rows = accesses(depth, 3000)
    values = verilated(memory_player("ice40", depth, rows), tmp_path, len(rows) + 1)
    reads = expected_reads(rows)
    assert len(reads) > 1000
    assert {cycle: values[cycle] for cycle in reads} == reads


@pytest.fixture
def unused() -> Iterator[None]:
    """Let components go unused; Amaranth says so when they are freed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnusedElaboratable)
        yield
        gc.collect()


@pytest.mark.usefixtures("unused")
def test_same_interface() -> None:
    """Forms are interchangeable."""
    for part in ("dual_multiplier", "single_port_memory"):
        first, *others = (getattr(technology.get(name), part)() for name in TECHNOLOGIES)
        assert all(other.signature == first.signature for other in others)
        assert all(other.LATENCY == first.LATENCY for other in others)


@pytest.mark.usefixtures("unused")
def test_bad_parameters() -> None:
    """Parameters out of range are named."""
    for name in TECHNOLOGIES:
        with pytest.raises(ValueError, match=r"depth must be .*, not 100"):
            technology.get(name).single_port_memory(depth=100)
        with pytest.raises(ValueError, match=r"width must be .*, not 65"):
            technology.get(name).single_port_memory(width=65)
    with pytest.raises(ValueError, match=r"depth must be .*, not 32768"):
        technology.get("ice40").single_port_memory(depth=32768)
    with pytest.raises(ValueError, match="width must be 16, not 8"):
        technology.get("ice40").single_port_memory(width=8)


def test_registry() -> None:
    """Every name has its technology, every technology its name; what one lacks it says."""
    folder = Path(technology.__file__).parent
    found = {module.name for module in pkgutil.iter_modules([str(folder)])} - {"base"}
    assert found == set(TECHNOLOGIES)
    assert [technology.get(name).name for name in TECHNOLOGIES] == list(TECHNOLOGIES)
    with pytest.raises(ValueError, match=r"technology must be one of ice40, portable, not 'ecp5'"):
        technology.get("ecp5")
    with pytest.raises(TechnologyError, match="'portable' has no flow to a bitstream"):
        technology.get("portable").flow  # noqa: B018


def test_a_technology_is_imported_in_parts() -> None:
    """The registry needs no Amaranth, and the core's primitives neither flow nor cells."""
    code = (
        "import sys; from hw import technology; ice40 = technology.get('ice40'); "
        "assert 'amaranth' not in sys.modules; ice40.dual_multiplier(); "
        "assert not {'hw.flow', 'rich', 'hw.technology.ice40.cells'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
