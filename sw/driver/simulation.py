"""The simulated board as a device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sim.board.simulated
from common import progress
from hw.contract.config import CoreConfig
from hw.contract.registers import Register
from sim.board.flash_part import FlashTiming
from sim.board.serial_port import SimulatedSerialPort
from sim.board.simulated import LayerEnd, SimulatedBoard
from sim.board.waves import Wave
from sim.errors import HangError, SimulationError
from sw.driver.errors import DeviceError, DeviceTimeout
from sw.driver.serial import SerialTransport
from sw.driver.transport import Feed, Halfwords, Job, LayerObserver, Progress, Transport

__all__ = ["SimLinkTransport", "SimTransport"]


BUS_CYCLES = 64
"""More than a write on the core's bus ever takes: it has what the core leaves of the memory."""


def _store(
    board: SimulatedBoard, address: int, data: bytes, progress: Progress | None
) -> None:
    """Write a program past all pins."""
    board.write_flash(address, data)
    if progress is not None:
        progress(len(data), len(data))


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except HangError as error:
        raise DeviceTimeout(f"simulated device: {error}") from None
    except SimulationError as error:
        raise DeviceError(f"simulated device: {error}") from None


class SimTransport(Transport):
    """The simulated board; see :class:`sim.board.simulated.SimulatedBoard`.

    Parameters
    ----------
    config : CoreConfig
    seed : int
        Of what the memories hold at power-on.
    core : component, optional
        Instead of the core, for tests.
    pace : int
        Cycles from one halfword to the next when the host writes while the core runs: 1 is as
        fast as the bus.
    wave : Wave, optional
        To be recorded.
    timing : FlashTiming, optional
        Corner and capture clock; without, the worst of all corners.
    """

    observes_layers = True

    def __init__(
        self, config: CoreConfig, *, seed: int = 0, core: Any = None, pace: int = 1,
        wave: Wave | None = None, timing: FlashTiming | None = None,
    ) -> None:
        self.pace = pace
        with _errors():
            self.board = SimulatedBoard(config, seed=seed, core=core, wave=wave, timing=timing)
        self._ends: list[int] = []
        self._stage: progress.Stage | None = None

    def write_memory(self, address: int, halfwords: Halfwords) -> None:
        with _errors():
            self.board.write_memory(address, halfwords)

    def read_memory(self, address: int, count: int) -> Halfwords:
        with _errors():
            return self.board.read_memory(address, count)

    def write_register(self, register: Register, value: int) -> None:
        with _errors():
            self.board.write_register(register, value)

    def read_register(self, register: Register) -> int:
        with _errors():
            return self.board.read_register(register)

    def program_flash(
        self,
        address: int,
        data: bytes,
        progress: Progress | None = None,
        *,
        trust: bool = True,
    ) -> None:
        _store(self.board, address, data, progress)

    def now(self) -> float:
        return self.board.cycle / (self.board.config.core_mhz * 1e6)

    def run(self, job: Job, on_layer: LayerObserver | None = None) -> None:
        with progress.stage(
            f"{job.program} on the simulated core", total=job.cycles
        ) as self._stage:
            super().run(job, on_layer)

    def wait_idle(
        self,
        limit: int,
        on_layer: LayerObserver | None = None,
        feeds: Sequence[Feed] = (),
    ) -> None:
        def observe(end: LayerEnd) -> None:
            assert on_layer is not None and end.memory is not None
            on_layer(end.number, end.memory)

        with _errors():
            self._ends = self.board.wait(
                limit + sum((self.pace + BUS_CYCLES) * len(feed.halfwords) for feed in feeds),
                None if on_layer is None else observe,
                [
                    sim.board.simulated.Feed(
                        after=feed.after,
                        address=feed.address,
                        halfwords=feed.halfwords,
                        hold=feed.hold,
                        pace=self.pace,
                    )
                    for feed in feeds
                ],
                None if self._stage is None else self._stage.reached,
            )

    def pause(self, cycles: int = Transport.PAUSE_CYCLES) -> None:
        with _errors():
            self.board.run(cycles)

    @property
    def descriptor_ends(self) -> list[int] | None:
        return self._ends

    def close(self) -> None:
        self.board.close()


class _Port(SimulatedSerialPort):
    """Simulated port whose refusals are errors of the device."""

    name = "simulated port"

    def sleep(self, seconds: float) -> None:
        with _errors():
            super().sleep(seconds)

    def receive(self, timeout: float) -> bytes:
        with _errors():
            return super().receive(timeout)


class SimLinkTransport(SerialTransport):
    """The simulated board with its serial line, bit by bit, in the board's own time.

    Only programs go past the line: a flash takes seconds to write, which is minutes of simulation.

    Parameters
    ----------
    config : CoreConfig
    baud : int
        The board's highest rate.
    """

    def __init__(self, config: CoreConfig, *, baud: int) -> None:
        with _errors():
            board = SimulatedBoard(config, link_baud=baud)
        super().__init__(_Port(board), config, baud=baud)
        self.board = board

    def program_flash(
        self,
        address: int,
        data: bytes,
        progress: Progress | None = None,
        *,
        trust: bool = True,
    ) -> None:
        _store(self.board, address, data, progress)
