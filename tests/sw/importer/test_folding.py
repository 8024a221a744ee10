"""Shapes that a network computes are constants after import."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support.judges import LiteRT

from common.errors import UnsupportedError
from sw import golden, importer
from sw.fuzz.builder import NetworkBuilder

SLICE = "StridedSliceOptions"


class Shapes:
    """Operators on the shape of a tensor."""

    def __init__(self, net: NetworkBuilder, x: int) -> None:
        self.net = net
        options = ("ShapeOptions", {"OutType": 2})
        self.shape = self.operator("SHAPE", [x], (len(net[x].shape),), options)

    def operator(
        self, kind: str, inputs: list[int], shape: tuple[int, ...], options: object = None,
        dtype: str = "int32",
    ) -> int:
        """Add an operator that writes integers."""
        y = self.net.file.tensor(shape, dtype, name="computed")
        self.net.file.operator(kind, inputs, [y], options)
        return y

    def item(self, number: int) -> int:
        """Add the number at a place, as converters do."""
        place = [self.net.integers([n]) for n in (number, number + 1, 1)]
        return self.operator(
            "STRIDED_SLICE", [self.shape, *place], (), (SLICE, {"ShrinkAxisMask": 1})
        )


def computed(net: NetworkBuilder, x: int, how: str) -> int:
    """Add the shape (1, pixels, channels) in one of several ways."""
    shapes = Shapes(net, x)
    batch, rows, columns, channels = (shapes.item(n) for n in range(4))
    none = {"FusedActivationFunction": 0}
    pixels = shapes.operator("MUL", [rows, columns], (), ("MulOptions", none))
    match how:
        case "pack":
            packed = [batch, pixels, channels]
        case "minus one":
            packed = [batch, net.integers(-1), channels]
        case "product":
            between = [net.integers([1]), net.integers([2])]
            part = shapes.operator("SLICE", [shapes.shape, *between], (2,))
            axes = net.integers([0])
            options = ("ReducerOptions", {"KeepDims": False})
            packed = [batch, shapes.operator("REDUCE_PROD", [part, axes], (), options), channels]
        case "cast":
            wide = shapes.operator("CAST", [pixels], (), dtype="int64")
            packed = [batch, shapes.operator("CAST", [wide], ()), channels]
        case "arithmetic":
            twice = shapes.operator("ADD", [pixels, pixels], (), ("AddOptions", none))
            half = shapes.operator("FLOOR_DIV", [twice, net.integers(2)], ())
            less = shapes.operator("SUB", [half, batch], (), ("SubOptions", none))
            packed = [batch, shapes.operator("ADD", [less, batch], (), ("AddOptions", none)),
                      channels]
        case "gather":
            options = ("GatherOptions", {"Axis": 0})
            ends = shapes.operator("GATHER", [shapes.shape, net.integers([0, 3])], (2,), options)
            parts = [net.integers([0]), net.integers([1])]
            first = shapes.operator("SLICE", [ends, *parts], (1,))
            last = shapes.operator("SLICE", [ends, net.integers([1]), parts[1]], (1,))
            middle = shapes.operator("EXPAND_DIMS", [pixels, net.integers(0)], (1,))
            return shapes.operator(
                "CONCATENATION", [first, middle, last], (3,), ("ConcatenationOptions", {"Axis": 0})
            )
    return shapes.operator(
        "PACK", packed, (3,), ("PackOptions", {"Axis": 0, "ValuesCount": len(packed)})
    )


@pytest.mark.parametrize(
    "how", ["pack", "minus one", "product", "cast", "arithmetic", "gather"]
)
def test_computed_shapes_are_constants(how: str) -> None:
    net = NetworkBuilder(seed=1)
    x = net.input((1, 4, 5, 3))
    h = net.conv_2d(x, 6)
    shape = computed(net, h, how)
    y = net.like(h, (1, 20, 6))
    net.file.operator("RESHAPE", [h, shape], [y], ("ReshapeOptions", {}))
    model = net.build(outputs=[y])
    graph, value = importer.loads(model), net.random(x)
    assert [op.kind for op in graph.ops] == ["CONV_2D", "RESHAPE"]
    data = graph.tensors[shape].data
    assert data is not None and data.dtype == np.int32
    judge = LiteRT(model)
    judge.run(value)
    np.testing.assert_array_equal(data, judge.tensor(shape))
    np.testing.assert_array_equal(golden.run(graph, value)[y], judge.tensor(y))


def test_a_shape_may_be_an_output() -> None:
    net = NetworkBuilder(seed=1)
    x = net.input((1, 4, 5, 3))
    shape = Shapes(net, x).shape
    y = net.conv_2d(x, 6)
    model = net.build(outputs=[shape, y])
    tensors = golden.run(importer.loads(model), net.random(x))
    assert tensors[shape].tolist() == [1, 4, 5, 3]


def test_what_depends_on_data_is_refused() -> None:
    net = NetworkBuilder(seed=1)
    x = net.input((1, 12))
    shape = net.file.tensor((2,), "int32", name="given")
    net.inputs.append(shape)
    y = net.like(x, (3, 4))
    net.file.operator("RESHAPE", [x, shape], [y], ("ReshapeOptions", {}))
    with pytest.raises(UnsupportedError, match=re.escape("tensor 1 ('given') is computed")):
        importer.loads(net.build(outputs=[y]))


@pytest.mark.parametrize(("other", "activation"), [([1, 2, 3], 0), ([0, 0], 1)])
def test_what_has_no_plain_meaning_stays(other: list[int], activation: int) -> None:
    """Operands that do not fit each other, and an activation behind a sum of sizes."""
    net = NetworkBuilder(seed=1)
    x = net.input((1, 12))
    sizes = [net.integers([3, 4]), net.integers(other)]
    both = net.file.tensor((2,), "int32", name="both")
    options = {"FusedActivationFunction": activation}
    net.file.operator("ADD", sizes, [both], ("AddOptions", options))
    y = net.like(x, (3, 4))
    net.file.operator("RESHAPE", [x, both], [y], ("ReshapeOptions", {}))
    with pytest.raises(UnsupportedError, match=r"operator 0 \(ADD, writing 'both'\)"):
        importer.loads(net.build(outputs=[y]))
