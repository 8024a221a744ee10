"""How the driver reaches a device: memory, registers, flash, and waiting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import numpy.typing as npt

from hw.command import Register

__all__ = ["Feed", "Halfwords", "LayerObserver", "Memory", "Transport"]

Halfwords = npt.NDArray[np.uint16]
Memory = npt.NDArray[np.int8]

LayerObserver = Callable[[int, Memory], None]
"""Called at the end of each layer with its number and the activation memory, int8(words, bytes)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Feed:
    """What the host writes while the core runs.

    Attributes
    ----------
    after : int
        When LAYERS shows so many.
    address : int
    halfwords : ndarray
        Of activation memory.
    hold : int
        What HOLD is set to when they are there.
    """

    after: int
    address: int
    halfwords: Halfwords
    hold: int


class Transport(ABC):
    """A device: everything the driver needs of it.

    Addresses of memory are in halfwords (word × lanes + lane), registers those of
    :class:`hw.command.Register`.  Every method raises :class:`DeviceError` if the device fails.
    """

    observes_layers = False
    """Whether :meth:`wait` can report layers and the memory at their ends."""

    @abstractmethod
    def write_memory(self, address: int, halfwords: Halfwords) -> None:
        """Write halfwords of activation memory."""

    @abstractmethod
    def read_memory(self, address: int, count: int) -> Halfwords:
        """Return halfwords of activation memory."""

    @abstractmethod
    def write_register(self, register: Register, value: int) -> None:
        """Write a register."""

    @abstractmethod
    def read_register(self, register: Register) -> int:
        """Return a register."""

    @abstractmethod
    def program_flash(self, address: int, data: bytes) -> None:
        """Make the flash hold ``data`` from byte ``address`` on."""

    PAUSE_CYCLES = 64

    @abstractmethod
    def pause(self, cycles: int = PAUSE_CYCLES) -> None:
        """Let at least so many cycles of the core pass, as between two looks at a register."""

    @abstractmethod
    def wait_idle(
        self,
        limit: int,
        on_layer: LayerObserver | None = None,
        feeds: Sequence[Feed] = (),
    ) -> None:
        """Wait until the core is not busy, but no longer than it takes for ``limit`` cycles.

        Parameters
        ----------
        limit : int
            Core cycles; without the time that ``feeds`` take on the way to the device.
        on_layer : callable, optional
            Only where ``observes_layers``.
        feeds : sequence of Feed
            What to bring meanwhile, in order.

        Raises
        ------
        DeviceTimeout
            If it is still busy.
        """

    @property
    def layer_ends(self) -> list[int] | None:
        """Cycles from START to the end of each layer of the last run, if the device shows them."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Let go of the device."""

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
