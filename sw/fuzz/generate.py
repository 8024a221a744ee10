"""Random networks, every one from its number."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

from sw.fuzz.assemble import build_network
from sw.fuzz.layers import BIASES, CONSTANTS, FORMS, SCALES, WEIGHTS, Input, Layer
from sw.fuzz.network import Network, first_valid

__all__ = ["random_network"]

GAINS = (2.0**-20, 2.0**-15, 2.0**-10, 2.0**-6, 0.5, 0.999999, 1.0, 1.0000001, 1.7, 20.0)
"""From accumulators to outputs: from what makes every output the zero point to what clamps."""

PLAIN_GAINS = (1.0, 1.0, 1.0, 0.5, 2.0, 0.9)
"""Of operators between tensors: the core's ADD has to represent the factors exactly."""

DILATIONS = ((2, 2), (1, 3), (3, 1))

MOST_AVERAGED = 256
"""Pixels of an average."""

ODD = 0.02
"""How likely a layer is one that the compiler refuses for its form, whatever its numbers."""

CLAMPS = ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")

ACTIVATIONS = ("NONE", "RELU", "RELU6")

MOST_TAIL = 3000
"""Elements before a fully connected layer or a softmax."""


def random_network(number: int) -> Network:
    """Return the network of a number."""
    return first_valid(_Generator(random.Random(f"network {number}")).network)


class _Generator:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.wild = rng.choice([0, 0, 0, 0.03, 0.1, 0.4])
        """How likely it is that something is at an end of what it may be."""
        self.inputs: list[Input] = []
        self.layers: list[Layer] = []

    def network(self) -> Network:
        """Return a network, or raise :class:`ValueError` if this one cannot be."""
        self.inputs, self.layers = [self._input()], []
        x = self._head(0)
        for _ in range(self.rng.choice([0, 1, 2, 2, 3, 3, 4, 5, 7])):
            x = self._body(x)
        x = self._tail(x)
        if not self.layers:
            x = self._convolution(x)
        return Network(
            inputs=tuple(self.inputs), layers=tuple(self.layers), outputs=self._outputs(x)
        )

    def _outputs(self, x: int) -> tuple[int, ...]:
        """Return the end, at times with tensors on the way or an input."""
        outputs = [x]
        first = len(self.inputs)
        if self._happens(0.15):
            outputs += self.rng.choices(range(first, x + 1), k=self.rng.randint(1, 2))
        if self._happens(0.03):
            outputs.append(self.rng.randrange(first))
        self.rng.shuffle(outputs)
        return tuple(dict.fromkeys(outputs))

    def _happens(self, probability: float) -> bool:
        return self.rng.random() < probability

    def _odd(self) -> bool:
        return self._happens(ODD)

    def _shape(self, x: int) -> tuple[int, ...]:
        return self._value(x).shape

    def _value(self, x: int) -> Input:
        return build_network(self.inputs, self.layers, (x,)).values[x]

    def _add(self, kind: str, *inputs: int, **fields: Any) -> int:
        layer = Layer(kind=kind, inputs=inputs, seed=self.rng.randrange(1 << 16), **fields)
        if self._happens(0.4):
            layer = replace(layer, zero_point=self.rng.choice([-128, -128, 127, 0, -127, 126]))
        self.layers.append(layer)
        return len(self.inputs) + len(self.layers) - 1

    def _input(self) -> Input:
        rng = self.rng
        large = self._happens(0.03)
        height, width = (rng.randint(*((30, 70) if large else (1, 20))) for _ in range(2))
        channels = rng.choice([1, 2, 3, 3, 4, 3 if large else rng.randint(1, 70)])
        shape: tuple[int, ...] = (1, height, width, channels)
        kind = rng.random()
        if kind < 0.06:
            shape = (1, channels, height, width)
        elif kind < 0.12:
            shape = (1, rng.randint(1, 200))
        dtype = rng.choice(["int8", "int8", "uint8"])
        lowest = 0 if dtype == "uint8" else -128
        return Input(
            shape=shape,
            dtype=dtype,
            scale=rng.choice([0.02, rng.uniform(0.005, 0.05), 1 / 255, 6 / 255, 1.0, 1e-6, 4.0]),
            zero_point=lowest + rng.choice([0, 255, 128, rng.randrange(256)]),
            floating=self._happens(0.05),
        )

    def _head(self, x: int) -> int:
        """Add what the host does before the core."""
        rng = self.rng
        shape = self._shape(x)
        if len(shape) == 4 and shape[1] <= 4 < shape[3] and self._happens(0.7):
            x = self._add("TRANSPOSE", x, numbers=(0, 2, 3, 1))
        elif len(shape) == 2 and self._happens(0.3):
            return self._add("RESHAPE", x, form="vector")
        if len(shape) == 4 and self._shape(x)[3] <= 4:
            first = self._happens(0.7)
            for kind in ("MUL", "SUB"):
                if self._happens(0.06 if first else ODD):
                    x = self._add(kind, x, constant=rng.choice(CONSTANTS), gain=self._gain())
            if self._happens(0.06):
                x = self._quantize(x, rng.choice(["int8", "uint8"]))
            if first:
                x = self._convolution(self._pad(x) if self._happens(0.15) else x, first=True)
        return x

    def _body(self, x: int) -> int:
        rng = self.rng
        if len(self._shape(x)) != 4:
            return self._dense(x) if self._happens(0.7) else x
        kind = rng.random()
        if kind < 0.36:
            return self._convolution(x)
        if kind < 0.7:
            return self._depthwise(x)
        if kind < 0.84:
            return self._sum(x)
        if kind < 0.9:
            return self._add("RESHAPE", x, form=rng.choice(FORMS))
        if kind < 0.92:
            same = self._value(x).dtype
            other = "uint8" if same == "int8" else "int8"
            return self._quantize(x, same if self._happens(0.3) else other, friendly=kind < 0.91)
        if kind < 0.94:
            return self._average(x) if self._happens(0.5) else self._maximum(x)
        if kind < 0.945:
            return self._pad(x)
        if kind < 0.98:
            return self._elementwise(x)
        return self._convolution(x, first=True)

    def _elementwise(self, x: int) -> int:
        """Add a function of single integers; constants are a scalar or one of each channel."""
        rng = self.rng
        kind = rng.choice(["ADD", "MUL", "SUB", "PRELU", "MAXIMUM", "LEAKY_RELU", *CLAMPS])
        gain = rng.choice(PLAIN_GAINS) if self._happens(0.7) else self._gain()
        if kind in CLAMPS:
            return self._add(kind, x, gain=gain)
        if kind == "LEAKY_RELU":
            return self._add(kind, x, gain=gain, alpha=rng.choice([0.1, 0.2, 0.3, 1.5]))
        constant = rng.choice(CONSTANTS if self._odd() else CONSTANTS[:2])
        return self._add(kind, x, constant=constant, gain=0.0 if kind == "MUL" else gain)

    def _tail(self, x: int) -> int:
        rng = self.rng
        shape = self._shape(x)
        if len(shape) == 4 and self._happens(0.6):
            x = self._average(x)
        if math.prod(self._shape(x)) <= MOST_TAIL:
            if self._happens(0.4):
                x = self._dense(x)
            if self._happens(0.2):
                x = self._add("RESHAPE", x, form=rng.choice(["flat", "vector"]))
            if self._happens(0.25):
                x = self._add("SOFTMAX", x, beta=rng.choice([1.0, 1.0, 0.5, 2.5]))
        if self._happens(0.1):
            x = self._quantize(x, rng.choice(["int8", "uint8"]))
        if self._happens(0.03):
            x = self._add("TRANSPOSE", x, numbers=tuple(range(len(self._shape(x))))[::-1])
        return x

    def _gain(self) -> float:
        return self.rng.choice(GAINS) if self._happens(self.wild) else 0.0

    def _corner(self, names: tuple[str, ...]) -> str:
        return self.rng.choice(names) if self._happens(self.wild) else names[0]

    def _contents(self, kind: str, dtype: str) -> dict[str, Any]:
        """Return what is special about weights."""
        bias = "absent" if self._happens(0.08) else self._corner(BIASES)
        if bias == "absent" and (dtype == "uint8" or kind == "CONV_2D"):
            # LiteRT's kernels refuse that.
            bias = "zero"
        return {
            "weights": self._corner(WEIGHTS),
            "bias": bias,
            "scales": self._corner(SCALES),
            "per_channel": None if self._happens(0.9) else False,
            "gain": self._gain(),
            "activation": self.rng.choice(ACTIVATIONS),
        }

    def _padding(self, x: int, kernel: tuple[int, int]) -> str:
        _, height, width, _ = self._shape(x)
        fits = kernel[0] <= height and kernel[1] <= width
        return self.rng.choice(["SAME", "SAME", "VALID"]) if fits else "SAME"

    def _stride(self, odd: bool) -> tuple[int, int]:
        return self.rng.choice([(1, 2), (2, 1), (3, 1), (2, 3)] if odd else [(1, 1), (2, 2)])

    def _convolution(self, x: int, *, first: bool = False) -> int:
        rng = self.rng
        shape = self._shape(x)
        if len(shape) != 4:
            return self._dense(x)
        if first and self._happens(0.15):
            return self._depthwise(x, multiplier=rng.randint(1, 16 if self._odd() else 8))
        kernel, stride = (1, 1), (1, 1)
        if first:
            kernel = (3, 3) if self._happens(0.6) else (rng.randint(1, 5), rng.randint(1, 5))
            stride = self._stride(self._happens(0.25))
        elif self._happens(0.2):
            kernel = (rng.randint(1, 4), rng.randint(1, 4)) if self._happens(0.4) else (3, 3)
            stride = self._stride(self._happens(0.25))
        return self._add(
            "CONV_2D", x, channels=rng.randint(1, 40 if first else 70), kernel=kernel,
            stride=stride, padding=self._padding(x, kernel),
            **self._contents("CONV_2D", self._value(x).dtype),
            dilation=rng.choice(DILATIONS) if self._happens(0.05) else (1, 1),
        )

    def _depthwise(self, x: int, multiplier: int = 0) -> int:
        """Add a depthwise convolution, at times behind a PAD that is its padding."""
        rng = self.rng
        kernel = (rng.randint(1, 7), rng.randint(1, 7)) if self._happens(0.2) else (3, 3)
        stride = self._stride(self._happens(0.25 if multiplier > 1 else 0.1))
        if not multiplier and self._happens(0.05):
            multiplier = rng.randint(1, 4)
        padding = self._padding(x, kernel)
        _, height, width, _ = self._shape(x)
        if kernel[0] <= height and kernel[1] <= width and self._happens(0.15):
            x = self._pad(x, widths=(0, 1, 2) if self._happens(0.2) else (0, 1))
            padding = "VALID"
        return self._add(
            "DEPTHWISE_CONV_2D", x, channels=multiplier or 1, kernel=kernel, stride=stride,
            dilation=rng.choice(DILATIONS) if stride == (1, 1) and self._happens(0.05) else (1, 1),
            padding=padding, **self._contents("DEPTHWISE_CONV_2D", self._value(x).dtype),
        )

    def _pad(self, x: int, widths: tuple[int, ...] = (0, 0, 1, 1, 2)) -> int:
        return self._add("PAD", x, numbers=tuple(self.rng.choice(widths) for _ in range(4)))

    def _sum(self, x: int) -> int:
        """Add a sum: with itself, a layer of the same shape, an input, a constant."""
        rng = self.rng
        shape = self._shape(x)
        values = build_network(self.inputs, self.layers, (x,)).values
        same = [i for i, v in enumerate(values)
                if v.shape == shape and v.dtype == values[x].dtype]
        kind = rng.random()
        if kind < 0.1:
            other = x
        elif kind < 0.35:
            other = rng.choice(same)
        elif kind < 0.35 + ODD:
            return self._add("ADD", x, constant=rng.choice(CONSTANTS), gain=1.0)
        elif kind < 0.5:
            # A second input: everything moves by one.
            self._second_input(values[x])
            x, other = x + 1, len(self.inputs) - 1
        else:
            other = self._add(
                "CONV_2D", x, channels=shape[3], same_scale=self._happens(0.8),
                **self._contents("CONV_2D", values[x].dtype),
            )
        if self._happens(0.5):
            x, other = other, x
        gain = rng.choice(PLAIN_GAINS) if self._happens(0.9) else self._gain()
        return self._add("ADD", x, other, gain=gain, activation=rng.choice(ACTIVATIONS))

    def _second_input(self, like: Input) -> None:
        first = len(self.inputs)
        self.inputs.append(replace(like, floating=False))
        self.layers = [
            replace(layer, inputs=tuple(i + (i >= first) for i in layer.inputs))
            for layer in self.layers
        ]

    def _quantize(self, x: int, dtype: str, *, friendly: bool = False) -> int:
        """Add a change of type, mostly (if friendly: always) one that moves nothing."""
        y = self._add("QUANTIZE", x, dtype=dtype)
        gain = self.rng.choice(PLAIN_GAINS) if not friendly and self._happens(0.3) else 1.0
        kept = None if friendly or self._happens(0.8) else self.layers[-1].zero_point
        self.layers[-1] = replace(self.layers[-1], gain=gain, zero_point=kept)
        return y

    def _average(self, x: int) -> int:
        rng = self.rng
        _, height, width, _ = self._shape(x)
        if height * width > MOST_AVERAGED and not self._odd():
            return x
        # Few of MEAN's scales have a multiplier that is right for every sum.
        if self._happens(0.3):
            gain = rng.choice(PLAIN_GAINS) if self._happens(0.1) else 1.0
            gain = self._gain() if self._odd() else gain
            axes = rng.choice([(1, 2), (1, 2), (1, 2), (1,), (2,)])
            y = self._add("MEAN", x, numbers=axes, keep_dims=self._happens(0.5), gain=gain)
            if self._happens(0.9):
                zero_point = self._value(x).zero_point
                zero_point -= 128 if self._value(x).dtype == "uint8" else 0
                self.layers[-1] = replace(self.layers[-1], zero_point=zero_point)
            return y
        kernel = (0, 0)
        stride = (1, 1)
        if self._happens(0.3):
            kernel = (rng.randint(1, 3), rng.randint(1, 3))
            stride = rng.choice([(1, 1), kernel])
        padding = self._padding(x, kernel) if any(kernel) else "VALID"
        return self._add(
            "AVERAGE_POOL_2D", x, kernel=kernel, stride=stride, padding=padding,
            activation=rng.choice(ACTIVATIONS),
        )

    def _maximum(self, x: int) -> int:
        kernel = (self.rng.randint(1, 3), self.rng.randint(1, 3))
        return self._add(
            "MAX_POOL_2D", x, kernel=kernel, stride=self.rng.choice([kernel, (1, 1), (2, 2)]),
            padding=self._padding(x, kernel), activation=self.rng.choice(ACTIVATIONS),
        )

    def _dense(self, x: int) -> int:
        shape = self._shape(x)
        if len(shape) != 2 and (math.prod(shape[:-1]) > 1 or self._happens(0.5)):
            if math.prod(shape) > MOST_TAIL:
                return x
            x = self._add("RESHAPE", x, form="flat")
        return self._add(
            "FULLY_CONNECTED", x, channels=self.rng.randint(1, 20),
            **self._contents("FULLY_CONNECTED", self._value(x).dtype),
        )
