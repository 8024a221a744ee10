"""Rules of the graph itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from common.errors import GraphError
from sw import importer, ir
from sw.fuzz.builder import NetworkBuilder


def example() -> ir.Graph:
    """A convolution, a depthwise convolution and their sum."""
    net = NetworkBuilder(seed=1)
    x = net.conv_2d(net.input((1, 6, 6, 3)), 4, kernel=(3, 3))
    y = net.add(x, net.depthwise_conv_2d(x))
    return importer.loads(net.build(outputs=[y]))


def change_tensor(graph: ir.Graph, index: int, /, **changes: object) -> ir.Graph:
    """Return a graph with one tensor changed."""
    tensors = list(graph.tensors)
    tensors[index] = dataclasses.replace(tensors[index], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(graph, tensors=tuple(tensors))


def change_op(graph: ir.Graph, number: int, **changes: object) -> ir.Graph:
    """Return a graph with one operator changed."""
    ops = list(graph.ops)
    ops[number] = dataclasses.replace(ops[number], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(graph, ops=tuple(ops))


BROKEN: dict[str, Callable[[ir.Graph], ir.Graph]] = {
    "stands at position": lambda g: change_tensor(g, 0, index=5),
    "empty shape": lambda g: change_tensor(g, 0, shape=(1, 0, 6, 3)),
    "but holds": lambda g: change_tensor(g, g.ops[0].inputs[1], data=np.zeros(3, np.int8)),
    "zero points": lambda g: change_tensor(g, 0, quantization=ir.Quantization((1.0,), ())),
    "no axis": lambda g: change_tensor(g, 0, quantization=ir.Quantization((1.0,) * 2, (0,) * 2)),
    "do not fit axis": lambda g: change_tensor(
        g, 0, quantization=ir.Quantization((1.0,) * 2, (0,) * 2, 1)
    ),
    "no quantisation": lambda g: change_tensor(g, 0, quantization=None),
    "has no tensor": lambda g: dataclasses.replace(g, outputs=(99,)),
    "does not exist": lambda g: change_op(g, 0, input=99),
    "two operators are called": lambda g: change_op(g, 0, name=g.ops[1].name),
    "before anything writes it": lambda g: dataclasses.replace(g, ops=g.ops[::-1]),
    "already has a value": lambda g: change_op(g, 1, output=g.ops[0].output),
    "no operator writes": lambda g: dataclasses.replace(g, ops=g.ops[:-1]),
    "produces shape": lambda g: change_op(g, 0, padding=((0, 0), (0, 0))),
    "do not fit an input": lambda g: change_op(g, 1, depth_multiplier=2),
    "not constant": lambda g: change_tensor(g, g.ops[0].inputs[1], data=None),
    "must be a constant int32": lambda g: change_op(g, 0, bias=g.ops[0].inputs[1]),
}


@pytest.mark.parametrize("message", BROKEN)
def test_check_names_the_broken_rule(message: str) -> None:
    graph = example()
    graph.check()
    if message == "not constant":
        broken = BROKEN[message](graph)
        # An input of the graph has a value, though not a constant one.
        broken = dataclasses.replace(broken, inputs=(*broken.inputs, graph.ops[0].inputs[1]))
    else:
        broken = BROKEN[message](graph)
    with pytest.raises(GraphError, match=message):
        broken.check()


def test_dataclasses_are_frozen_and_slotted() -> None:
    graph = example()
    values: tuple[Any, ...] = (graph, graph.tensors[0], graph.ops[0], graph.tensors[0].q)
    for value in values:
        assert not hasattr(value, "__dict__")
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, dataclasses.fields(value)[0].name, None)


@pytest.mark.parametrize(
    ("op", "shapes", "output", "expected"),
    [
        (
            ir.Mean(name="m", input=0, output=1, axes=(1, 2), keep_dims=True),
            [(1, 4, 5, 6)],
            (),
            (1, 1, 1, 6),
        ),
        (
            ir.Mean(name="m", input=0, output=1, axes=(1, 2), keep_dims=False),
            [(1, 4, 5, 6)],
            (),
            (1, 6),
        ),
        (ir.Pad(name="p", input=0, output=1, paddings=((0, 1), (2, 0))), [(3, 3)], (), (4, 5)),
        (
            ir.Transpose(name="t", input=0, output=1, permutation=(2, 0, 1)),
            [(3, 4, 5)],
            (),
            (5, 3, 4),
        ),
        (ir.Reshape(name="r", input=0, output=1), [(3, 4)], (12,), (12,)),
        (ir.Softmax(name="s", input=0, output=1), [(3, 4)], (), (3, 4)),
        (
            ir.FullyConnected(name="f", input=0, weights=1, output=2),
            [(2, 3, 4), (5, 4)],
            (),
            (6, 5),
        ),
        (
            ir.FullyConnected(name="f", input=0, weights=1, output=2),
            [(2, 3, 4), (5, 4)],
            (2, 3, 5),
            (2, 3, 5),
        ),
        (
            ir.AveragePool2D(name="a", input=0, output=1, window=(3, 2), stride=(2, 2)),
            [(1, 7, 7, 2)],
            (),
            (1, 3, 3, 2),
        ),
    ],
)
def test_infer_shape(
    op: ir.Operator, shapes: list[ir.Shape], output: ir.Shape, expected: ir.Shape
) -> None:
    assert ir.infer_shape(op, tuple(shapes), output) == expected


@pytest.mark.parametrize(
    ("op", "shapes", "message"),
    [
        (ir.Mean(name="m", input=0, output=1, axes=(4,), keep_dims=True), [(1, 4, 5, 6)], "axes"),
        (ir.Pad(name="p", input=0, output=1, paddings=((0, 1),)), [(3, 3)], "paddings"),
        (ir.Transpose(name="t", input=0, output=1, permutation=(0, 0)), [(3, 4)], "permutation"),
        (ir.Reshape(name="r", input=0, output=1), [(3, 4)], "reshape"),
        (ir.Add(name="a", input1=0, input2=1, output=2), [(3, 4), (3, 5)], "broadcast"),
        (ir.FullyConnected(name="f", input=0, weights=1, output=2), [(2, 3), (5, 4)], "weights"),
    ],
)
def test_infer_shape_refuses(op: ir.Operator, shapes: list[ir.Shape], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        ir.infer_shape(op, tuple(shapes), (7,))
