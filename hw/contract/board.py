"""Boards: what the generator, the compiler and the driver have to know of one.

The boards themselves are in the folder ``boards``, one small file each.
"""

import importlib
from dataclasses import dataclass, field
from typing import Any

from hw.contract.config import CoreConfig

__all__ = ["Board", "Flash", "Resources"]


@dataclass(frozen=True, kw_only=True)
class Flash:
    """The board's flash.

    Attributes
    ----------
    size : int
        Bytes.
    program_base : int
        Byte address of what the core reads; below it lies the FPGA's configuration.
    sector : int
        Bytes of the smallest erase.
    dtr : bool
        It can be read at double transfer rate.
    """

    size: int
    program_base: int
    sector: int = 4096
    dtr: bool = True

    def __post_init__(self) -> None:
        if self.program_base % self.sector:
            raise ValueError(
                f"program_base must be a multiple of {self.sector}, not {self.program_base!r}")
        if not 0 < self.program_base < self.size:
            raise ValueError(f"program_base must be inside the flash, not {self.program_base!r}")


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Names of what the design uses of the board's Amaranth platform, besides its default clock.

    Attributes
    ----------
    flash : str
        A quad SPI flash, with the program.
    uart : str
        The serial line of the host link.
    busy_led : str
        Lit while the core is at work.
    """

    flash: str = "spi_flash_4x"
    uart: str = "uart"
    busy_led: str = "led_g"


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board that the flow builds for.

    Attributes
    ----------
    name : str
        As given to ``--board``.
    title : str
        As its makers call it.
    platform_path : str
        Module and class of its Amaranth platform, with a colon between.
    oscillator_mhz : float
        The clock that comes in, on the resource that is the platform's default clock.
    baud : int
        Highest rate of the host link.
    flash : Flash
    config : CoreConfig
        The core that is built for it; its ``core_mhz`` is the PLL's output.
    seed : int
        Of place and route: one that is known to reach the clock.
    programmers : tuple of tuple of str
        Command lines that write a bitstream to the flash; the first whose program there is counts.
        ``{bitstream}`` stands for the file.
    resources : Resources
    """

    name: str
    title: str
    platform_path: str
    oscillator_mhz: float
    baud: int
    flash: Flash
    config: CoreConfig = field(default_factory=CoreConfig)
    seed: int = 1
    programmers: tuple[tuple[str, ...], ...] = ()
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        if self.config.flash_dtr and not self.flash.dtr:
            raise ValueError(f"flash_dtr of {self.name} must be False: its flash has no double "
                             "transfer rate")

    def platform(self) -> Any:
        """Return a new Amaranth platform."""
        module, _, name = self.platform_path.partition(":")
        return getattr(importlib.import_module(module), name)()
