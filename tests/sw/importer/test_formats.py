"""Files of other formats: each is refused in a sentence that says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.errors import UnsupportedError
from sw import importer
from sw.fuzz.builder import NetworkBuilder
from sw.quantize.flatbuffer import FileBuilder

CONV = ("Conv2DOptions", {"StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1})


def convolution(data: str, stored: str, *, dequantised: bool = False) -> bytes:
    """Return a convolution with activations and weights of given types."""
    b = FileBuilder()
    x, y = (b.tensor((1, 4, 4, 3), data, *_scale(data), name="image") for _ in range(2))
    numbers = np.ones((3, 1, 1, 3), "int8" if stored == "int4" else stored)
    w = b.tensor(numbers.shape, stored, *_scale(stored), data=numbers, name="weights")
    if dequantised:
        stored_weights, w = w, b.tensor(numbers.shape, "float32", name="numbers")
        b.operator("DEQUANTIZE", [stored_weights], [w])
    b.operator("CONV_2D", [x, w], [y], CONV)
    return b.build([x], [y])


def _scale(dtype: str) -> tuple[Any, Any]:
    return ((), ()) if dtype.startswith("float") else ([0.1], [0])


def custom(kind: str) -> bytes:
    """Return a file of one operator that is no built-in one."""
    b = FileBuilder()
    x, y = (b.tensor((1, 4), "int8", [0.1], [0], name="tensor") for _ in range(2))
    b.operator(kind, [x], [y])
    return b.build([x], [y])


@pytest.mark.parametrize(
    ("model", "found", "remedy"),
    [
        (custom("ethos-u"), "compiled for an Arm Ethos-U", "that Vela was given"),
        (custom("edgetpu-custom-op"), "for the Edge TPU", "that edgetpu_compiler was given"),
        (custom("FlexErf"), "one of TensorFlow's own", "without SELECT_TF_OPS"),
        (custom("MyOperator"), r"CUSTOM 'MyOperator', writing", "cut the file before"),
        (custom("WHILE"), "control flow", "without loops and conditions"),
        (convolution("float32", "float32"), "the network is float32", "quantise it to int8"),
        (convolution("float32", "float16"), "weights are float16", "quantise it to int8"),
        (convolution("float32", "float16", dequantised=True), "weights are float16", "quantise it"),
        (convolution("float32", "int8"), "dynamic range", "quantise it to int8"),
        (convolution("float32", "int8", dequantised=True), "dynamic range", "quantise it to int8"),
        (convolution("int16", "int8"), "16x8", "quantise it to int8"),
        (convolution("int8", "int4"), "weights are int4", "quantise it to int8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_formats(model: bytes, found: str, remedy: str) -> None:
    with pytest.raises(UnsupportedError, match=f"{found}.*{remedy}") as caught:
        importer.loads(model, "net")
    message = str(caught.value)
    assert message.startswith("net: operator ") and "\n" not in message


def test_detection_without_its_end_is_imported() -> None:
    """What is left when the custom operator is cut off: boxes and scores as heads, in any order."""
    net = NetworkBuilder(seed=1)
    x = net.conv_2d(net.input((1, 6, 6, 3)), 8, kernel=(3, 3))
    heads = []
    for channels in (4, 2):
        parts = [net.reshape(net.conv_2d(y, channels), (1, 36, channels)) for y in (x, x)]
        net[parts[1]].scales, net[parts[1]].zero_points = (
            net[parts[0]].scales, net[parts[0]].zero_points
        )
        net[net.file.operators[-1].inputs[0]].scales = net[parts[0]].scales
        net[net.file.operators[-1].inputs[0]].zero_points = net[parts[0]].zero_points
        heads.append(net.concatenation(parts, 1))
    heads[1] = net.function("LOGISTIC", heads[1])
    for outputs in (heads, heads[::-1]):
        assert importer.loads(net.build(outputs=outputs)).outputs == tuple(outputs)


@pytest.mark.parametrize("kind", ["SOFTMAX", "EXP", "LOGISTIC", "TANH"])
def test_functions_of_float32_are_refused(kind: str) -> None:
    net = NetworkBuilder(seed=1)
    x = net.dequantize(net.input((1, 4)))
    y = net.file.tensor((1, 4), "float32", name="scores")
    options = ("SoftmaxOptions", {"Beta": 1.0}) if kind == "SOFTMAX" else None
    net.file.operator(kind, [x], [y], options)
    with pytest.raises(UnsupportedError, match=f"{kind}, writing 'scores'.*cut the file in front"):
        importer.loads(net.build(outputs=[y]))
