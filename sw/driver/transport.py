"""Transport to a device: memory, registers, flash, and waiting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from common.closing import Closing
from hw.contract.registers import HOLD_NEVER, Register
from sw.driver.errors import CorruptProgramError, DeviceError, DeviceLost, DeviceTimeout

__all__ = [
    "Feed",
    "Halfwords",
    "Job",
    "LayerObserver",
    "Memory",
    "Outcome",
    "Progress",
    "Transport",
]

Halfwords = npt.NDArray[np.uint16]
Memory = npt.NDArray[np.int8]

LayerObserver = Callable[[int, Memory], None]
"""Called at the end of each layer with its number and the activation memory, int8(words, bytes)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Feed:
    """Part of the input that the host writes while the core runs.

    Attributes
    ----------
    after : int
        When DESCRIPTORS shows so many.
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


Progress = Callable[[int, int], None]
"""Called with the bytes done, and all of them."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One inference, as a device sees it.

    Attributes
    ----------
    program : str
        Its name, for messages.
    writes : list of (address, halfwords)
        What to write to activation memory before the start.
    constants : list of (address, halfwords)
        The same, but no run changes it: what the device has got with the program's run before,
        it need not get again.
    reads : list of (address, count)
        What to read from it after the end.
    limit : int
        Cycles after which the core counts as hanging.
    cycles : int
        That it takes, as predicted.
    feeds : list of Feed
        What to write while the core runs.
    hold : int
        What HOLD is set to before the start, if there are ``feeds``.
    overlap : int or None
        Cycles after the start from which the next job's ``writes`` may be made, in their order;
        None if only after the end.
    overlap_pace : int
        Cycles that each of their words takes at least.
    """

    program: str
    writes: list[tuple[int, Halfwords]]
    reads: list[tuple[int, int]]
    limit: int
    cycles: int = 0
    feeds: list[Feed] = field(default_factory=list)
    hold: int = HOLD_NEVER
    constants: list[tuple[int, Halfwords]] = field(default_factory=list)
    overlap: int | None = None
    overlap_pace: int = 0


@dataclass(kw_only=True)
class Outcome:
    """Outcome of a job; times in seconds of the device's clock (:meth:`Transport.now`).

    Attributes
    ----------
    halfwords : list of ndarray
        What was read.
    cycles : int or None
        The core's own count.
    upload_seconds : float
        From the first byte of the input to the acknowledgement of the last.
    compute_seconds : float
        From the start to the moment at which the core was seen to be idle.
    link_seconds : float
        From there to the result.
    retries : int
        Packets that were sent again.
    finished : float
        When the result was there.
    error : DeviceError or None
        Why there is no result.
    """

    halfwords: list[Halfwords] = field(default_factory=list)
    cycles: int | None = None
    upload_seconds: float = 0.0
    compute_seconds: float = 0.0
    link_seconds: float = 0.0
    retries: int = 0
    finished: float = 0.0
    error: DeviceError | None = None

    def times(self) -> dict[str, Any]:
        """Return the fields of a result that say how long the job took on its way."""
        names = ("upload_seconds", "compute_seconds", "link_seconds", "retries")
        return {name: getattr(self, name) for name in names}


CORRUPT = 1 << 2
"""Set in STATUS: a checksum of the program was wrong since the start."""


def corrupt_program(job: Job) -> CorruptProgramError:
    """Return the error of a job whose program is damaged."""
    return CorruptProgramError(
        f"{job.program}: the program in the device's flash is damaged; load it again, and "
        "if that does not help lower the board's core_mhz"
    )


class Transport(Closing, ABC):
    """A device: everything the driver needs of it.

    Addresses of memory are in halfwords (word × lanes + lane), registers those of
    :class:`hw.contract.registers.Register`.  Every method raises :class:`DeviceError` if the
    device fails.
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
    def program_flash(
        self,
        address: int,
        data: bytes,
        progress: Progress | None = None,
        *,
        trust: bool = True,
    ) -> None:
        """Make the flash hold ``data`` from byte ``address`` on, and verify it.

        Parameters
        ----------
        address : int
        data : bytes
        progress : callable, optional
        trust : bool
            Believe the flash's own record that it holds them, if it has one.
        """

    def doubt_flash(self, address: int, size: int) -> None:
        """Make the flash say no longer that ``size`` bytes from ``address`` on are there."""
        # Here it never says so.
        return

    def prepare_flash(self) -> bool:
        """Make the flash ready for the core; return whether it was not, and is now.

        Raises
        ------
        DeviceError
            If there is no flash that the core can read, in a sentence that says what there is.
        """
        # Here only the core's own reader can.
        return False

    def read_cycles(self) -> int:
        """Return what the core's counter shows."""
        low = self.read_register(Register.CYCLES_LOW)
        return low | self.read_register(Register.CYCLES_HIGH) << 16

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

    @abstractmethod
    def now(self) -> float:
        """Return seconds of the clock that goes with the device: simulated ones in a simulation."""

    def jobs(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Carry jobs out, and yield their outcomes in order.

        A failure that concerns one job is its outcome's ``error``; :class:`DeviceLost` is raised.
        Transports whose link can do so write the next input while the core computes: they take
        jobs ahead of the outcomes they have yielded.
        """
        for job in jobs:
            outcome = Outcome()
            try:
                self.carry_out(job, outcome)
            except DeviceLost:
                raise
            except DeviceError as error:
                outcome.error = error
            outcome.finished = self.now()
            yield outcome

    def carry_out(
        self, job: Job, outcome: Outcome, on_layer: LayerObserver | None = None
    ) -> None:
        """Write, run and read a job, one after the other.

        Parameters
        ----------
        job : Job
        outcome : Outcome
            Gets the results.
        on_layer : callable, optional
            As for :meth:`wait_idle`.

        Raises
        ------
        DeviceError
            If there is no result; see :meth:`run`.
        """
        began = self.now()
        for address, halfwords in [*job.constants, *job.writes]:
            self.write_memory(address, halfwords)
        written = self.now()
        self.run(job, on_layer)
        idle = self.now()
        self.check_stream(job)
        outcome.cycles = self.read_cycles()
        outcome.halfwords = [self.read_memory(address, count) for address, count in job.reads]
        outcome.upload_seconds = written - began
        outcome.compute_seconds = idle - written
        outcome.link_seconds = self.now() - idle

    def run(self, job: Job, on_layer: LayerObserver | None = None) -> None:
        """Start the core on what was written for a job, and wait until it is not busy.

        Parameters
        ----------
        job : Job
        on_layer : callable, optional
            As for :meth:`wait_idle`.

        Raises
        ------
        CorruptProgramError
            If the core does not finish because the program in the flash is damaged; whether it
            was in a run that came to an end, :meth:`check_stream` says.
        DeviceTimeout
            If the core does not finish.
        """
        if job.feeds:
            self.write_register(Register.HOLD, job.hold)
        self.write_register(Register.START, 1)
        try:
            if job.feeds:
                self.wait_idle(job.limit, on_layer, job.feeds)
            else:
                self.wait_idle(job.limit, on_layer)
        except DeviceTimeout:
            # Not after other errors: a dead line must be seen as such.
            self.check_stream(job)
            raise

    def check_stream(self, job: Job) -> None:
        """Raise :class:`CorruptProgramError` if a checksum was wrong since the start."""
        if self.read_register(Register.STATUS) & CORRUPT:
            raise corrupt_program(job)

    @property
    def descriptor_ends(self) -> list[int] | None:
        """Cycles from START to the end of each layer of the last run, if the device shows them."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Let go of the device."""
