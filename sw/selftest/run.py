"""All stages of a self-test, in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hw.contract.board import Board
from sw.driver.errors import DeviceLost
from sw.driver.spi_flash import SECTOR
from sw.selftest import flash, parts, wire
from sw.selftest.device import SelfTestDevice
from sw.selftest.report import NotRun, Stage, carry_out

__all__ = ["LIMIT", "measure", "region"]

LIMIT = 8 << 20
"""Bytes that may be sent each way, and lie in the flash, at most."""


def region(board: Board, count: int) -> int:
    """Return the address of the flash's last bytes, so many: as far as can be from programs."""
    return board.flash.size - (count + -count % SECTOR)


def measure(
    device: SelfTestDevice, board: Board, count: int, delays: Sequence[float | None], chosen: int,
) -> list[Stage]:
    """Carry out the stages of the self-test's own bitstream.

    Parameters
    ----------
    device : SelfTestDevice
    board : Board
    count : int
        Bytes that are sent each way, and that lie in the flash.
    delays : sequence of float or None
        Of the capture clock's taps.
    chosen : int
        The core's.
    """
    gone = ""

    def alive(work: Callable[[SelfTestDevice, Stage], None]) -> Callable[[Stage], None]:
        def carried(stage: Stage) -> None:
            nonlocal gone
            if gone:
                raise NotRun(f"the line was lost before: {gone}")
            try:
                work(device, stage)
            except DeviceLost as error:
                gone = str(error)
                raise

        return carried

    works: dict[str, Callable[[SelfTestDevice, Stage], None]] = {
        "link": wire.registers,
        "echo": lambda device, stage: wire.echo(device, stage, count),
        "flash": flash.identity,
        "eye": lambda device, stage: flash.eye(
            device, stage, address=region(board, count), count=count, delays=list(delays),
            chosen=chosen),
        "spram": parts.single_port_memories,
        "blockram": parts.block_rams,
        "multipliers": parts.multipliers,
    }
    return [carry_out(name, alive(work)) for name, work in works.items()]
