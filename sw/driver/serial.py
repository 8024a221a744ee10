"""A board on a serial port, through the link of :mod:`hw.link`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import boards
from hw.contract.config import CoreConfig
from hw.contract.link import SAFE_RATE, Space, digest
from hw.contract.registers import Register
from sw.driver import packets
from sw.driver.errors import CorruptProgramError, DeviceError, DeviceLost, DeviceTimeout
from sw.driver.line import DeviceRestarted
from sw.driver.link import Link
from sw.driver.packets import Operation
from sw.driver.pipeline import POLL_SECONDS, Pipeline, Watch
from sw.driver.port import HardwarePort, Port
from sw.driver.spi_flash import Damaged, SpiFlash
from sw.driver.transport import (
    Feed,
    Halfwords,
    Job,
    LayerObserver,
    Outcome,
    Progress,
    Transport,
)

__all__ = ["SerialTransport"]

FLASH_RATE = 1
"""Rate r for the flash: at the highest one a byte would be gone before the flash has taken it."""

READ_BYTES = 1 << 14
"""Of the flash, between two signs of life."""

TRIES = 4
"""How often a job is begun again after the device has lost what it was told."""


class SerialTransport(Transport):
    """A board on a serial port.

    Parameters
    ----------
    port : str or Port
        Its name, such as ``/dev/ttyUSB1``; or an open one.
    config : CoreConfig
    baud : int
        The board's highest rate; which one is used is negotiated.
    seed : int, optional
        Of the replies' checksums, if the bitstream is another one than the core's.

    Raises
    ------
    DeviceBusy
        If another driver has the port.
    ConfigurationMismatch
        If the bitstream on the board was made from another configuration.
    DeviceError
        If the port cannot be opened, or no board answers.
    """

    def __init__(self, port: str | Port, config: CoreConfig, *, baud: int = 12_000_000,
                 seed: int | None = None) -> None:
        self.config = config
        self._baud = baud
        self._port: Port = HardwarePort(port, baud >> SAFE_RATE) if isinstance(port, str) else port
        self.name = self._port.name
        self._registers: dict[Register, int] = {}
        self.link = Link(
            self._port, seed=digest(config, baud) if seed is None else seed, baud=baud,
            explain=self._explain,
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
        self._run(packets.upload(address, halfwords))

    def read_memory(self, address: int, count: int) -> Halfwords:
        operation = packets.read(Space.MEMORY, address, count)
        self._run(operation)
        return packets.halfwords(operation)

    def write_register(self, register: Register, value: int) -> None:
        if register == Register.START:
            self._run(packets.start())
            return
        self._registers[register] = value
        self._run(packets.register(register, value))

    def read_register(self, register: Register) -> int:
        operation = packets.read(Space.REGISTER, register, 1)
        self._run(operation)
        return int(packets.halfwords(operation)[0])

    def pause(self, cycles: int = Transport.PAUSE_CYCLES) -> None:
        self._port.sleep(max(POLL_SECONDS, cycles / (self.config.core_mhz * 1e6)))

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
            watch = self._watch(limit)
            while self.read_register(Register.DESCRIPTORS) < feed.after:
                if watch.late():
                    raise DeviceTimeout(
                        f"{self.name}: after {watch.seconds:.2f} s not ready for more of the input"
                    )
            self.write_memory(feed.address, feed.halfwords)
            self.write_register(Register.HOLD, feed.hold)
        watch = self._watch(limit)
        while self.read_register(Register.STATUS) & 1:
            if watch.late():
                raise DeviceTimeout(f"{self.name}: still busy after {watch.seconds:.2f} s")

    def _watch(self, limit: int) -> Watch:
        return Watch(self.link, limit, self.config.core_mhz * 1e6)

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

    def prepare_flash(self) -> bool:
        with self._flash() as flash:
            return flash.prepare()

    def read_flash(self, address: int, count: int, progress: Progress | None = None) -> bytes:
        """Return bytes of the flash."""
        data = b""
        with self._flash() as flash:
            while len(data) < count:
                data += flash.read(address + len(data), min(READ_BYTES, count - len(data)))
                if progress is not None:
                    progress(len(data), count)
        return data

    def write_flash(self, address: int, data: bytes, progress: Progress | None = None) -> None:
        """Make the flash hold whole sectors from ``address`` on."""
        with self._flash() as flash:
            flash.rewrite(address, data, progress)

    @contextmanager
    def _flash(self) -> Iterator[SpiFlash]:
        """Yield the flash, at a rate that it can follow."""
        with self._restarts():
            before = self.link.rate
            if before < FLASH_RATE:
                self.link.change_rate(FLASH_RATE)
            yield SpiFlash(self._exchange, dtr=self.config.flash_dtr,
                           builds=boards.single_rate(self.config, self._baud))
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
                    packets.write(int(keep), part, len(part), space=Space.FLASH, fragile=True)
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
            self.link.run(packets.write(0, b"\xff", 1, space=Space.FLASH))
            raise Damaged
        return [bytes(read.data) if read else b"" for read in reads]

    # -- streams ---------------------------------------------------------------------------------

    def jobs(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Carry jobs out; the next inputs are written while the core computes, if that is safe."""
        pipeline = Pipeline(
            self.link,
            jobs,
            name=self.name,
            clock_hz=self.config.core_mhz * 1e6,
            lanes=self.config.lanes,
        )
        runs = pipeline.runs
        while pipeline.take(1):
            run = runs[0]
            try:
                if run.job.feeds:
                    # The line is busy with this input until the end is near.
                    with self._restarts():
                        self.carry_out(run.job, run.outcome)
                else:
                    pipeline.carry()
            except CorruptProgramError as error:
                if self._mended(pipeline, error):
                    continue
            except DeviceRestarted:
                run.restarts += 1
                self._reconnect()
                pipeline.forget()
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

    def _mended(self, pipeline: Pipeline, error: CorruptProgramError) -> bool:
        """Look for the reason of a wrong checksum; return whether the run may be tried again."""
        run = pipeline.runs[0]
        run.outcome.error = error
        if run.mended:
            return False
        try:
            pipeline.settle()
            run.mended = self.prepare_flash()
        except DeviceLost:
            raise
        except DeviceError as reason:
            run.outcome.error = reason
        if run.mended:
            run.outcome.error = None
        return run.mended

    def _reconnect(self) -> None:
        """Tell the device again what it has lost, but for its memory."""
        for _ in range(TRIES):
            try:
                self.link.open()
                self.link.run(
                    *(packets.register(place, value) for place, value in self._registers.items())
                )
            except DeviceRestarted:
                continue
            return
        raise DeviceLost(f"{self.name}: the board is configured again and again")
