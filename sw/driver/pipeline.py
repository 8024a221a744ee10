"""A stream of inferences over the link: while one is computed, the next input is on its way.

For each inference the device gets, in this order: the input, a start, and later the reads of what
the core says and of the result.  All of it is queued before it is needed, as soon as it is known
that it may be done, so that the line never waits for an answer on its way through USB:

- the next input goes right behind a start, after a pause in which the core reads on;
- the next start goes behind it as soon as the core was seen to be idle, and behind the reads.

The device does everything in the order of the queue, each exactly once (``docs/protocol.md``).
But an answer that is lost is asked for again, and what is read then may be the next run's if that
has begun: both are carried out again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from common import progress
from hw.contract.link import Space
from hw.contract.registers import Register
from sw.driver.errors import DeviceError, DeviceTimeout
from sw.driver.link import Link
from sw.driver.packets import Operation, halfwords, read, start, upload
from sw.driver.transport import CORRUPT, Job, Outcome, corrupt_program

__all__ = ["POLL_SECONDS", "Pipeline", "Run", "Watch"]

POLL_SECONDS = 0.0005

IDLE_SECONDS = 0.25
"""Added to the time that the core may take: for the link, and for what else the computer does;
and the time within which a core that is slow must at least have done something."""

RESULT = 3
"""Registers read after an inference: STATUS, CYCLES_LOW, CYCLES_HIGH."""

HALFWORD_BYTES = 2


class Watch:
    """Tells a core that has stopped from one that is slow, as a simulated one is.

    Parameters
    ----------
    link : Link
    limit : int
        Cycles after the start within which the core must be done.
    clock_hz : float
        The core's.
    """

    def __init__(self, link: Link, limit: int, clock_hz: float) -> None:
        self._link, self._limit = link, limit
        self._began = link.port.now()
        self._end = self._began + limit / clock_hz + IDLE_SECONDS
        self._cycles = -1

    @property
    def seconds(self) -> float:
        """Time since the watch began."""
        return self._link.port.now() - self._began

    def late(self) -> bool:
        """Return whether the core counts as hanging: the time is over, and by its own count, too,
        or that stands still."""
        if self._link.port.now() <= self._end:
            return False
        counter = read(Space.REGISTER, Register.CYCLES_LOW, 2)
        self._link.run(counter)
        low, high = (int(value) for value in halfwords(counter))
        cycles = low | high << 16
        if cycles > self._limit or cycles == self._cycles:
            return True
        self._cycles = cycles
        self._end = self._link.port.now() + IDLE_SECONDS
        return False


class Run:
    """A job under way.

    Attributes
    ----------
    job : Job
    outcome : Outcome
    writes : list of Operation
        Empty until they are submitted.
    start : Operation or None
        None until it is submitted.
    restarts : int
        How often the device has lost everything meanwhile.
    mended : bool
        The flash was not ready for it, and was made so.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.outcome = Outcome()
        self.restarts = 0
        self.mended = False
        self.forget()

    def forget(self) -> None:
        """Begin anew: the device knows nothing of it."""
        self.writes: list[Operation] = []
        self.start: Operation | None = None


class Pipeline:
    """Carries out jobs in order, two inputs ahead of the results.

    Parameters
    ----------
    link : Link
    jobs : iterable of Job
        Taken when there is time for them.
    name : str
        Of the device, for messages.
    clock_hz : float
        The core's.
    lanes : int
        Halfwords of a word.

    Attributes
    ----------
    runs : deque of Run
        What is under way; the first one computes, or is about to.
    """

    def __init__(
        self,
        link: Link,
        jobs: Iterable[Job],
        *,
        name: str,
        clock_hz: float,
        lanes: int,
    ) -> None:
        self.link = link
        self.runs: deque[Run] = deque()
        self._source = iter(jobs)
        self._name, self._clock_hz, self._lanes = name, clock_hz, lanes
        self._constants = False

    def take(self, count: int) -> bool:
        """Have so many runs, if there are jobs; return whether there are."""
        while len(self.runs) < count:
            job = next(self._source, None)
            if job is None:
                return False
            self.runs.append(Run(job))
        return True

    def forget(self) -> None:
        """Begin everything anew: the device has lost its memory."""
        self._constants = False
        for run in self.runs:
            run.forget()

    def carry(self) -> None:
        """Get the outcome of the first run.

        Raises
        ------
        CorruptProgramError, DeviceTimeout, DeviceError
            If it has none.
        """
        with progress.stage(f"{self.runs[0].job.program} on {self._name}"):
            while not self._attempt():
                self.settle()

    def settle(self) -> None:
        """Let everything that was begun come to its end; it is to be done again."""
        while not self.link.idle:
            self.link.pump()
        self._wait(self.runs[0].job)
        self.forget()

    def _attempt(self) -> bool:
        """Get the outcome; return whether it is that of the run, or of the next one."""
        link, run = self.link, self.runs[0]
        if run.start is None:
            self._write(run, 0.0)
            run.start = link.submit(start())
        begun = run.start
        self._write_behind(run, 1)
        while not begun.done:
            link.pump()
        self._wait(run.job)
        idle = link.port.now()
        registers = read(Space.REGISTER, Register.STATUS, RESULT)
        reads = [read(Space.MEMORY, address, count) for address, count in run.job.reads]
        for operation in reversed([registers, *reads]):
            link.submit(operation, urgent=True)
        following = self._start_next()
        while not all(operation.done for operation in (registers, *reads)):
            link.pump()
        last = max(operation.order for operation in (registers, *reads))
        if following is not None and following.done and following.order < last:
            return False
        status, low, high = (int(value) for value in halfwords(registers))
        if status & CORRUPT:
            raise corrupt_program(run.job)
        if status & 1:
            raise DeviceError(f"{self._name}: the core began something that nobody asked for")
        outcome = run.outcome
        outcome.cycles = low | high << 16
        outcome.halfwords = [halfwords(operation) for operation in reads]
        began = (run.writes or [begun])[0].began
        outcome.upload_seconds = begun.ended - (begun.ended if began is None else began)
        outcome.compute_seconds = idle - begun.ended
        outcome.link_seconds = link.port.now() - idle
        outcome.retries = sum(o.retries for o in [*run.writes, begun, registers, *reads])
        return True

    def _write(self, run: Run, pause: float) -> None:
        """Submit the writes of a run, unless that was done."""
        if run.writes:
            return
        job = run.job
        writes = job.writes if self._constants else [*job.constants, *job.writes]
        self._constants = True
        run.writes = [upload(address, data) for address, data in writes]
        if run.writes:
            run.writes[0].pause = pause
        for operation in run.writes:
            self.link.submit(operation)

    def _write_behind(self, run: Run, place: int) -> None:
        """Submit the writes of the run at a place behind the start of the one before it."""
        job = run.job
        word = self._lanes * HALFWORD_BYTES * self.link.byte_seconds * self._clock_hz
        if job.overlap is None or word < job.overlap_pace or not self.take(place + 1):
            return
        if not self.runs[place].job.feeds:
            self._write(self.runs[place], job.overlap / self._clock_hz)

    def _start_next(self) -> Operation | None:
        """Submit the next start behind what is queued, and what comes after that; return it.

        On a bad line the answers are waited for first.
        """
        if len(self.runs) < 2 or not self.runs[1].writes or not self.link.steady:
            return None
        self.runs[1].start = following = self.link.submit(start())
        self._write_behind(self.runs[1], 2)
        return following

    def _wait(self, job: Job) -> None:
        """Wait until the core is seen to be idle."""
        link = self.link
        watch = Watch(link, job.limit, self._clock_hz)
        while link.busy:
            if watch.late():
                status = read(Space.REGISTER, Register.STATUS, 1)
                link.run(status)
                if int(halfwords(status)[0]) & CORRUPT:
                    raise corrupt_program(job)
                raise DeviceTimeout(f"{self._name}: still busy after {watch.seconds:.2f} s")
            if link.idle:
                link.port.sleep(POLL_SECONDS)
                link.submit(read(Space.REGISTER, Register.STATUS, 1))
            link.pump()
