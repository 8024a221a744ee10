"""One file through everything: LiteRT = golden model = functional model = simulated core."""

from __future__ import annotations

import re
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import FrameType
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import SeparableError
from hw.contract.config import CoreConfig
from sim.functional import run_plan
from sw import golden, importer
from sw.compiler import Plan, compile_network
from sw.compiler.timing import BUS_PACE, predict
from sw.driver import Device, NetworkDevice
from sw.driver.simulation import SimTransport
from sw.fuzz.judge import Judge, JudgeCrash, JudgeRefuses
from sw.fuzz.options import Options
from sw.ir import Graph

__all__ = ["FAILURES", "Examiner", "Outcome", "Verdict"]

Array = npt.NDArray[np.integer]

SECONDS = 30.0
"""Of processor time that a file may take."""

class Outcome(StrEnum):
    """Outcomes of files."""

    EQUAL = "equal"
    REFUSED = "refused"
    JUDGE_REFUSES = "judge refuses"
    JUDGE_CRASH = "judge crash"
    MEMORY = "memory"
    DIFFERS = "differs"
    TRACEBACK = "traceback"
    CRASH = "crash"
    HANG = "hang"


FAILURES = frozenset(
    {Outcome.DIFFERS, Outcome.TRACEBACK, Outcome.CRASH, Outcome.HANG, Outcome.MEMORY}
)
"""What must not happen, whatever the file."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Verdict on a file, and the stage that gave it.

    Attributes
    ----------
    outcome : Outcome
    stage : str
        How far it came: "importer", "golden model", "judge", "compiler", "functional model",
        "core".
    reason : str
        In words that are the same for all files of one kind.
    detail : str
        In full.
    """

    outcome: Outcome
    stage: str
    reason: str = ""
    detail: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the verdict's fields."""
        return asdict(self)

    def same_kind(self, other: Verdict) -> bool:
        """Whether two files have the same fault, as far as one can tell."""
        mine, its = (self.outcome, self.stage), (other.outcome, other.stage)
        alike = self.outcome is not Outcome.TRACEBACK or self.reason == other.reason
        return mine == its and alike


class Difference(Exception):
    """Two models disagree."""


class OverTime(BaseException):
    """The time is over; no handler of other errors may take it for one of them."""


def normalised(message: str) -> str:
    """Return a message without what differs from file to file: names, numbers, findings."""
    text = re.sub(r" \(here .*", "", message)
    # An operator's kind is kept: it is what the message is about.
    where = r"(operator \d+ |operator '[^']*' )\((\w+)[^)]*\)(, output tensor \d+ \(.*?\))?"
    if found := re.match(where, text):
        return f"{found[2]}{normalised(text[found.end() :])}"
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "…", text)
    text = re.sub(r"\[[^]]*\]", "[…]", text)
    return re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?", "N", text)


def _raised(error: BaseException) -> str:
    """Return an exception's type, and which of our functions raised it."""
    ours = [f for f in traceback.extract_tb(error.__traceback__) if "/sw/fuzz/" not in f.filename]
    own = [f for f in ours if re.search(r"/(sw|sim|hw)/", f.filename)] or ours
    where = f" in {own[-1].filename.rpartition('/')[2]}:{own[-1].name}" if own else ""
    return f"{type(error).__name__}{where}: {normalised(str(error))[:100]}"


def _on_time(signum: int, frame: FrameType | None) -> None:
    raise OverTime


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    before = signal.signal(signal.SIGPROF, _on_time)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class Examiner:
    """Examines one file after the other on one simulated board.

    Parameters
    ----------
    config : CoreConfig
    seconds : float
        Of processor time that a file may take.
    on_stage : callable, optional
        Called with every stage before it begins.

    Attributes
    ----------
    stage : str
        Where the file is.
    """

    def __init__(
        self,
        config: CoreConfig,
        *,
        seconds: float = SECONDS,
        on_stage: Callable[[str], None] | None = None,
    ) -> None:
        self.config = config
        self.seconds = seconds
        self.judge = Judge()
        self._on_stage = on_stage
        self.stage = ""
        self._device: Device | None = None

    def close(self) -> None:
        """Let go of judge and board."""
        self.judge.close()
        self._no_device()

    def examine(self, data: bytes, options: Options) -> Verdict:
        """Return what becomes of a file."""
        try:
            with _limited(self.seconds):
                return self._examine(data, options)
        except OverTime as error:
            self._no_device()
            return self._verdict(Outcome.HANG, _raised(error), _lines(error))
        except MemoryError as error:
            self._no_device()
            return self._verdict(Outcome.MEMORY, _raised(error), _lines(error))
        except Difference as error:
            return self._verdict(Outcome.DIFFERS, normalised(str(error)), str(error))
        except Exception as error:
            self._no_device()
            return self._verdict(Outcome.TRACEBACK, _raised(error), _lines(error))

    def _enter(self, stage: str) -> None:
        self.stage = stage
        if self._on_stage is not None:
            self._on_stage(stage)

    def _verdict(self, outcome: Outcome, reason: str = "", detail: str = "") -> Verdict:
        return Verdict(outcome=outcome, stage=self.stage, reason=reason, detail=detail)

    def _refused(self, error: SeparableError) -> Verdict:
        message = str(error)
        if "\n" in message or not message.startswith("fuzz: "):
            raise Difference(f"a message is not one line that begins with the name: {message!r}")
        message = message.removeprefix("fuzz: ")
        return self._verdict(Outcome.REFUSED, normalised(message), message)

    def _examine(self, data: bytes, options: Options) -> Verdict:
        self._enter("importer")
        try:
            graph = importer.loads(data, "fuzz")
        except SeparableError as error:
            return self._refused(error)
        frames = [_frame(graph, kind, options.seed) for kind in options.frames]
        self._enter("golden model")
        try:
            expected = [golden.run(graph, frame) for frame in frames]
        except SeparableError as error:
            return self._verdict(Outcome.REFUSED, normalised(str(error)), str(error))
        doubt = self._ask(data, graph, frames, expected)
        self._enter("compiler")
        try:
            plan = compile_network(
                graph, self.config, dense_input=options.dense_input, fallback=options.fallback,
                remove_constant_channels=options.remove_constant_channels,
                compact_input=options.compact_input,
            )
        except SeparableError as error:
            return doubt or self._refused(error)
        self._functional(graph, plan, frames, expected, options)
        if plan.programs:
            self._core(graph, plan, frames, expected)
        return doubt or self._verdict(Outcome.EQUAL)

    def _ask(
        self,
        data: bytes,
        graph: Graph,
        frames: Sequence[Mapping[int, Array]],
        expected: Sequence[Mapping[int, Array]],
    ) -> Verdict | None:
        """Compare the golden model with LiteRT; return why that cannot be done, if so."""
        self._enter("judge")
        try:
            judged = self.judge.run(data, graph, frames)
        except JudgeRefuses as error:
            return self._verdict(Outcome.JUDGE_REFUSES, normalised(str(error)), str(error))
        except JudgeCrash as error:
            return self._verdict(Outcome.JUDGE_CRASH, str(error), str(error))
        for ours, theirs in zip(expected, judged, strict=True):
            for index, value in ours.items():
                _compare(graph, index, value, theirs[index].reshape(-1), "LiteRT")
        return None

    def _functional(
        self,
        graph: Graph,
        plan: Plan,
        frames: Sequence[Mapping[int, Array]],
        expected: Sequence[Mapping[int, Array]],
        options: Options,
    ) -> None:
        self._enter("functional model")
        for frame, wanted in zip(frames, expected, strict=True):
            got = run_plan(plan, frame, seed=options.seed, late=options.late)
            for index, value in got.items():
                _compare(graph, index, wanted[index], value, "the functional model")
            if missing := set(graph.outputs) - set(got):
                raise Difference(f"the functional model has no output {min(missing)}")

    def _core(
        self,
        graph: Graph,
        plan: Plan,
        frames: Sequence[Mapping[int, Array]],
        expected: Sequence[Mapping[int, Array]],
    ) -> None:
        self._enter("core")
        if self._device is None:
            self._device = Device(SimTransport(self.config), self.config)
        device = NetworkDevice(self._device, plan)
        device.load()
        layers = plan.layers
        # Where the input comes while the core runs, the host's pace counts too.
        predicted = [
            cycles
            for program in plan.programs
            for cycles in predict(program, BUS_PACE if program.streams_input else None)
        ]
        for frame, wanted in zip(frames, expected, strict=True):
            seen: dict[int, Array] = {}

            def observe(number: int, value: Array, seen: dict[int, Array] = seen) -> None:
                seen[layers[number].output] = value

            result = device.infer(frame, observe)
            for index, value in (seen | result.tensors).items():
                _compare(graph, index, wanted[index], value, "the core")
            if missing := set(graph.outputs) - set(result.tensors):
                raise Difference(f"the core has no output {min(missing)}")
            if result.layer_cycles != predicted:
                raise Difference(
                    f"the core counted {result.layer_cycles} cycles, predicted were {predicted}"
                )

    def _no_device(self) -> None:
        """Let go of the board: nobody knows in which state it is."""
        if self._device is not None:
            self._device.close()
            self._device = None


def _lines(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)[-6:])


def _frame(graph: Graph, kind: str, seed: int) -> dict[int, Array]:
    """Return inputs of a kind."""
    rng = np.random.default_rng(seed)
    frame: dict[int, Any] = {}
    for index in graph.inputs:
        tensor = graph.tensors[index]
        if tensor.dtype == "float32":
            frame[index] = rng.normal(0, 3, tensor.shape).astype(np.float32)
            continue
        limits = np.iinfo(tensor.dtype)
        match kind:
            case "random":
                data = rng.integers(limits.min, limits.max + 1, tensor.shape)
            case "ends":
                data = np.where(rng.random(tensor.shape) < 0.5, limits.min, limits.max)
            case _:
                value = {"lowest": limits.min, "highest": limits.max}.get(kind)
                if value is None:
                    value = tensor.q.zero_point if tensor.quantization else 0
                data = np.full(tensor.shape, value)
        frame[index] = data.astype(tensor.dtype)
    return frame


def _compare(
    graph: Graph, index: int, expected: Array, value: npt.NDArray[Any], name: str
) -> None:
    """Raise :class:`Difference` where a tensor is not the golden model's."""
    ours, theirs = expected.reshape(-1), value.reshape(-1)
    if ours.dtype == theirs.dtype == np.float32:
        # Bit for bit.
        ours, theirs = ours.view(np.int32), theirs.view(np.int32)
    if ours.shape == theirs.shape and np.array_equal(ours, theirs):
        return
    producer = graph.producer(index)
    kind = "an input" if producer is None else producer.kind
    if ours.shape != theirs.shape:
        raise Difference(f"{kind}: {name} has {theirs.size} elements, the golden model {ours.size}")
    where = int(np.flatnonzero(ours != theirs)[0])
    count = int((ours != theirs).sum())
    raise Difference(
        f"{kind}: {name} has {int(theirs[where])} at {where} of tensor {index}, the golden model "
        f"{int(ours[where])} ({count} of {ours.size} differ)"
    )
