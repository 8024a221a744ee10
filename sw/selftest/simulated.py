"""The simulated board with the self-test in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hw import technology
from hw.contract.board import Board
from hw.contract.selftest import digest
from hw.flow.capture import Capture
from hw.technology.ice40.capture import CaptureClock
from sim.board.flash_part import FlashTiming
from sim.board.serial_port import SimulatedSerialPort
from sim.board.simulated import SimulatedBoard
from sw.driver.transport import Progress
from sw.selftest.device import SelfTestDevice

__all__ = ["PART", "SimulatedSelfTest", "timings"]

PART: dict[str, Any] = {"corner": "typical", "clqv": 4.5, "clqx": 3.5}
"""A board as one is: a chip in the middle of its corners, a flash whose outputs change between 3.5
and 4.5 ns after an edge.  In the worst of all corners no tap but the core's is clean: no board has
the longest and the shortest delays at a time."""


def timings(taps: Sequence[Capture], **part: Any) -> list[FlashTiming]:
    """Return what the flash's model needs of each tap: of :data:`PART`, or another one."""
    return [
        FlashTiming(capture=CaptureClock(delay_ns=tap.delay_ns, edges_ns=tap.edges_ns),
                    **{**PART, **part})
        for tap in taps
    ]


class SimulatedSelfTest(SelfTestDevice):
    """A simulated board with the self-test's design; its flash is written past all pins, which
    would take it seconds, and the simulation minutes.

    Parameters
    ----------
    board : Board
    taps : sequence of FlashTiming
        Of each tap; see :func:`timings`.
    core : component, optional
        Instead of :class:`hw.selftest.core.SelfTest`, for tests.
    port : type
        Of the port.
    """

    def __init__(
        self, board: Board, taps: Sequence[FlashTiming], *, core: Any = None,
        port: type[SimulatedSerialPort] = SimulatedSerialPort,
    ) -> None:
        from hw.selftest.core import SelfTest

        chosen = technology.get(board.config.technology).capture_taps(board.config.core_mhz).chosen
        self.board = SimulatedBoard(
            board.config, core=core or SelfTest(board.config, tap=chosen), link_baud=board.baud,
            link_seed=digest(board.config, board.baud), taps=taps)
        super().__init__(port(self.board), board.config, baud=board.baud)

    def read_flash(self, address: int, count: int, progress: Progress | None = None) -> bytes:
        return self.board.read_flash(address, count)

    def write_flash(self, address: int, data: bytes, progress: Progress | None = None) -> None:
        self.board.write_flash(address, data)
