"""Changes to a file before it is written, each of one field, and to its bytes.

A change is a name and a seed: the same change may be made without the others of a mutant.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from sw.fuzz.bases import Specification
from sw.quantize.flatbuffer import OperatorSpec, TensorSpec

__all__ = ["BYTE_CHANGES", "FIELD_CHANGES"]

INT32 = (1 << 31) - 1

SCALES = (
    float("nan"), float("inf"), float("-inf"), 0.0, -0.0, -1.0, 1e-45, 1e-38, 1e-30, 1e-10, 1e30,
    3e38, 1.0, 0.5, 1 / 256, 2.0**-20, 2.0**-31, 255.99, 256.0, 2.0**19,
)
POWERS = (-30, -24, -20, -16, -12, -8, -4, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12)
ZERO_POINTS = (
    0, -128, 127, 128, -129, 255, 256, -1, INT32, -INT32 - 1, INT32 + 1, (1 << 63) - 1,
    -1 << 63, 1000,
)
SIZES = (0, 1, 2, 3, 7, 8, 16, 64, 255, -1, -8, INT32, -INT32 - 1, 65536, 1 << 24, 4097)
NUMBERS = (0, 1, 2, 3, 4, 5, 8, 63, 64, 65, 127, -1, -128, INT32, -INT32 - 1)
BIASES = (
    INT32, -INT32 - 1, 1 << 30, -1 << 30, 1 << 24, -1 << 24, 1 << 23, 1 << 22, -1 << 22, 1 << 20,
    0, -1, -4, 1, 2, 65, 64,
)
DTYPES = ("float32", "int32", "int64", "int16", "int8", "uint8")
KINDS = (
    "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "AVERAGE_POOL_2D",
    "MEAN", "PAD", "RESHAPE", "QUANTIZE", "DEQUANTIZE", "SOFTMAX", "TRANSPOSE", "MAX_POOL_2D",
    "RELU6", "CONCATENATION", "LOGISTIC", "SPLIT", "STRIDED_SLICE", "TRANSPOSE_CONV", "UNPACK",
    "SHAPE", "PACK", "GATHER", "ELU", "WHILE",
)
BYTE_FIELDS = ("Padding", "FusedActivationFunction", "Mode", "OutputType")
"""Fields of options that hold a byte."""

Rng = random.Random


def _scale(spec: Specification, rng: Rng) -> None:
    t, k = _quantised(spec, rng)
    scales = list(t.scales)
    scales[k] = rng.choice(SCALES)
    t.scales = [scales[k]] * len(scales) if rng.random() < 0.3 else scales


def _power(spec: Specification, rng: Rng) -> None:
    t, _ = _quantised(spec, rng)
    factor = 2.0 ** rng.choice(POWERS) * (1 + rng.choice([0, 0, 1e-7, -1e-7, 0.3]))
    t.scales = [float(np.float32(s * factor)) for s in t.scales]


def _equal_scales(spec: Specification, rng: Rng) -> None:
    """Give a tensor another one's scale and zero point."""
    (t, _), (other, _) = _quantised(spec, rng), _quantised(spec, rng)
    t.scales, t.zero_points = list(other.scales[:1]), list(other.zero_points[:1])


def _usual_zero_point(spec: Specification, rng: Rng) -> None:
    t, _ = _quantised(spec, rng)
    lowest = 0 if t.dtype == "uint8" else -128
    value = lowest + rng.choice([0, 255, 128, rng.randrange(256)])
    t.zero_points = [value] * len(t.zero_points)


def _zero_point(spec: Specification, rng: Rng) -> None:
    t, k = _quantised(spec, rng)
    values = list(t.zero_points)
    if values:
        values[k % len(values)] = rng.choice(ZERO_POINTS)
    t.zero_points = values


def _scale_count(spec: Specification, rng: Rng) -> None:
    t, _ = _quantised(spec, rng)
    count = rng.choice([0, 1, 2, len(t.scales) + 1, max(len(t.scales) - 1, 0), 100])
    t.scales = [t.scales[0]] * count
    if rng.random() < 0.7:
        t.zero_points = [*t.zero_points, 0][:1] * count


def _shape(spec: Specification, rng: Rng) -> None:
    t = _tensor(spec, rng)
    shape = list(t.shape)
    kind = rng.random()
    if not shape or kind < 0.15:
        shape.insert(rng.randrange(len(shape) + 1), 1)
    elif kind < 0.3:
        shape.pop(rng.randrange(len(shape)))
    elif kind < 0.4:
        rng.shuffle(shape)
    else:
        k = rng.randrange(len(shape))
        near = [n for n in (shape[k] + 1, shape[k] - 1) if abs(n) <= INT32]
        shape[k] = rng.choice([*SIZES, *near])
    t.shape = tuple(shape)


def _dtype(spec: Specification, rng: Rng) -> None:
    _tensor(spec, rng).dtype = rng.choice(DTYPES)


def _axis(spec: Specification, rng: Rng) -> None:
    _tensor(spec, rng).axis = rng.choice([0, 1, 2, 3, 4, -1, INT32, -INT32 - 1])


def _unquantised(spec: Specification, rng: Rng) -> None:
    t, _ = _quantised(spec, rng)
    t.scales, t.zero_points = [], []


def _data(spec: Specification, rng: Rng) -> None:
    t = _constant(spec, rng)
    raw = bytearray(_contents(t).tobytes())
    for _ in range(rng.randrange(1, 6) if raw else 0):
        raw[rng.randrange(len(raw))] = rng.choice([0, 255, 128, 127, 1, rng.randrange(256)])
    t.data = np.frombuffer(bytes(raw), _contents(t).dtype)


def _data_length(spec: Specification, rng: Rng) -> None:
    t = _constant(spec, rng)
    raw = _contents(t).tobytes()
    n = len(raw)
    length = rng.choice([0, 1, max(n - 1, 0), n // 2, n + 1, n * 2])
    t.data = np.frombuffer((raw * 3)[:length], np.uint8)


def _no_data(spec: Specification, rng: Rng) -> None:
    _constant(spec, rng).data = None


def _integers(spec: Specification, rng: Rng) -> None:
    """Change biases, axes, paddings, permutations, shapes."""
    t = _constant(spec, rng, "int32")
    if t.dtype != "int32" or _contents(t).size == 0:
        return
    data = np.array(t.data).reshape(-1).astype(np.int32)
    choice = BIASES if t.name == "bias" else (0, 1, 2, 3, -1, -2, 5, 64, 65, INT32, -INT32 - 1)
    k = slice(None) if rng.random() < 0.2 else rng.randrange(len(data))
    data[k] = rng.choice(choice)
    t.data = data


def _weights(spec: Specification, rng: Rng) -> None:
    t = _constant(spec, rng, "int8", "uint8")
    if t.dtype not in ("int8", "uint8"):
        return
    lowest = 0 if t.dtype == "uint8" else -128
    ends = np.random.default_rng(rng.randrange(1 << 30)).choice([0, 255], _contents(t).shape)
    value = rng.choice([ends, 0, 255, 1, 128])
    t.data = (np.zeros(_contents(t).shape, np.int64) + value + lowest).astype(t.dtype)


def _operands(spec: Specification, rng: Rng) -> None:
    op = _operator(spec, rng)
    inputs = list(op.inputs)
    anything = [-1, -2, len(spec.tensors), INT32, *range(len(spec.tensors))]
    if inputs:
        inputs[rng.randrange(len(inputs))] = rng.choice(anything)
    if rng.random() < 0.15:
        inputs.append(rng.choice(anything))
    elif inputs and rng.random() < 0.1:
        inputs.pop()
    op.inputs = inputs


def _results(spec: Specification, rng: Rng) -> None:
    op = _operator(spec, rng)
    outputs = [rng.choice([-1, len(spec.tensors), *range(len(spec.tensors))])]
    if rng.random() < 0.15:
        outputs.append(rng.randrange(len(spec.tensors)))
    op.outputs = outputs if rng.random() < 0.9 else []


def _options(spec: Specification, rng: Rng) -> None:
    op = _operator(spec, rng)
    if op.options is None or not op.options[1]:
        return
    table, fields = op.options
    name = rng.choice(sorted(fields))
    value: Any = rng.choice(NUMBERS if rng.random() < 0.6 else (0, 1, 2, 3))
    if isinstance(fields[name], float):
        value = rng.choice(SCALES)
    elif name in BYTE_FIELDS:
        value = rng.choice([0, 1, 2, 3, 4, 5, 127, -1, -128])
    elif isinstance(fields[name], bool):
        value = not fields[name]
    op.options = table, fields | {name: value}


def _no_options(spec: Specification, rng: Rng) -> None:
    _operator(spec, rng).options = None


def _swapped(spec: Specification, rng: Rng) -> None:
    a, b = (rng.randrange(len(spec.operators)) for _ in range(2))
    operators = spec.operators
    operators[a], operators[b] = operators[b], operators[a]


def _twice(spec: Specification, rng: Rng) -> None:
    op = replace(_operator(spec, rng))
    spec.operators.insert(rng.randrange(len(spec.operators) + 1), op)


def _dropped(spec: Specification, rng: Rng) -> None:
    if len(spec.operators) > 1:
        spec.operators.pop(rng.randrange(len(spec.operators)))


def _skipped(spec: Specification, rng: Rng) -> None:
    """Leave an operator out; its readers take what it would have read."""
    if len(spec.operators) < 2:
        return
    gone = spec.operators.pop(rng.randrange(len(spec.operators)))
    if gone.inputs and gone.outputs:
        for op in spec.operators:
            op.inputs = [gone.inputs[0] if i in gone.outputs else i for i in op.inputs]
        spec.outputs = [gone.inputs[0] if i in gone.outputs else i for i in spec.outputs]


def _kind(spec: Specification, rng: Rng) -> None:
    _operator(spec, rng).kind = rng.choice(KINDS)


def _edges(spec: Specification, rng: Rng) -> None:
    """Change the network's inputs and outputs."""
    tensors = range(len(spec.tensors))
    anything = rng.choice([rng.choice(tensors), rng.choice(tensors), -1, len(spec.tensors)])
    match rng.randrange(7):
        case 0:
            spec.inputs.append(anything)
        case 1:
            spec.outputs.append(anything)
        case 2:
            spec.inputs = []
        case 3:
            spec.outputs = []
        case 4:
            spec.outputs = [anything]
        case 5:
            spec.outputs = spec.outputs * 2
        case 6:
            spec.outputs = spec.outputs + spec.inputs


def _more_outputs(spec: Specification, rng: Rng) -> None:
    """Make a tensor on the way an output."""
    written = [i for op in spec.operators for i in op.outputs]
    if written:
        spec.outputs.append(rng.choice(written))


FIELD_CHANGES: dict[str, tuple[int, Callable[[Specification, Rng], None]]] = {
    change.__name__.strip("_"): (weight, change)
    for weight, change in (
        (2, _scale), (4, _power), (2, _equal_scales), (3, _usual_zero_point), (1, _zero_point),
        (1, _scale_count), (2, _shape), (1, _dtype), (1, _axis), (1, _unquantised), (2, _data),
        (1, _data_length), (1, _no_data), (3, _integers), (2, _weights), (2, _operands),
        (1, _results), (3, _options), (1, _no_options), (1, _swapped), (1, _twice), (1, _dropped),
        (2, _skipped), (1, _kind), (1, _edges), (2, _more_outputs),
    )
}
"""How often, and what, by name."""


def _tensor(spec: Specification, rng: Rng) -> TensorSpec:
    return rng.choice(spec.tensors)


def _quantised(spec: Specification, rng: Rng) -> tuple[TensorSpec, int]:
    """Return a tensor with scales, and the number of one of them."""
    t = rng.choice([t for t in spec.tensors if len(t.scales)] or [TensorSpec((), "int8", [1.0])])
    return t, rng.randrange(len(t.scales))


def _constant(spec: Specification, rng: Rng, *dtypes: str) -> TensorSpec:
    constants = [t for t in spec.tensors if t.data is not None]
    wanted = [t for t in constants if t.dtype in dtypes] or constants
    return rng.choice(wanted or [TensorSpec((0,), "int8", data=np.zeros(0, np.int8))])


def _contents(t: TensorSpec) -> Any:
    return np.asarray(t.data)


def _operator(spec: Specification, rng: Rng) -> OperatorSpec:
    return rng.choice(spec.operators)


def _flip(data: bytes, rng: Rng) -> bytes:
    """Change a byte, or a word, or copy a word from elsewhere."""
    changed = bytearray(data)
    where = rng.randrange(len(data) if rng.random() < 0.6 else min(len(data), 1024))
    kind = rng.random()
    if kind < 0.4:
        changed[where] ^= 1 << rng.randrange(8)
    elif kind < 0.7:
        changed[where] = rng.choice([0, 255, 128, 127, 1, rng.randrange(256)])
    else:
        start = min(where & ~3, len(data) & ~3)
        other = rng.randrange(len(data)) & ~3
        values = (0, 1, 0xFFFFFFFF, INT32, 1 << 31, len(data), 4, rng.randrange(1 << 32))
        word = struct.pack("<I", rng.choice(values))
        word = data[other : other + 4] if kind > 0.85 else word
        changed[start : start + 4] = word[: len(changed[start : start + 4])]
    return bytes(changed)


def _truncated(data: bytes, rng: Rng) -> bytes:
    return data[: rng.randrange(len(data))]


def _inverted(data: bytes, rng: Rng) -> bytes:
    where = rng.randrange(len(data))
    return data[:where] + bytes([data[where] ^ 0xFF]) + data[where + 1 :]


def _noise(data: bytes, rng: Rng) -> bytes:
    """Keep nothing but the beginning, with the identifier."""
    return data[:8] + rng.randbytes(rng.randrange(300))


BYTE_CHANGES: dict[str, tuple[int, Callable[[bytes, Rng], bytes]]] = {
    "flip": (12, _flip),
    "inverted": (4, _inverted),
    "truncated": (1, _truncated),
    "noise": (1, _noise),
}
"""How often, and what, by name."""
