"""A device that runs compiled networks; the same code for every transport."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw.command import HOLD_NEVER, IDENTITY, Register
from hw.config import CoreConfig
from sw.compiler import Collector, InputChunk, Program
from sw.compiler.cycles import by_layer
from sw.driver.errors import CorruptProgramError, DeviceError, DeviceTimeout
from sw.driver.transport import Feed, Halfwords, Memory, Transport

__all__ = ["Device", "Result", "TensorObserver"]

Array = npt.NDArray[np.integer]

TensorObserver = Callable[[int, Array], None]
"""Called at the end of each layer with its number and the tensor it has written."""

FLASH_POLLS = 200
"""Times the device is asked whether its flash is ready: the flash wakes up within microseconds."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an inference gave.

    Attributes
    ----------
    tensors : dict
        By number: the network's outputs, and what the host computed after the device.
    cycles : int
        Counted by the core, from the start to the end of the last layer.
    layer_cycles : list of int or None
        For each layer of the program, if the device shows them; they add up to ``cycles``.
    """

    tensors: dict[int, Array]
    cycles: int
    layer_cycles: list[int] | None


def _halfwords(words: Memory) -> Halfwords:
    return np.ascontiguousarray(words).view("<u2").ravel()


class Device:
    """A core that answers.

    Parameters
    ----------
    transport : Transport
    config : CoreConfig
        What the core was generated from.

    Raises
    ------
    DeviceError
        If something else answers, or nothing.
    """

    def __init__(self, transport: Transport, config: CoreConfig) -> None:
        self.transport = transport
        self.config = config
        self.program: Program | None = None
        identity = transport.read_register(Register.STATUS) >> 8
        if identity != IDENTITY:
            raise DeviceError(
                f"the device speaks version {identity:02x} of the command set, this driver "
                f"{IDENTITY:02x}: build and program the bitstream again"
            )

    @classmethod
    def open(cls, backend: str, config: CoreConfig, *, baud: int = 1_000_000) -> Device:
        """Open a device.

        Parameters
        ----------
        backend : str
            ``"sim"``, or the name of a serial port.
        config : CoreConfig
        baud : int
            Rate of a serial port.

        Raises
        ------
        DeviceError
            If there is none.
        """
        transport: Transport
        if backend == "sim":
            from sw.driver.simulation import SimTransport

            transport = SimTransport(config)
        else:
            from sw.driver.serial import SerialTransport

            transport = SerialTransport(backend, config, baud=baud)
        try:
            return cls(transport, config)
        except BaseException:
            transport.close()
            raise

    def close(self) -> None:
        """Let go of the device."""
        self.transport.close()

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self, program: Program) -> None:
        """Store a program in the device's flash, and make it the one that :meth:`infer` runs.

        Raises
        ------
        DeviceError
            If it was compiled for another core, or the flash cannot be written.
        """
        if program.config != self.config:
            raise DeviceError(
                f"{program.model}: compiled for another core than the device's; compile it again"
            )
        self._wait_for_flash()
        self.transport.program_flash(program.flash_address, program.flash)
        for register, value in (
            (Register.FLASH_LOW, program.flash_address & 0xFFFF),
            (Register.FLASH_HIGH, program.flash_address >> 16),
            (Register.RING_FIRST, program.ring[0]),
            (Register.HOLD, HOLD_NEVER),
        ):
            self.transport.write_register(register, value)
        self.program = program

    def infer(
        self,
        inputs: Array | Sequence[Array] | Mapping[int, Array],
        observe: TensorObserver | None = None,
    ) -> Result:
        """Run the network once.

        Parameters
        ----------
        inputs : ndarray, sequence or mapping
            The network's inputs, as for :func:`sw.golden.run`.
        observe : callable, optional
            Only where ``transport.observes_layers``.

        Raises
        ------
        InputError
            If an input does not fit.
        CorruptProgramError
            If the program in the flash is damaged.
        DeviceTimeout
            If the core does not finish.
        DeviceError
            If anything else goes wrong.
        """
        program, transport = self._program(), self.transport
        uploads, chunks = program.uploads(inputs)
        for address, words in uploads:
            transport.write_memory(address * self.config.lanes, _halfwords(words))
        feeds = self._feeds(chunks)
        predicted = program.cycles()
        limit = 4 * sum(predicted) + 100_000
        observer = None if observe is None else self._observer(observe)
        if feeds:
            transport.write_register(Register.HOLD, chunks[0][0].before_layer)
        transport.write_register(Register.START, 1)
        try:
            if feeds:
                transport.wait_idle(limit, observer, feeds)
            else:
                transport.wait_idle(limit, observer)
        except DeviceTimeout:
            self._check_stream()
            raise
        self._check_stream()
        cycles = self.cycles()
        outputs = {index: self._read(index) for index in program.outputs}
        return Result(
            tensors=program.finish(outputs),
            cycles=cycles,
            layer_cycles=self._layer_cycles(cycles),
        )

    def _feeds(self, chunks: Sequence[tuple[InputChunk, Memory]]) -> list[Feed]:
        """Return what to write while the core runs, each time up to the next chunk's layer."""
        holds = [chunk.before_layer for chunk, _ in chunks[1:]] + [HOLD_NEVER]
        return [
            Feed(
                after=chunk.after_layer,
                address=chunk.address * self.config.lanes,
                halfwords=_halfwords(words),
                hold=hold,
            )
            for (chunk, words), hold in zip(chunks, holds, strict=False)
        ]

    def cycles(self) -> int:
        """Return what the core's counter shows."""
        low = self.transport.read_register(Register.CYCLES_LOW)
        return low | self.transport.read_register(Register.CYCLES_HIGH) << 16

    def _program(self) -> Program:
        if self.program is None:
            raise DeviceError("no program is loaded")
        return self.program

    def _check_stream(self) -> None:
        """Raise :class:`CorruptProgramError` if a checksum was wrong since the start."""
        if self.transport.read_register(Register.STATUS) >> 2 & 1:
            raise CorruptProgramError(
                f"{self._program().model}: the program in the device's flash is damaged; load it "
                "again, and if that does not help lower the board's clock_mhz"
            )

    def _wait_for_flash(self) -> None:
        for _ in range(FLASH_POLLS):
            if self.transport.read_register(Register.STATUS) >> 1 & 1:
                return
            self.transport.pause()
        raise DeviceTimeout("the device's flash does not become ready")

    def _read(self, index: int) -> Memory:
        """Return the words of a tensor."""
        tensor = self._program().tensors[index]
        lanes = self.config.lanes
        halfwords = self.transport.read_memory(tensor.address * lanes, tensor.words * lanes)
        return halfwords.astype("<u2").view(np.int8).reshape(tensor.words, -1)

    def _observer(self, observe: TensorObserver) -> Callable[[int, Memory], None]:
        collector = Collector(self._program())

        def on_descriptor(number: int, memory: Memory) -> None:
            if (complete := collector.take(number, memory)) is not None:
                observe(*complete)

        return on_descriptor

    def _layer_cycles(self, cycles: int) -> list[int] | None:
        ends = self.transport.layer_ends
        if ends is None:
            return None
        if len(ends) != len(self._program().work):
            raise DeviceError(
                f"the core ended {len(ends)} descriptors of {len(self._program().work)}"
            )
        # The core counts from the cycle after the start to the one after the last layer's end;
        # the transport's own count has a constant offset.
        shift = cycles - ends[-1]
        return by_layer(self._program().work, [end + shift for end in ends])
