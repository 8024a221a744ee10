"""Backends: what a name given to ``--backend`` stands for.

A backend is added with an entry in ``BACKENDS``; every other name is a serial port's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from common import progress
from hw.contract.board import Board
from hw.contract.config import CoreConfig
from sim.board.waves import Wave
from sw.compiler import Plan
from sw.driver.device import Device
from sw.driver.errors import DeviceError
from sw.driver.golden import GoldenDevice
from sw.driver.network import NetworkDevice
from sw.driver.transport import Transport
from sw.ir import Graph

__all__ = ["Backend", "find", "help_text", "open_device", "open_loaded"]

Opener = Callable[[str, CoreConfig, int], Transport]
"""Returns the transport for a backend's name, a configuration, and the highest rate of the line."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """Backend: where networks run.

    Attributes
    ----------
    name : str
    what : str
        For lists of choices.
    where : str
        For people, with ``{board}`` and ``{name}``.
    transport : callable or None
        ``None``: no core runs there, and no program is wanted.
    has_line : bool
        There is a line to it whose times mean something.
    clock : str
        By which its times are taken, if that is not the board's own.
    """

    name: str
    what: str
    where: str
    transport: Opener | None
    has_line: bool = False
    clock: str = ""

    @property
    def runs_programs(self) -> bool:
        """Whether it is a core, which runs what the compiler makes."""
        return self.transport is not None


def _simulation(name: str, config: CoreConfig, baud: int) -> Transport:
    # Only now, here and below: not every command wants all of them.
    from sw.driver.simulation import SimTransport

    return SimTransport(config)


def _recorded(config: CoreConfig, wave: Wave) -> Transport:
    from sw.driver.simulation import SimTransport

    return SimTransport(config, wave=wave)


def _simulated_line(name: str, config: CoreConfig, baud: int) -> Transport:
    from sw.driver.simulation import SimLinkTransport

    return SimLinkTransport(config, baud=baud)


def _serial_port(name: str, config: CoreConfig, baud: int) -> Transport:
    from sw.driver.serial import SerialTransport

    return SerialTransport(name, config, baud=baud)


ONCE = "once for each network; what is there already is left"

BACKENDS = {
    backend.name: backend
    for backend in (
        Backend(
            name="sim", what="the simulated core",
            where="{board}, simulated", transport=_simulation,
        ),
        Backend(
            name="sim:link", what="with its serial line, in the board's own time",
            where="{board} and its line, simulated", transport=_simulated_line, has_line=True,
        ),
        Backend(
            name="golden", what="the golden model", where="golden model", transport=None,
        ),
    )
}
"""All but serial ports, the default first."""

DEFAULT = next(iter(BACKENDS))


def find(name: str) -> Backend:
    """Return what a name stands for; the name of a serial port if it is nothing else."""
    # Behind a pseudo-terminal is no board: sim.pty's takes tens of times longer.
    simulated = os.path.realpath(name).startswith("/dev/pts/")
    return BACKENDS.get(name) or Backend(
        name=name, what="the board's serial port",
        where="{board}, simulated, on {name}" if simulated else "{board} on {name}",
        transport=_serial_port, has_line=True,
        clock="the wall clock, of a simulation" if simulated else "the wall clock",
    )


def help_text() -> str:
    """Return what ``--help`` says of ``--backend``."""
    choices = [f"{b.name} ({b.what})" for b in BACKENDS.values()]
    return f"{', '.join(choices)}, or the board's serial port (default: {DEFAULT})"


def open_device(
    name: str, config: CoreConfig, *, baud: int = 12_000_000, wave: Wave | None = None
) -> Device:
    """Return an open device.

    Parameters
    ----------
    name : str
        Of a backend.
    config : CoreConfig
    baud : int
        The board's highest rate.
    wave : Wave, optional
        To be recorded, of the simulated core.

    Raises
    ------
    DeviceError
        If there is none, the backend runs no programs, or has no signals to record.
    """
    opener = find(name).transport
    if opener is None:
        raise DeviceError(f"backend {name!r} is no device, and has no counters; use another one")
    if wave is not None and opener is not _simulation:
        raise DeviceError(f"backend {name!r} has no signals to record; use {DEFAULT}")
    transport = opener(name, config, baud) if wave is None else _recorded(config, wave)
    try:
        return Device(transport, config)
    except BaseException:
        transport.close()
        raise


def open_loaded(
    name: str, board: Board, graph: Graph, plan: Plan | None,
    *, wave: Wave | None = None,
) -> AbstractContextManager[NetworkDevice | GoldenDevice]:
    """Return a device that is ready for the inputs of a network.

    Parameters
    ----------
    name : str
        Of a backend.
    board : Board
    graph : Graph
    plan : Plan or None
        ``None`` for a backend that runs no programs.
    wave : Wave, optional
        As for :func:`open_device`.

    Raises
    ------
    DeviceError
        If there is none, or the programs cannot be loaded.
    """
    if plan is None or not plan.programs:
        return GoldenDevice(graph)
    device = NetworkDevice(open_device(name, board.config, baud=board.baud, wave=wave), plan)
    try:
        with progress.stage("writing the flash", note=ONCE) as stage:
            device.load(stage.reached)
    except BaseException:
        device.close()
        raise
    return device
