"""The judges: TensorFlow Lite's reference kernels, and TensorFlow Lite Micro's."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro import runtime

from sw.ir import Graph, Operator

Array = npt.NDArray[np.integer]


def constants(graph: Graph, op: Operator) -> list[Array]:
    """Return the constant operands of an operator."""
    tensors = (graph.tensors[i] for i in op.inputs)
    return [cast(Array, t.data) for t in tensors if t.data is not None]


class LiteRT:
    """LiteRT with the reference kernels, keeping every tensor."""

    def __init__(self, model: bytes | Path) -> None:
        data = model.read_bytes() if isinstance(model, Path) else model
        self._interpreter = Interpreter(
            model_content=data,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()

    def run(self, *inputs: Array) -> None:
        """Run the network; read the tensors afterwards."""
        details = self._interpreter.get_input_details()
        for detail, value in zip(details, inputs, strict=True):
            self._interpreter.set_tensor(detail["index"], value)
        self._interpreter.invoke()

    def tensor(self, index: int) -> Array:
        """Return a tensor by its number in the file."""
        return np.array(self._interpreter.get_tensor(index))


class Micro:
    """TensorFlow Lite Micro, keeping every tensor."""

    def __init__(self, model: bytes | Path, arena_size: int = 1 << 22) -> None:
        data = model.read_bytes() if isinstance(model, Path) else model
        self._interpreter = runtime.Interpreter.from_bytes(
            data,
            arena_size=arena_size,
            intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
        )

    def run(self, *inputs: Array) -> None:
        """Run the network; read the tensors afterwards."""
        for number, value in enumerate(inputs):
            self._interpreter.set_input(value, number)
        self._interpreter.invoke()

    def tensor(self, index: int) -> Array:
        """Return a tensor by its number in the file."""
        return np.array(self._interpreter.GetTensor(index, 0)["tensor_data"])
