"""LiteRT in a process of its own: what it makes of damaged files may end the process.

LiteRT is an optional dependency (``separable[test]``), imported by that process alone.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

import numpy as np
import numpy.typing as npt

from common import process
from common.errors import SeparableError
from sw.ir import Graph

__all__ = ["CONTEXT", "Judge", "JudgeCrash", "JudgeRefuses", "check_available"]

Array = npt.NDArray[np.integer]

CONTEXT = get_context("forkserver")
"""Processes begin as copies of one that has imported everything and has no threads."""

CONTEXT.set_forkserver_preload(["sw.fuzz.workers"])

SECONDS = 10
"""Of processor time that a file may take unless another number is given; the largest that is
made here takes a tenth of one."""

MEMORY = 2 << 30
"""Bytes of addresses that the judge may ask for besides those it begins with."""


class JudgeRefuses(Exception):
    """LiteRT does not run the file."""


class JudgeCrash(Exception):
    """LiteRT ended its process, or had to be ended."""


def check_available() -> None:
    """Raise :class:`SeparableError` if LiteRT is not installed."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise SeparableError(
            "the judge is not installed: LiteRT (ai-edge-litert) comes with "
            "pip install 'separable[test]'"
        )


def limit_memory(more: int) -> None:
    """Let this process ask for so many bytes of addresses more than it has, and for no core."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@dataclass(frozen=True, kw_only=True)
class _Question:
    data: bytes
    frames: list[dict[int, Array]]
    quantization: dict[int, tuple[float, int]]
    wanted: list[int]
    seconds: int


class Judge:
    """LiteRT with the reference kernels, keeping every tensor.  It begins when it is asked.

    Parameters
    ----------
    seconds : int
        Of processor time that a file may take.
    """

    def __init__(self, seconds: int = SECONDS) -> None:
        self.seconds = seconds
        self._process: ForkServerProcess | None = None
        self._connection: Connection | None = None

    def run(
        self, data: bytes, graph: Graph, frames: Sequence[Mapping[int, Array]]
    ) -> list[dict[int, Array]]:
        """Run a file.

        Parameters
        ----------
        data : bytes
        graph : Graph
            What the importer made of it; its inputs are given as float32 where the file has them
            so.
        frames : sequence of mapping
            The inputs by tensor.

        Returns
        -------
        list of dict
            Of every frame, by tensor: inputs, every operator's output and the network's outputs.

        Raises
        ------
        JudgeRefuses
        JudgeCrash
        """
        quantization = {i: graph.tensors[i].quantization for i in graph.inputs}
        question = _Question(
            data=data,
            frames=[{i: frame[i] for i in graph.inputs} for frame in frames],
            quantization={i: (q.scale, q.zero_point) for i, q in quantization.items() if q},
            wanted=sorted({*graph.inputs, *graph.outputs, *(op.output for op in graph.ops)}),
            seconds=self.seconds,
        )
        try:
            connection = self._connected()
            connection.send(question)
            answer = connection.recv()
        except (EOFError, ConnectionError):
            raise JudgeCrash(self._ended()) from None
        if isinstance(answer, str):
            raise JudgeRefuses(answer)
        result: list[dict[int, Array]] = answer
        return result

    def close(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.join()
            self._process = None

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection, other = CONTEXT.Pipe()
            self._process = CONTEXT.Process(target=_serve, args=(other,), daemon=True)
            with process.beginning():
                self._process.start()
            other.close()
        return self._connection

    def _ended(self) -> str:
        assert self._process is not None
        self._process.join()
        code = self._process.exitcode or 0
        self.close()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _serve(connection: Connection) -> None:
    """Answer questions until nobody asks any more."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # What LiteRT says about damaged files is of no interest.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    limit_memory(MEMORY)
    while True:
        try:
            question: _Question = connection.recv()
        except EOFError:
            return
        # Without a handler the signal ends the process, wherever it is.
        signal.setitimer(signal.ITIMER_PROF, question.seconds)
        answer: list[dict[int, Array]] | str
        try:
            interpreter = Interpreter(
                model_content=question.data,
                experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
                experimental_preserve_all_tensors=True,
                num_threads=1,
            )
            interpreter.allocate_tensors()
            answer = [_infer(interpreter, question, frame) for frame in question.frames]
        except (RuntimeError, ValueError, MemoryError) as error:
            answer = f"{type(error).__name__}: {error}"
        signal.setitimer(signal.ITIMER_PROF, 0)
        connection.send(answer)


def _infer(interpreter: Any, question: _Question, frame: dict[int, Array]) -> dict[int, Array]:
    # A tensor that is named several times is one input.
    details = list({d["index"]: d for d in interpreter.get_input_details()}.values())
    if len(details) != len(frame):
        raise ValueError(f"{len(details)} inputs instead of {len(frame)}")
    for detail, (index, value) in zip(details, frame.items(), strict=True):
        given: npt.NDArray[Any] = value
        if detail["dtype"] is np.float32 and value.dtype != np.float32:
            scale, zero_point = question.quantization[index]
            given = ((value.astype(np.float64) - zero_point) * scale).astype(np.float32)
        interpreter.set_tensor(detail["index"], given)
    interpreter.invoke()
    return {i: np.array(interpreter.get_tensor(i)) for i in question.wanted}
