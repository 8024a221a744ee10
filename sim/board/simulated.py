"""The simulated board: core and flash, compiled, cycle by cycle."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from common import progress
from common.closing import Closing
from hw.contract.board import Flash
from hw.contract.config import CoreConfig
from hw.contract.registers import Register
from sim.board import verilate
from sim.board.flash_faults import FlashFaults
from sim.board.flash_part import FlashTiming
from sim.board.interface import load
from sim.board.recorder import Recorder
from sim.board.waves import Wave, choose, waves_for
from sim.errors import FlashError, HangError, SimulationError

__all__ = ["FLASH_SIZE", "Feed", "LayerEnd", "SimulatedBoard"]

FLASH_SIZE = 1 << 24

SLICE = 1 << 18
"""Cycles after which :meth:`SimulatedBoard.wait` tells how many there were: part of a second."""

START_CYCLES = 4
"""Cycles after a start within which the core becomes busy."""

_OK, _LAYER, _LIMIT, _FAILED = range(4)

_HALFWORDS = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class LayerEnd:
    """Moment at the end of a layer, as the board saw it.

    Attributes
    ----------
    number : int
        0 for the first layer since the start.
    cycle : int
        Cycles since the start.
    memory : ndarray or None
        Activation memory at that moment, int8(words, word bytes).
    """

    number: int
    cycle: int
    memory: npt.NDArray[np.int8] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Feed:
    """Part of the input that the host writes while the core runs.

    Attributes
    ----------
    after : int
        Layers that must be done.
    address : int
    halfwords : ndarray
        Of activation memory, written first.
    hold : int
        Written to HOLD afterwards.
    pace : int
        Cycles from one halfword to the next, at least.
    """

    after: int
    address: int
    halfwords: _HALFWORDS
    hold: int
    pace: int = 1


class SimulatedBoard(Closing):
    """A board with a configured FPGA, just powered on: the flash is in power-down, the memories
    hold anything.

    Parameters
    ----------
    config : CoreConfig
    seed : int
        Of what the memories hold at power-on.
    core : component, optional
        Instead of the core; see :class:`sim.board.top.SimTop`.
    link_baud : int, optional
        With the board's serial link, with this highest rate: the serial line is then the only way
        to the core's bus.
    wave : Wave, optional
        To be recorded; the file appears when the board is closed.
    timing : FlashTiming, optional
        Corner and capture clock; without, the worst of all corners.
    link_seed : int, optional
        Of the link's replies, if not the configuration's.
    taps : sequence of FlashTiming
        Instead of ``timing``: one for each capture clock that the core chooses from.
    flash : Flash, optional
        Which one it is; without, one of 16 MB that the core can read.

    Raises
    ------
    BuildError
        If the core cannot be compiled.
    """

    _recorder: Recorder | None = None

    def __init__(
        self,
        config: CoreConfig,
        *,
        seed: int = 0,
        core: Any = None,
        link_baud: int | None = None,
        wave: Wave | None = None,
        timing: FlashTiming | None = None,
        link_seed: int | None = None,
        taps: Sequence[FlashTiming] = (),
        flash: Flash | None = None,
    ) -> None:
        with progress.stage("preparing the simulated core"):
            from sim.board.top import SimTop

            top = SimTop(config, core, link_baud=link_baud, link_seed=link_seed)
            waves = None if wave is None else waves_for(wave)
            files = verilate.library(
                top, memories=config.lanes, depth=config.memory_depth, wave=waves)
        self._power_on(config, files[verilate.LIBRARY], seed, timing=timing, flash=flash)
        if taps:
            paths = np.array([tap.model_path(config.core_mhz) for tap in taps]).T.copy()
            self._library.board_taps(self._board, len(taps), *(ends.ctypes.data for ends in paths))
        if wave is not None:
            names = choose(files[verilate.SIGNALS].decode().splitlines(), wave.patterns)
            self._recorder = Recorder(self._library, self._board, wave, names)

    def _power_on(
        self, config: CoreConfig, library: bytes, seed: int, mhz: float | None = None,
        timing: FlashTiming | None = None, flash: Flash | None = None,
    ) -> None:
        self.config = config
        self._board: int | None = None
        self.flash_size = flash.size if flash else FLASH_SIZE
        self._library: ctypes.CDLL = load(library)
        path = (timing or FlashTiming()).model_path(config.core_mhz, dtr=config.flash_dtr)
        self._board = self._library.board_create(
            seed, config.core_mhz, *path, flash.dtr if flash else config.flash_dtr,
            self.flash_size)
        self._started = 0
        # The clock that there is, which need not be exactly the one that was asked for.
        self._hertz = (mhz or config.core_mhz) * 1e6

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Free the simulation; nothing else may be called afterwards."""
        if getattr(self, "_board", None) is not None:
            if self._recorder is not None:
                self._recorder.finish()
            self._library.board_destroy(self._board)
            self._board = None

    # -- the flash, as a programmer sees it ------------------------------------------------------

    def write_flash(self, offset: int, data: bytes) -> None:
        """Replace bytes of the flash."""
        _check_range("flash bytes", offset, len(data), self.flash_size)
        self._library.board_flash_write(self._board, offset, data, len(data))

    def read_flash(self, offset: int, count: int) -> bytes:
        """Return bytes of the flash."""
        _check_range("flash bytes", offset, count, self.flash_size)
        data = ctypes.create_string_buffer(count)
        self._library.board_flash_read(self._board, offset, data, count)
        return data.raw

    def flash_faults(self, faults: FlashFaults) -> None:
        """From now on the flash's lines have faults."""
        self._library.board_flash_faults(
            self._board, faults.flip, faults.high, faults.low, faults.late, faults.seed)

    # -- the host's bus --------------------------------------------------------------------------

    def write_memory(self, address: int, halfwords: npt.ArrayLike) -> None:
        """Write halfwords of activation memory through the host's bus."""
        self._transfer(True, False, address, np.array(halfwords, np.uint16, ndmin=1))

    def read_memory(self, address: int, count: int) -> _HALFWORDS:
        """Return halfwords of activation memory, read through the host's bus."""
        data = np.zeros(count, np.uint16)
        self._transfer(False, False, address, data)
        return data

    def write_register(self, register: int, value: int) -> None:
        """Write a register of :class:`hw.contract.registers.Register`."""
        if register == Register.START:
            self._library.board_begin(self._board)
            self._started = self.cycle
            if self._recorder is not None:
                self._recorder.begin(self._started)
        self._transfer(True, True, register, np.array([value], np.uint16))
        if register == Register.START:
            for _ in range(START_CYCLES):
                if not self.busy:
                    self.run(1)

    def read_register(self, register: int) -> int:
        """Return a register of :class:`hw.contract.registers.Register`."""
        data = np.zeros(1, np.uint16)
        self._transfer(False, True, register, data)
        return int(data[0])

    def _transfer(self, write: bool, register: bool, address: int, data: _HALFWORDS) -> None:
        limit = 1 << 16 if register else self.config.memory_depth * self.config.lanes
        _check_range("registers" if register else "halfwords", address, len(data), limit)
        status = self._library.board_transfer(
            self._board, write, register, address, data.ctypes.data, len(data)
        )
        self._raise_if(status)

    # -- the serial line -------------------------------------------------------------------------

    def serial_rate(self, baud: float) -> None:
        """Set the host's rate: of what is sent and received from now on."""
        self._library.board_uart_divisor(self._board, 2 * self._hertz / baud)

    def serial_send(self, data: bytes, start: int = 0) -> None:
        """Send bytes, not before a cycle; they travel while time passes."""
        self._library.board_uart_send(self._board, data, len(data), start)

    @property
    def serial_idle(self) -> bool:
        """Whether all that was sent has arrived."""
        return bool(self._library.board_uart_idle(self._board))

    def serial_receive(self, room: int, limit: int, age: int = 0) -> bytes:
        """Wait for a byte, at most ``limit`` cycles; return all that are there.

        Parameters
        ----------
        room : int
            Bytes returned at most.
        limit : int
        age : int
            Cycles that a byte takes from the line to the host.
        """
        data = ctypes.create_string_buffer(room)
        taken = self._library.board_uart_receive(self._board, data, room, max(limit, 0), age)
        self.run(0)
        return data.raw[:taken]

    # -- time ------------------------------------------------------------------------------------

    @property
    def cycle(self) -> int:
        """Cycles since power-on."""
        return int(self._library.board_cycle(self._board))

    @property
    def busy(self) -> bool:
        """Whether the core is at work."""
        return bool(self._library.board_busy(self._board))

    def run(self, cycles: int) -> None:
        """Let a number of cycles pass."""
        self._raise_if(self._library.board_run(self._board, cycles))

    def wait(
        self,
        limit: int,
        on_layer: Callable[[LayerEnd], None] | None = None,
        feeds: Sequence[Feed] = (),
        on_cycles: Callable[[int], None] | None = None,
    ) -> list[int]:
        """Run until the core is idle.

        Parameters
        ----------
        limit : int
            Cycles after which the core counts as hanging.
        on_layer : callable, optional
            Called at the end of every layer, with a copy of the memory.
        feeds : sequence of Feed
            What the host does meanwhile, one after the other.
        on_cycles : callable, optional
            Told now and then how many cycles have passed since the start.

        Returns
        -------
        list of int
            For each layer, the cycles from the start to its end.

        Raises
        ------
        HangError
            If the core is still busy after ``limit`` cycles.
        FlashError
            If it used the flash wrongly.
        """
        for feed in feeds:
            halfwords = np.ascontiguousarray(feed.halfwords, np.uint16)
            size = self.config.memory_depth * self.config.lanes
            _check_range("halfwords", feed.address, len(halfwords), size)
            self._library.board_feed(
                self._board, feed.after, feed.pace, feed.address, halfwords.ctypes.data,
                len(halfwords), Register.HOLD, feed.hold,
            )  # fmt: skip
        end = self.cycle + limit
        ends: list[int] = []
        while True:
            left = max(end - self.cycle, 0)
            status = self._library.board_wait(
                self._board, left if on_cycles is None else min(left, SLICE), on_layer is not None
            )
            self._raise_if(status)
            if on_cycles is not None:
                on_cycles(self.cycle - self._started)
            ends += self._take_layers()
            if status == _LAYER and on_layer is not None:
                on_layer(LayerEnd(len(ends) - 1, ends[-1], self.memory()))
            elif status == _LIMIT and self.cycle >= end:
                raise HangError(
                    f"the core is still busy after {limit} cycles, {len(ends)} layers done"
                )
            elif status == _OK:
                return ends

    def _take_layers(self) -> list[int]:
        data = np.zeros(1024, np.uint64)
        count = self._library.board_layers(self._board, data.ctypes.data, len(data))
        if count > len(data):
            data = np.zeros(count, np.uint64)
            self._library.board_layers(self._board, data.ctypes.data, len(data))
        return [int(cycle) - self._started for cycle in data[:count]]

    # -- what only a simulation shows ------------------------------------------------------------

    def memory(self) -> npt.NDArray[np.int8]:
        """Return a copy of the activation memory, int8(words, word bytes), at no cost of time."""
        slices = np.zeros((self.config.lanes, self.config.memory_depth), np.uint16)
        self._library.board_memory(self._board, slices.ctypes.data)
        return np.ascontiguousarray(slices.T).view(np.int8)

    def replace_memory(self, words: npt.NDArray[np.int8]) -> None:
        """Replace the activation memory, as :meth:`memory` returns it, at no cost of time."""
        shape = (self.config.memory_depth, self.config.word_bytes)
        if words.shape != shape:
            raise ValueError(f"words must have the shape {shape}, not {words.shape}")
        slices = np.ascontiguousarray(np.ascontiguousarray(words, np.int8).view(np.uint16).T)
        self._library.board_memory_replace(self._board, slices.ctypes.data)

    def _raise_if(self, status: int) -> None:
        if status == _FAILED:
            text = self._library.board_error(self._board).decode()
            kind: type[SimulationError] = (
                FlashError if text.startswith("flash: ") else SimulationError
            )
            raise kind(text)


def _check_range(
    what: Literal["flash bytes", "halfwords", "registers"], first: int, count: int, size: int
) -> None:
    if first < 0 or count < 0 or first + count > size:
        raise ValueError(
            f"{what} {first} to {first + count - 1} are not all within 0 to {size - 1}"
        )
