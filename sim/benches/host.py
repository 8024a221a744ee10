"""The host in cocotb's simulation: flash, bus and waiting, in long steps."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt
from cocotb.clock import Clock
from cocotb.triggers import (
    ClockCycles,
    FallingEdge,
    ReadOnly,
    RisingEdge,
    SimTimeoutError,
    with_timeout,
)

from hw.contract.registers import Register
from sim.board.flash_part import FlashTiming
from sim.errors import FlashError, HangError

__all__ = ["PERIOD_NS", "BenchHost", "BenchWave"]

PERIOD_NS = 10
"""Of the simulator's clock: what is reported is cycles, and the flash model has its own period."""

BUS_CYCLES_PER_HALFWORD = 1000
FLASH_READY_CYCLES = 20_000

Halfwords = npt.NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True)
class BenchWave:
    """Wave of a run: the file, the cycles of the core's counter, and whole names of signals."""

    path: str
    first: int
    end: int
    signals: tuple[str, ...]


class BenchHost:
    """Host and flash around the core: see ``bench.v`` and ``board.cpp``."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        # The functions of board.cpp are in this process's own program.
        self.library = library = ctypes.CDLL(None)
        self.wave: BenchWave | None = None
        library.bench_flash_error.restype = ctypes.c_char_p
        library.bench_power_on.argtypes = (ctypes.c_double,) * 3

    async def power_on(self, clock_mhz: float) -> None:
        """Start the clock, reset the core, and power the flash on."""
        self.library.bench_power_on(clock_mhz, *FlashTiming().path(clock_mhz))
        self.dut.rst.value = 1
        Clock(self.dut.clk, PERIOD_NS, unit="ns").start()
        await ClockCycles(self.dut.clk, 16)
        self.dut.rst.value = 0
        for _ in range(FLASH_READY_CYCLES // 100):
            await ClockCycles(self.dut.clk, 100)
            if await self.read_register(Register.STATUS) >> 1 & 1:
                return
        raise HangError("the flash does not become ready")

    def load_flash(self, address: int, data: bytes) -> None:
        """Replace bytes of the flash."""
        self.library.bench_load_flash(address, data, len(data))

    async def _transfer(self, write: bool, register: bool, address: int, data: Halfwords) -> None:
        """Move halfwords over the bus; those read replace ``data``."""
        self.library.bench_push(write, register, address, data.ctypes, len(data))
        # The bench sees the queue at the next clock edge.
        await ClockCycles(self.dut.clk, 2)
        if not self.dut.host_idle.value:
            limit = (len(data) + 1) * BUS_CYCLES_PER_HALFWORD
            await self._within(limit, RisingEdge(self.dut.host_idle), "the host's bus")
        if not write and self.library.bench_take(data.ctypes, len(data)) != len(data):
            raise HangError("the core answered fewer reads than it was asked")

    async def write_memory(self, address: int, halfwords: Halfwords) -> None:
        """Write halfwords of activation memory."""
        await self._transfer(True, False, address, np.ascontiguousarray(halfwords, np.uint16))

    async def read_memory(self, address: int, count: int) -> Halfwords:
        """Return halfwords of activation memory."""
        data = np.zeros(count, np.uint16)
        await self._transfer(False, False, address, data)
        return data

    async def write_register(self, register: int, value: int) -> None:
        """Write a register."""
        await self._transfer(True, True, register, np.array([value], np.uint16))

    async def read_register(self, register: int) -> int:
        """Return a register."""
        data = np.zeros(1, np.uint16)
        await self._transfer(False, True, register, data)
        return int(data[0])

    async def run(self, flash_address: int, ring_first: int, limit: int) -> int:
        """Run a program to its end, and return its cycles."""
        await self.write_register(Register.FLASH_LOW, flash_address & 0xFFFF)
        await self.write_register(Register.FLASH_HIGH, flash_address >> 16)
        await self.write_register(Register.RING_FIRST, ring_first)
        if self.wave is not None:
            cocotb.start_soon(self._record(self.wave))
        await self.write_register(Register.START, 1)
        if not self.dut.busy.value:
            await self._within(8, RisingEdge(self.dut.busy), "the start")
        await self._within(limit, FallingEdge(self.dut.busy), "the program's end")
        low = await self.read_register(Register.CYCLES_LOW)
        return low | await self.read_register(Register.CYCLES_HIGH) << 16

    async def _record(self, wave: BenchWave) -> None:
        """Record what follows, with cycles as the core counts them."""
        library = self.library
        for name in wave.signals:
            library.bench_wave_want(name.encode())
        library.bench_wave_open(
            wave.path.encode(), ctypes.c_uint64(wave.first), ctypes.c_uint64(wave.end))
        if not self.dut.busy.value:
            await RisingEdge(self.dut.busy)
        # The counter begins at the next edge.
        await ClockCycles(self.dut.clk, 1)
        for cycle in range(wave.end):
            for second, edge in enumerate((FallingEdge(self.dut.clk), RisingEdge(self.dut.clk))):
                await ReadOnly()
                library.bench_wave_dump(ctypes.c_uint64(cycle), second)
                await edge
        library.bench_wave_close()

    async def _within(self, cycles: int, trigger: Any, what: str) -> None:
        try:
            await with_timeout(trigger, cycles * PERIOD_NS, "ns")
        except SimTimeoutError:
            self.check_flash()
            raise HangError(f"{cycles} cycles have passed without {what}") from None
        self.check_flash()

    def check_flash(self) -> None:
        """Raise :class:`FlashError` if the flash refused something."""
        if text := self.library.bench_flash_error().decode():
            raise FlashError(f"flash: {text}")
