"""What lowering needs to know about a network and the core it is compiled for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt

from hw.config import CoreConfig
from sw import golden, ir
from sw.compiler.constants import Channels
from sw.compiler.partition import Partition, offset, zero_point
from sw.compiler.quantization import Codes, Reference, encode, preview
from sw.errors import UnsupportedError

__all__ = ["Context", "Ints"]

Ints = npt.NDArray[np.int64]


@dataclass(kw_only=True, eq=False)
class Context:
    """A partitioned network, a core, and what is known about tensors so far.

    Attributes
    ----------
    part : Partition
    config : CoreConfig
    ranges : dict
        Least and greatest int8 of every channel of a stored tensor: (2, C) int64.
    source : Graph
        The network with all its channels.
    channels : mapping
        Stored tensors of which some channels are left out.
    """

    part: Partition
    config: CoreConfig
    ranges: dict[int, Ints] = field(default_factory=dict)
    source: ir.Graph
    channels: Mapping[int, Channels] = field(default_factory=dict)

    @property
    def graph(self) -> ir.Graph:
        """The whole network."""
        return self.part.graph

    def stored(self, index: int) -> ir.Tensor:
        """Return the tensor that is in memory for tensor ``index``."""
        return self.graph.tensors[self.part.stored(index)]

    def range_of(self, index: int) -> Ints:
        """Return the known range of a tensor's channels, (2, C) int8 values."""
        tensor = self.stored(index)
        known = self.ranges.get(tensor.index)
        if known is None:
            channels = tensor.shape[-1] if tensor.shape else 1
            known = np.array([[-128], [127]], np.int64).repeat(channels, axis=1)
        return known

    def words(self, channels: int) -> int:
        """Return the words of a pixel of so many channels."""
        return -(-channels // self.config.columns)

    def tensor_words(self, index: int) -> int:
        """Return the words of a whole tensor."""
        tensor = self.graph.tensors[index]
        channels = tensor.shape[-1] if tensor.shape else 1
        return tensor.size // channels * self.words(channels)

    def macs(self, op: ir.WeightedOp) -> int:
        """Return the multiplications of an operator as the network defines it."""
        original = next(o for o in self.source.ops if o.name == op.name)
        assert isinstance(original, ir.WeightedOp)
        outputs = self.source.tensors[original.output].size
        shape = self.source.tensors[original.weights].shape
        if isinstance(original, ir.DepthwiseConv2D):
            return outputs * shape[1] * shape[2]
        return outputs * math.prod(shape[1:])

    def refuse(self, op: ir.Op, rule: str, remedy: str) -> UnsupportedError:
        """Return the error for an operator that the device cannot run."""
        tensor = self.graph.tensors[op.output]
        return UnsupportedError(
            f"operator {op.name!r} ({op.kind}), output tensor {tensor.index} ({tensor.name!r}): "
            f"{rule}; {remedy}"
        )

    def codes(self, op: ir.WeightedOp, weights: Ints, input_range: Ints) -> Codes:
        """Find the requantisation of a weighted operator and note its output's range.

        Parameters
        ----------
        op : WeightedOp
        weights : (C, K) int64
        input_range : (2, C or 1, K or 1) int64
        """
        x = self.stored(op.input)
        reference, bias = self._reference(op, len(weights))
        codes = encode(
            reference,
            weights,
            bias,
            input_zero_point=zero_point(x),
            input_range=input_range,
            acc_bits=min(self.config.acc_bits, 24),
            fraction_bits=self.config.fraction_bits,
            where=f"operator {op.name!r} ({op.kind})",
        )
        self.ranges[op.output] = codes.output_range
        return codes

    def factors(self, op: ir.WeightedOp, weights: Ints, input_range: Ints) -> Ints:
        """Return what :meth:`codes` will multiply weights with, and note the output's range.

        Much faster, as nothing is proven.
        """
        x = self.stored(op.input)
        reference, bias = self._reference(op, len(weights))
        factor, self.ranges[op.output] = preview(
            reference,
            weights,
            bias,
            input_zero_point=zero_point(x),
            input_range=input_range,
            where=f"operator {op.name!r} ({op.kind})",
        )
        return factor

    def _reference(self, op: ir.WeightedOp, channels: int) -> tuple[Reference, Ints]:
        """Return the reference's requantisation of a weighted operator, and its biases."""
        y = self.graph.tensors[op.output]
        assert isinstance(op, ir.Conv2D | ir.DepthwiseConv2D | ir.FullyConnected)
        multiplier, shift = golden.requantize_params(self.graph, op)
        low, high = golden.activation_range(self.graph, op)
        reference = Reference(
            multiplier=multiplier.astype(np.int64),
            shift=shift.astype(np.int64),
            single_rounding=golden.rounds_once(op),
            zero_point=zero_point(y),
            act_min=low - offset(y),
            act_max=high - offset(y),
            names=None if op.output not in self.channels else self.channels[op.output].kept,
        )
        bias = np.zeros(channels, np.int64)
        if op.bias is not None:
            bias += np.asarray(self.graph.tensors[op.bias].data, np.int64)
        return reference, bias

    def output_fields(self, op: ir.Op) -> dict[str, int]:
        """Return the descriptor's zero points and clamps of an operator."""
        x, y = self.stored(op.inputs[0]), self.graph.tensors[op.output]
        low, high = golden.activation_range(self.graph, cast(ir.Operator, op))
        return {
            "input_zero_point": zero_point(x),
            "output_zero_point": zero_point(y),
            "act_min": low - offset(y),
            "act_max": high - offset(y),
        }

    def weights(self, op: ir.WeightedOp) -> Ints:
        """Return an operator's weights less their zero point."""
        tensor = self.graph.tensors[op.weights]
        return np.asarray(tensor.data, np.int64) - tensor.q.zero_point
