"""A board on a serial port, through the link of :mod:`hw.link`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

import boards
from hw.command import Register
from hw.config import CoreConfig
from hw.link.protocol import SAFE_RATE, Space, control_address, digest
from sw.driver.errors import DeviceError, DeviceLost, DeviceTimeout
from sw.driver.link import DeviceRestarted, Link
from sw.driver.packets import Operation, repeats
from sw.driver.port import HardwarePort, Port
from sw.driver.spi_flash import Damaged, SpiFlash
from sw.driver.transport import (
    CORRUPT,
    Feed,
    Halfwords,
    Job,
    LayerObserver,
    Outcome,
    Progress,
    Transport,
    corrupt_program,
)

__all__ = ["SerialTransport"]

POLL_SECONDS = 0.0005
IDLE_SECONDS = 0.25
"""Added to the time that the core may take: for the link, and for what else the computer does;
and the time within which a core that is slow must at least have done something."""

FLASH_RATE = 1
"""Rate r for the flash: at the highest one a byte would be gone before the flash has taken it."""

TRIES = 4
"""How often a job is begun again after the device has lost what it was told."""

RESULT = 3
"""Registers read after an inference: STATUS, CYCLES_LOW, CYCLES_HIGH."""


class SerialTransport(Transport):
    """A board on a serial port.

    Parameters
    ----------
    port : str or Port
        Its name, such as ``/dev/ttyUSB1``; or an open one.
    config : CoreConfig
    baud : int
        The board's highest rate; which one is used is negotiated.

    Raises
    ------
    DeviceBusy
        If another driver has the port.
    ConfigurationMismatch
        If the bitstream on the board was made from another configuration.
    DeviceError
        If the port cannot be opened, or no board answers.
    """

    def __init__(self, port: str | Port, config: CoreConfig, *, baud: int = 12_000_000) -> None:
        self.config = config
        self._baud = baud
        self._port: Port = HardwarePort(port, baud >> SAFE_RATE) if isinstance(port, str) else port
        self.name = self._port.name
        self._registers: dict[Register, int] = {}
        self.link = Link(
            self._port, seed=digest(config, baud), baud=baud, explain=self._explain
        )
        try:
            with self._restarts():
                self.link.open()
        except BaseException:
            self._port.close()
            raise

    def _explain(self, seed: int) -> str:
        """Return what to say about a device of another configuration."""
        for name in boards.board_names():
            board = boards.get(name)
            if digest(board.config, board.baud) == seed:
                return (
                    f"the bitstream on the device is that of board {name!r}, and not of the "
                    "configuration that was asked for; use the same --board for both"
                )
        return (
            f"the bitstream on the device was built from another configuration or version "
            f"({seed:08x}; this one is {digest(self.config, self._baud):08x}): build and program "
            "it again (python -m hw.build --program)"
        )

    # -- single requests -------------------------------------------------------------------------

    def write_memory(self, address: int, halfwords: Halfwords) -> None:
        self._run(*self._upload(address, halfwords))

    def read_memory(self, address: int, count: int) -> Halfwords:
        operation = _read(Space.MEMORY, address, count)
        self._run(operation)
        return _halfwords(operation)

    def write_register(self, register: Register, value: int) -> None:
        if register == Register.START:
            self._run(_start())
            return
        self._registers[register] = value
        self._run(_register(register, value))

    def read_register(self, register: Register) -> int:
        operation = _read(Space.REGISTER, register, 1)
        self._run(operation)
        return int(_halfwords(operation)[0])

    def read_cycles(self) -> int:
        """Return the core's counter, at one moment as nearly as it can be."""
        operation = _read(Space.REGISTER, Register.CYCLES_LOW, 2)
        self._run(operation)
        low, high = (int(value) for value in _halfwords(operation))
        return low | high << 16

    def pause(self, cycles: int = Transport.PAUSE_CYCLES) -> None:
        self._port.sleep(max(POLL_SECONDS, cycles / (self.config.clock_mhz * 1e6)))

    def now(self) -> float:
        return self._port.now()

    def wait_idle(
        self,
        limit: int,
        on_layer: LayerObserver | None = None,
        feeds: Sequence[Feed] = (),
    ) -> None:
        if on_layer is not None:
            raise DeviceError(f"{self.name}: a board does not show its layers")
        for feed in feeds:
            watch = _Watch(self, limit)
            while self.read_register(Register.LAYERS) < feed.after:
                if watch.late():
                    raise DeviceTimeout(
                        f"{self.name}: after {watch.seconds:.2f} s not ready for more of the input"
                    )
            self.write_memory(feed.address, feed.halfwords)
            self.write_register(Register.HOLD, feed.hold)
        watch = _Watch(self, limit)
        while self.read_register(Register.STATUS) & 1:
            if watch.late():
                raise DeviceTimeout(f"{self.name}: still busy after {watch.seconds:.2f} s")

    def close(self) -> None:
        self._port.close()

    @property
    def retries(self) -> int:
        """Packets that were sent again, so far."""
        return self.link.retries

    @property
    def baud(self) -> int:
        """The rate in use."""
        return self._baud >> self.link.rate

    def _upload(self, address: int, halfwords: Halfwords) -> list[Operation]:
        """Return the writes of halfwords, with those left out that the device can repeat."""
        data = np.ascontiguousarray(halfwords, "<u2")
        lanes = self.config.lanes
        # At the end of a word the device would repeat the last halfword of all, too.
        end = len(data) - ((address + len(data)) % lanes == 0)
        lane = (address + np.arange(end)) % lanes
        again = (lane == 0) & (np.arange(end) > 0)
        before, first = data[: end - 1][again[1:]], data[1:end][again[1:]]
        if not again.any() or not np.array_equal(before, first):
            return [_write(address, data.tobytes(), len(data))]
        items = data[:end][~again]
        assert len(items) + repeats(address, len(items), lanes) == end
        writes = [_write(address, items.tobytes(), len(items), repeat=lanes)]
        if end < len(data):
            writes.append(_write(address + end, data[end:].tobytes(), 1))
        return writes

    def _run(self, *operations: Operation) -> None:
        with self._restarts():
            self.link.run(*operations)

    @contextmanager
    def _restarts(self) -> Iterator[None]:
        """Turn the loss of the device's state into an error, with the link as good as new."""
        try:
            yield
        except DeviceRestarted:
            self.link.open()
            raise DeviceError(
                f"{self.name}: the board was configured anew meanwhile; load the program again"
            ) from None

    # -- flash -----------------------------------------------------------------------------------

    def program_flash(
        self,
        address: int,
        data: bytes,
        progress: Progress | None = None,
        *,
        trust: bool = True,
    ) -> None:
        with self._flash() as flash:
            flash.store(address, data, progress, trust=trust)

    def doubt_flash(self, address: int, size: int) -> None:
        with self._flash() as flash:
            flash.doubt(address, size)

    @contextmanager
    def _flash(self) -> Iterator[SpiFlash]:
        """Yield the flash, at a rate that it can follow."""
        with self._restarts():
            before = self.link.rate
            if before < FLASH_RATE:
                self.link.change_rate(FLASH_RATE)
            yield SpiFlash(self._exchange)
            # Not after an error: it may be the line's, and any rate will do.
            if self.link.rate != before:
                self.link.change_rate(before)

    def _exchange(self, commands: list[tuple[bytes, bytes, int]]) -> list[bytes]:
        """Carry out flash commands: see :class:`sw.driver.spi_flash.SpiFlash`."""
        operations: list[Operation] = []
        reads: list[Operation | None] = []
        for head, body, count in commands:
            parts = [part for part in (head, body) if part]
            for number, part in enumerate(parts):
                keep = number < len(parts) - 1 or count > 0
                operations.append(
                    _write(int(keep), part, len(part), space=Space.FLASH, fragile=True)
                )
            if not count:
                reads.append(None)
                continue
            read = Operation(
                space=Space.FLASH, address=0, count=count, write=False, fragile=True
            )
            reads.append(read)
            operations.append(read)
        self.link.run(*operations)
        if any(operation.failed for operation in operations):
            # One byte more than a command has, and nothing of it is carried out.
            self.link.run(_write(0, b"\xff", 1, space=Space.FLASH))
            raise Damaged
        return [bytes(read.data) if read else b"" for read in reads]

    # -- streams ---------------------------------------------------------------------------------

    def jobs(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Carry jobs out; the next input is written while the core computes, if that is safe."""
        source = iter(jobs)
        # The one that computes, and the one whose input is written meanwhile.
        runs: deque[_Run] = deque()

        def take() -> bool:
            job = next(source, None)
            if job is not None:
                runs.append(_Run(job))
            return job is not None

        while runs or take():
            run = runs[0]
            try:
                if run.job.feeds:
                    # The line is busy with this input until the end is near.
                    with self._restarts():
                        self._carry_out(run.job, run.outcome)
                else:
                    self._carry(run, lambda: len(runs) > 1 or take(), runs)
            except DeviceRestarted:
                run.restarts += 1
                self._reconnect(runs)
                if run.restarts <= TRIES:
                    continue
                run.outcome.error = DeviceError(
                    f"{self.name}: the board was configured anew {TRIES} times during a frame"
                )
            except DeviceLost:
                raise
            except DeviceError as error:
                run.outcome.error = error
            runs.popleft()
            run.outcome.finished = self.now()
            yield run.outcome

    def _carry(self, run: _Run, another: Callable[[], bool], runs: deque[_Run]) -> None:
        """Write, start, wait, read; with the input of the next run in between."""
        link, job = self.link, run.job
        self._begin(run, 0.0)
        start = link.submit(run.start)
        if job.overlap is not None and another():
            # Behind the start, so that it happens only after it.
            self._begin(runs[1], job.overlap / (self.config.clock_mhz * 1e6))
        while not start.done:
            link.pump()
        watch = _Watch(self, job.limit)
        while True:
            while link.busy:
                if watch.late():
                    self.check_stream(job)
                    raise DeviceTimeout(f"{self.name}: still busy after {watch.seconds:.2f} s")
                if link.idle:
                    self._port.sleep(POLL_SECONDS)
                    link.submit(_read(Space.REGISTER, Register.STATUS, 1))
                link.pump()
            idle = self.now()
            registers = _read(Space.REGISTER, Register.STATUS, RESULT)
            reads = [_read(Space.MEMORY, address, count) for address, count in job.reads]
            for operation in reversed([registers, *reads]):
                link.submit(operation, urgent=True)
            while not all(operation.done for operation in (registers, *reads)):
                link.pump()
            status, low, high = (int(value) for value in _halfwords(registers))
            if not status & 1:
                break
            link.busy = True
        if status & CORRUPT:
            raise corrupt_program(job)
        outcome = run.outcome
        outcome.cycles = low | high << 16
        outcome.halfwords = [_halfwords(operation) for operation in reads]
        outcome.upload_seconds = start.ended - (run.began(start) or start.ended)
        outcome.compute_seconds = idle - start.ended
        outcome.link_seconds = self.now() - idle
        outcome.retries = sum(o.retries for o in [*run.writes, start, registers, *reads])

    def _begin(self, run: _Run, pause: float) -> None:
        """Submit the writes of a run, unless that was done."""
        if run.writes:
            return
        run.writes = [
            write
            for address, halfwords in run.job.writes
            for write in self._upload(address, halfwords)
        ]
        run.start = _start()
        if run.writes:
            run.writes[0].pause = pause
        for operation in run.writes:
            self.link.submit(operation)

    def _reconnect(self, runs: Iterable[_Run]) -> None:
        """Tell the device again what it has lost; all runs begin anew."""
        for _ in range(TRIES):
            try:
                self.link.open()
                self.link.run(
                    *(_register(register, value) for register, value in self._registers.items())
                )
            except DeviceRestarted:
                continue
            break
        else:
            raise DeviceLost(f"{self.name}: the board is configured again and again")
        for run in runs:
            run.writes = []


class _Run:
    """A job under way."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.outcome = Outcome()
        self.writes: list[Operation] = []
        self.start = _start()
        self.restarts = 0

    def began(self, start: Operation) -> float | None:
        """Return when the first byte was sent."""
        return (self.writes or [start])[0].began


class _Watch:
    """Tells a core that has stopped from one that is slow, as a simulated one is.

    Parameters
    ----------
    transport : SerialTransport
    limit : int
        Cycles after the start within which the core must be done.
    """

    def __init__(self, transport: SerialTransport, limit: int) -> None:
        self._transport, self._limit = transport, limit
        self._began = transport.now()
        self._end = self._began + limit / (transport.config.clock_mhz * 1e6) + IDLE_SECONDS
        self._cycles = -1

    @property
    def seconds(self) -> float:
        """Time since the watch began."""
        return self._transport.now() - self._began

    def late(self) -> bool:
        """Return whether the core counts as hanging: the time is over, and by its own count, too,
        or that stands still."""
        if self._transport.now() <= self._end:
            return False
        cycles = self._transport.read_cycles()
        if cycles > self._limit or cycles == self._cycles:
            return True
        self._cycles = cycles
        self._end = self._transport.now() + IDLE_SECONDS
        return False


def _write(
    address: int,
    items: bytes,
    count: int,
    *,
    space: Space = Space.MEMORY,
    repeat: int = 0,
    fragile: bool = False,
) -> Operation:
    return Operation(
        space=space,
        address=address,
        items=items,
        count=count,
        write=True,
        repeat=repeat,
        fragile=fragile,
    )


def _register(register: Register, value: int) -> Operation:
    return _write(register, value.to_bytes(2, "little"), 1, space=Space.REGISTER)


def _start() -> Operation:
    return _write(control_address(), b"\0", 1, space=Space.CONTROL)


def _read(space: Space, address: int, count: int) -> Operation:
    return Operation(space=space, address=address, count=count, write=False)


def _halfwords(operation: Operation) -> Halfwords:
    return np.frombuffer(bytes(operation.data), "<u2").astype(np.uint16)
