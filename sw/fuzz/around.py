"""Random networks of the operators around convolutions: most of what this core does not run."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from sw.fuzz.assemble import build_network
from sw.fuzz.layers import CONSTANTS, GRIDS, Input, Layer
from sw.fuzz.network import Network, first_valid

__all__ = ["random_around"]

GAINS = (0.0, 0.0, 1.0, 0.5, 0.25, 0.999999, 1.0000001, 1.7, 3.3, 20.0, 2.0**-7, 2.0**-12)
"""From the input's scale to the output's; 0 leaves it to the builder."""

SCALES = (0.02, 0.05, 1 / 256, 6 / 255, 0.1, 0.5, 1.0, 1e-3, 1e-6, 4.0)

MOST = 6000
"""Elements of a tensor."""


def random_around(number: int) -> Network:
    """Return the network of a number."""
    return first_valid(_Generator(random.Random(f"around {number}")).network)


class _Generator:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.inputs: list[Input] = []
        self.layers: list[Layer] = []

    def network(self) -> Network:
        """Return a network, or raise :class:`ValueError` if this one cannot be."""
        rng = self.rng
        first = self._input(self._shape())
        self.inputs, self.layers = [first], []
        if rng.random() < 0.4:
            self.inputs.append(self._input(self._other_shape(first.shape), first))
        x = rng.randrange(len(self.inputs))
        for _ in range(rng.choice([1, 1, 2, 3, 4])):
            x = self._layer(x)
        last = len(self.inputs) + len(self.layers) - 1
        outputs = [x] if rng.random() < 0.8 else [last, rng.randint(len(self.inputs), last)]
        rng.shuffle(outputs)
        network = Network(
            inputs=tuple(self.inputs), layers=tuple(self.layers),
            outputs=tuple(dict.fromkeys(outputs)),
        )
        network.build()
        return network

    def _shape(self) -> tuple[int, ...]:
        rng = self.rng
        rank = rng.choice([4, 4, 4, 4, 4, 2, 3, 5, 1])
        if rank == 4:
            return (rng.choice([1, 1, 1, 2]), *(rng.randint(1, 9) for _ in range(2)),
                    rng.randint(1, 12))
        return tuple(rng.randint(1, 6) for _ in range(rank))

    def _other_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return a shape that broadcasts, or is equal."""
        if self.rng.random() < 0.5:
            return shape
        return tuple(n if self.rng.random() < 0.5 else 1 for n in shape)

    def _input(self, shape: tuple[int, ...], like: Input | None = None) -> Input:
        rng = self.rng
        dtype = like.dtype if like else rng.choice(["int8", "uint8"])
        if like is not None and rng.random() < 0.5:
            return Input(shape=shape, dtype=dtype, scale=like.scale, zero_point=like.zero_point)
        lowest = 0 if dtype == "uint8" else -128
        return Input(
            shape=shape, dtype=dtype,
            scale=rng.choice([*SCALES, rng.uniform(0.002, 0.2)]),
            zero_point=lowest + rng.choice([0, 255, 128, rng.randrange(256)]),
        )

    def _values(self) -> tuple[Input, ...]:
        return build_network(self.inputs, self.layers, (0,)).values

    def _add(self, kind: str, *inputs: int, **fields: Any) -> int:
        layer = Layer(kind=kind, inputs=inputs, seed=self.rng.randrange(1 << 16), **fields)
        self.layers.append(layer)
        return len(self.inputs) + len(self.layers) - 1

    def _layer(self, x: int) -> int:
        values = self._values()
        value = values[x]
        choices = dict(_ANY)
        if value.dtype in ("int8", "uint8"):
            choices |= _QUANTISED
            if len(value.shape) == 4:
                choices |= _IMAGE
        kind = self.rng.choice(sorted(choices))
        y = choices[kind](self, kind, x, values)
        size = 1
        for n in self._values()[y].shape:
            size *= n
        if size > MOST:
            raise ValueError("too large")
        return y

    def _gain(self) -> float:
        return self.rng.choice(GAINS)

    def _axis(self, shape: tuple[int, ...]) -> int:
        if not shape:
            raise ValueError("a scalar has no axis")
        return self.rng.randrange(len(shape))

    def function(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add a function of each element."""
        alpha = self.rng.choice([0.2, 0.1, 0.01, 0.0, 1.0, 1.5, 0.3])
        zero_point = self.rng.choice([None, None, -128, 127, 0])
        return self._add(kind, x, gain=self._gain(), alpha=alpha, zero_point=zero_point)

    def two(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add a function of two tensors, or of one and a constant."""
        fitting = [i for i, v in enumerate(values) if v.dtype == values[x].dtype]
        gain = self._gain() if kind != "MUL" else 0.0
        activation = self.rng.choice(["NONE", "RELU", "RELU6"])
        if self.rng.random() < 0.4:
            return self._add(
                kind, x, gain=gain, constant=self.rng.choice(CONSTANTS), activation=activation
            )
        return self._add(kind, x, self.rng.choice(fitting), gain=gain, activation=activation)

    def reduction(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add a mean or a sum."""
        rank = len(values[x].shape)
        axes = self.rng.sample(range(rank), self.rng.randint(1, rank))
        axes = [a - rank if self.rng.random() < 0.3 else a for a in axes]
        keep = self.rng.random() < 0.5 or len(axes) == rank
        return self._add(
            kind, x, numbers=tuple(axes), keep_dims=keep, gain=self._gain(),
            zero_point=self.rng.choice([None, 0, -128]),
        )

    def arg_max(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add the index of the largest element."""
        axis = self._axis(values[x].shape)
        if len(values[x].shape) == 1:
            raise ValueError("a scalar would be left")
        if self.rng.random() < 0.3:
            axis -= len(values[x].shape)
        return self._add(kind, x, numbers=(axis,), dtype=self.rng.choice(["int32", "int64"]))

    def window(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add a pooling."""
        rng = self.rng
        _, height, width, _ = values[x].shape
        kernel = (rng.randint(1, min(5, height)), rng.randint(1, min(5, width)))
        return self._add(
            kind, x, kernel=kernel, stride=(rng.randint(1, 3), rng.randint(1, 3)),
            padding=rng.choice(["SAME", "VALID"]), activation=rng.choice(["NONE", "RELU", "RELU6"]),
        )

    def transposed(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add a transposed convolution."""
        rng = self.rng
        kernel = (rng.randint(1, 4), rng.randint(1, 4))
        stride = (rng.randint(1, 3), rng.randint(1, 3))
        padding, size = rng.choice(["SAME", "VALID"]), []
        for length, k, s in zip(values[x].shape[1:3], kernel, stride, strict=True):
            most = length * s if padding == "SAME" else (length - 1) * s + k + s - 1
            size.append(most - rng.randint(0, s - 1))
        return self._add(
            kind, x, channels=rng.randint(1, 6), kernel=kernel, stride=stride,
            numbers=tuple(size), padding=padding, activation=rng.choice(["NONE", "RELU", "RELU6"]),
            bias=rng.choice(["random", "absent"]), per_channel=rng.choice([None, False]),
        )

    def resize(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add a change of height and width."""
        size = tuple(self.rng.choice([1, 2, 3, 5, 8, 13, 20]) for _ in range(2))
        return self._add(kind, x, numbers=size, form=self.rng.choice(GRIDS))

    def padding(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add a padding of all dimensions."""
        rng, numbers = self.rng, []
        edge = rng.random() < 0.5
        for n in values[x].shape:
            most = min(3, n - (not edge)) if kind == "MIRROR_PAD" else 2
            numbers += [rng.randint(0, most), rng.randint(0, most)]
        if kind == "PADV2":
            numbers.append(rng.randint(-128, 127))
        if kind == "PAD" and len(numbers) == 4:
            raise ValueError("four numbers are height and width")
        return self._add(kind, x, numbers=tuple(numbers), form="edge" if edge else "flat")

    def slice(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add a part."""
        begin = [self.rng.randrange(n) for n in values[x].shape]
        size = [
            self.rng.choice([-1, self.rng.randint(1, n - b)])
            for n, b in zip(values[x].shape, begin, strict=True)
        ]
        return self._add(kind, x, numbers=(*begin, *size))

    def strided_slice(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add every few elements."""
        rng = self.rng
        begin, end, strides, shrink = [], [], [], 0
        for d, n in enumerate(values[x].shape):
            begin.append(rng.randint(-n, n - 1))
            end.append(rng.randint(-n - 1, n + 2))
            strides.append(rng.choice([1, 1, 2, 3, -1, -2]))
            if rng.random() < 0.2:
                shrink |= 1 << d
        masks = [rng.randrange(1 << len(begin)) for _ in range(2)]
        return self._add(kind, x, numbers=(*begin, *end, *strides, *masks, shrink))

    def split(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add a division into parts."""
        axis = self._axis(values[x].shape)
        length = values[x].shape[axis]
        if kind == "UNPACK":
            return self._add(kind, x, numbers=(axis,))
        if kind == "SPLIT":
            counts = [c for c in range(1, length + 1) if length % c == 0]
            return self._add(kind, x, numbers=(axis, self.rng.choice(counts)))
        first = self.rng.randint(1, length)
        sizes = (first, length - first) if first < length else (first,)
        return self._add(kind, x, numbers=(axis, *sizes))

    def join(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add a concatenation, or a stack."""
        shape, rng = values[x].shape, self.rng
        axis = self._axis(shape)
        if kind == "PACK":
            axis = rng.randrange(len(shape) + 1)
        fitting = [
            i for i, v in enumerate(values)
            if v.dtype == values[x].dtype and len(v.shape) == len(shape)
            and (v.shape == shape if kind == "PACK" else
                 v.shape[:axis] == shape[:axis] and v.shape[axis + 1 :] == shape[axis + 1 :])
        ]
        if values[x].dtype == "int8" or kind == "PACK":
            fitting = [i for i in fitting if (values[i].scale, values[i].zero_point)
                       == (values[x].scale, values[x].zero_point)]
        others = rng.choices(fitting, k=rng.randint(0, 3))
        return self._add(kind, x, *others, numbers=(axis,))

    def reshape(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add the same elements in another shape or order."""
        rank = len(values[x].shape)
        if kind == "EXPAND_DIMS":
            return self._add(kind, x, numbers=(self.rng.randrange(rank + 1),))
        if kind == "TRANSPOSE":
            return self._add(kind, x, numbers=tuple(self.rng.sample(range(rank), rank)))
        return self._add(kind, x, form="flat")

    def quantize(self, kind: str, x: int, values: tuple[Input, ...]) -> int:
        """Add a change of type or scale."""
        if kind == "DEQUANTIZE":
            return self._add(kind, x)
        return self._add(
            kind, x, dtype=self.rng.choice(["int8", "uint8"]), gain=self._gain(), zero_point=0
        )


_Step = Callable[[_Generator, str, int, tuple[Input, ...]], int]

_ANY: dict[str, _Step] = {
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE"), _Generator.reshape),
    **dict.fromkeys(("SPLIT", "SPLIT_V", "UNPACK"), _Generator.split),
    **dict.fromkeys(("CONCATENATION", "PACK"), _Generator.join),
    "SLICE": _Generator.slice,
    "STRIDED_SLICE": _Generator.strided_slice,
}
_QUANTISED: dict[str, _Step] = {
    **dict.fromkeys(
        ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC",
         "TANH", "EXP"),
        _Generator.function,
    ),
    **dict.fromkeys(("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU"), _Generator.two),
    **dict.fromkeys(("MEAN", "SUM"), _Generator.reduction),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), _Generator.padding),
    **dict.fromkeys(("QUANTIZE", "DEQUANTIZE"), _Generator.quantize),
    "ARG_MAX": _Generator.arg_max,
}
_IMAGE: dict[str, _Step] = {
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), _Generator.resize),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), _Generator.window),
    "TRANSPOSE_CONV": _Generator.transposed,
}
"""Steps by kind: of any tensor, of quantised ones, of images."""
