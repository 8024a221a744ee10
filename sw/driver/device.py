"""A device that runs compiled networks; the same code for every transport."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from common.closing import Closing
from common.errors import InputError
from hw.contract.config import CoreConfig
from hw.contract.registers import HOLD_NEVER, IDENTITY, Register
from sw.compiler import Collector, InputChunk, Program
from sw.compiler.timing import by_layer, predict
from sw.driver.errors import CorruptProgramError, DeviceError, DeviceTimeout
from sw.driver.results import Result, StreamResult
from sw.driver.transport import Feed, Halfwords, Job, Memory, Outcome, Progress, Transport

__all__ = ["Device", "Frame", "TensorObserver"]

Array = npt.NDArray[np.integer]

TensorObserver = Callable[[int, Array], None]
"""Called at the end of each layer with its number and the tensor it has written."""

LONGEST_RUN = 100_000_000
"""Cycles that a run of an unknown program may take."""

FLASH_POLLS = 200
"""Times the device is asked whether its flash is ready: the flash wakes up within microseconds."""


def _halfwords(words: Memory) -> Halfwords:
    return np.ascontiguousarray(words).view("<u2").ravel()


Frame = Array | Sequence[Array] | Mapping[int, Array]


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """Job, and what the host keeps meanwhile.

    Attributes
    ----------
    job : Job
    kept : mapping
        Tensors that are wanted behind the device's part.
    seconds : float
        What the host took for its operators so far.
    """

    job: Job
    kept: Mapping[int, Array]
    seconds: float


class Device(Closing):
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
        self._predicted: dict[Program, int] = {}
        self._constants: list[tuple[int, Halfwords]] = []
        # Whether the flash turned out not to hold what its record says.
        self._doubtful = False
        identity = transport.read_register(Register.STATUS) >> 8
        if identity != IDENTITY:
            raise DeviceError(
                f"the device speaks version {identity:02x} of the command set, this driver "
                f"{IDENTITY:02x}: build and program the bitstream again"
            )

    @property
    def observes_layers(self) -> bool:
        """Whether :meth:`infer` can report every layer's tensor."""
        return self.transport.observes_layers

    def close(self) -> None:
        """Let go of the device."""
        self.transport.close()

    def load(self, program: Program, progress: Progress | None = None) -> None:
        """Store a program in the device's flash, and make it the one that :meth:`infer` runs.

        What the flash holds is looked at only if it does not say itself that this is the program,
        or after a :class:`CorruptProgramError`; then it is repaired where it differs.

        Parameters
        ----------
        program : Program
        progress : callable, optional
            Called with the bytes of the program that are known to be in the flash, and all.

        Raises
        ------
        DeviceError
            If it was compiled for another core, or the flash cannot be written.
        """
        self.store(program, progress)
        self.select(program)

    def store(self, program: Program, progress: Progress | None = None) -> None:
        """Store a program in the device's flash; as :meth:`load`, but it does not become the one
        that is run."""
        if program.config != self.config:
            raise DeviceError(
                f"{program.model}: compiled for another core than the device's; compile it again"
            )
        self._wait_for_flash()
        if not self._quiet():
            raise DeviceTimeout(
                "the device is still busy with what was begun before; configure it again"
            )
        self.transport.program_flash(
            program.flash_address, program.flash, progress, trust=not self._doubtful
        )
        self._doubtful = False

    def select(self, program: Program) -> None:
        """Make a program that was stored the one that :meth:`infer` runs."""
        for register, value in (
            (Register.FLASH_LOW, program.flash_address & 0xFFFF),
            (Register.FLASH_HIGH, program.flash_address >> 16),
            (Register.RING_FIRST, program.ring[0]),
            (Register.HOLD, HOLD_NEVER),
        ):
            self.transport.write_register(register, value)
        self.program = program
        lanes = self.config.lanes
        self._constants = [
            (address * lanes, _halfwords(words)) for address, words in program.constants()
        ]

    def infer(
        self,
        inputs: Frame,
        observe: TensorObserver | None = None,
    ) -> Result:
        """Run the network once.

        Parameters
        ----------
        inputs : ndarray, sequence or mapping
            The network's inputs, as for :func:`sw.golden.run`.
        observe : callable, optional
            Only if the device ``observes_layers``.

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
        program = self._program()
        begun = self._begin(inputs)
        self._quiet()
        try:
            outcome = self._carried_out(begun.job, observe)
        except CorruptProgramError:
            self._doubt(program)
            raise
        return Result(**self._taken(outcome, begun))

    def _carried_out(self, job: Job, observe: TensorObserver | None) -> Outcome:
        """Carry a job out; once more if the flash was not ready for it, and could be made so."""
        outcome = Outcome()
        observer = None if observe is None else self._observer(observe)
        try:
            self.transport.carry_out(job, outcome, observer)
        except CorruptProgramError:
            if not self.transport.prepare_flash():
                raise
            self.transport.carry_out(job, outcome, observer)
        return outcome

    def _taken(self, outcome: Outcome, begun: _Begun) -> dict[str, Any]:
        """Return the fields of a result: what the host makes of a job's outputs, and times."""
        program = self._program()
        assert outcome.cycles is not None
        began = time.perf_counter()
        outputs = zip(program.outputs, outcome.halfwords, strict=True)
        words: dict[int, Memory] = {index: self._words(index, data) for index, data in outputs}
        tensors = program.finish(words, begun.kept)
        seconds = time.perf_counter() - began if program.suffix.ops else 0.0
        return {
            "tensors": tensors,
            "cycles": outcome.cycles,
            "layer_cycles": self._layer_cycles(outcome.cycles),
            "host_seconds": begun.seconds + seconds,
            **outcome.times(),
        }

    def _doubt(self, program: Program) -> None:
        """Let nobody believe any more that a program is in the flash."""
        self._doubtful = True
        with suppress(DeviceError):
            # For the next driver; this one knows.
            self.transport.doubt_flash(program.flash_address, len(program.flash))

    def _feeds(self, chunks: Sequence[tuple[InputChunk, Memory]]) -> list[Feed]:
        """Return what to write while the core runs, each time up to the next chunk's layer."""
        holds = [chunk.before_descriptor for chunk, _ in chunks[1:]] + [HOLD_NEVER]
        return [
            Feed(
                after=chunk.after_descriptor,
                address=chunk.address * self.config.lanes,
                halfwords=_halfwords(words),
                hold=hold,
            )
            for (chunk, words), hold in zip(chunks, holds, strict=False)
        ]

    def stream(self, frames: Iterable[Frame]) -> Iterator[StreamResult]:
        """Run the network on one frame after the other.

        The next frame may be taken from ``frames``, and written to the device, before the result
        of the one before is yielded.

        Parameters
        ----------
        frames : iterable
            Of inputs as for :meth:`infer`.

        Yields
        ------
        StreamResult
            One for each frame, in order.  A frame that does not fit, or whose inference fails,
            has an error and the stream goes on.

        Raises
        ------
        DeviceLost
            If the line to the device is dead.
        """
        program = self._program()
        self._quiet()
        # What is kept of the frames that the device has been given; errors of those that never
        # came so far.
        waiting: deque[InputError | _Begun] = deque()

        def jobs() -> Iterator[Job]:
            for inputs in frames:
                try:
                    begun = self._begin(inputs)
                except InputError as error:
                    waiting.append(error)
                else:
                    waiting.append(begun)
                    yield begun.job

        index = 0
        for outcome in self.transport.jobs(jobs()):
            while isinstance(begun := waiting.popleft(), InputError):
                yield StreamResult(index=index, finished=self.transport.now(), error=begun)
                index += 1
            self._doubtful |= isinstance(outcome.error, CorruptProgramError)
            yield self._stream_result(index, outcome, begun)
            index += 1
        if self._doubtful:
            self._doubt(program)
        for error in waiting:
            assert isinstance(error, InputError)
            yield StreamResult(index=index, finished=self.transport.now(), error=error)
            index += 1

    def _stream_result(self, index: int, outcome: Outcome, begun: _Begun) -> StreamResult:
        if outcome.error is not None or outcome.cycles is None:
            error = outcome.error or DeviceError("the device gave no result")
            return StreamResult(
                index=index, error=error, finished=outcome.finished, **outcome.times()
            )
        return StreamResult(
            index=index, finished=outcome.finished, **self._taken(outcome, begun)
        )

    def _begin(self, inputs: Frame) -> _Begun:
        """Run the host's part before the device's; return what the device is to do."""
        program, lanes = self._program(), self.config.lanes
        began = time.perf_counter()
        made = program.before(inputs)
        seconds = time.perf_counter() - began if program.prefix.ops else 0.0
        places = [program.tensors[index] for index in program.outputs]
        uploads, chunks = program.uploads(made, constants=False)
        overlap = program.overlap
        job = Job(
            program=program.model,
            writes=[(address * lanes, _halfwords(words)) for address, words in uploads],
            constants=self._constants,
            reads=[(place.address * lanes, place.words * lanes) for place in places],
            limit=self._limit(program),
            cycles=self._cycles(program),
            feeds=self._feeds(chunks),
            hold=chunks[0][0].before_descriptor if chunks else HOLD_NEVER,
            overlap=None if overlap is None else overlap.cycle,
            overlap_pace=0 if overlap is None else overlap.pace,
        )
        return _Begun(job=job, kept=program.keep(made), seconds=seconds)

    def _cycles(self, program: Program) -> int:
        """Return the cycles that a program takes."""
        if program not in self._predicted:
            self._predicted[program] = sum(predict(program))
        return self._predicted[program]

    def _limit(self, program: Program) -> int:
        """Return the cycles after which the core counts as hanging."""
        return 4 * self._cycles(program) + 100_000

    def _program(self) -> Program:
        if self.program is None:
            raise DeviceError("no program is loaded")
        return self.program

    def _quiet(self) -> bool:
        """Let a run that was left behind come to its end: until then it writes to memory.

        Returns
        -------
        bool
            Whether the core is idle.  If it is not, it hangs, and writes nothing.
        """
        if not self.transport.read_register(Register.STATUS) & 1:
            return True
        self.transport.write_register(Register.HOLD, HOLD_NEVER)
        try:
            known = self.program is not None and self.program in self._predicted
            self.transport.wait_idle(self._limit(self._program()) if known else LONGEST_RUN)
        except DeviceTimeout:
            return False
        return True

    def _wait_for_flash(self) -> None:
        for _ in range(FLASH_POLLS):
            if self.transport.read_register(Register.STATUS) >> 1 & 1:
                return
            self.transport.pause()
        # The reader goes on trying by itself; the driver can say why it does not succeed.
        self.transport.prepare_flash()
        if not self.transport.read_register(Register.STATUS) >> 1 & 1:
            raise DeviceTimeout("the device's flash does not become ready")

    def _words(self, index: int, halfwords: Halfwords) -> Memory:
        """Return the words of a tensor."""
        words = self._program().tensors[index].words
        return halfwords.astype("<u2").view(np.int8).reshape(words, -1)

    def _observer(self, observe: TensorObserver) -> Callable[[int, Memory], None]:
        collector = Collector(self._program())

        def on_descriptor(number: int, memory: Memory) -> None:
            if (complete := collector.take(number, memory)) is not None:
                observe(*complete)

        return on_descriptor

    def _layer_cycles(self, cycles: int) -> list[int] | None:
        ends = self.transport.descriptor_ends
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
