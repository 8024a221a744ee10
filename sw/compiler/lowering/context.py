"""What lowering needs to know about a network and the core it is compiled for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt

from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from sw import golden, ir
from sw.compiler.exact.reference import ChannelSums, Reference
from sw.compiler.exact.requantisation import encode, nominal_codes
from sw.compiler.exact.requantiser import Codes, RequantiserSpec
from sw.compiler.graph.channels import Channels
from sw.compiler.graph.partition import Partition, View, as_stored, offset, refusal, zero_point
from sw.compiler.program.tensors import Place

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
        By place: least and greatest int8 of every channel, (2, C) int64.
    source : Graph
        The network with all its channels.
    channels : mapping
        By place: tensors of which some channels are left out.
    """

    part: Partition
    config: CoreConfig
    ranges: dict[Place, Ints] = field(default_factory=dict)
    source: ir.Graph
    channels: Mapping[Place, Channels] = field(default_factory=dict)

    @property
    def graph(self) -> ir.Graph:
        """The whole network."""
        return self.part.graph

    def view(self, index: int) -> View:
        """Return a tensor as an operator sees it that reads it under this number."""
        return self.part.view(index)

    def range_of(self, index: int) -> Ints:
        """Return the known range of a pixel's channels, (2, C) int8 values as they are stored."""
        view = self.view(index)
        known = self.ranges.get(view.place)
        if known is None:
            known = np.array([[-128], [127]], np.int64).repeat(view.channels, axis=1)
        return known

    def words(self, channels: int) -> int:
        """Return the words of a pixel of so many channels."""
        return -(-channels // self.config.columns)

    def tensor_words(self, index: int) -> int:
        """Return the words of a whole tensor."""
        tensor = self.graph.tensors[index]
        channels = tensor.shape[-1] if tensor.shape else 1
        return tensor.size // channels * self.words(channels)

    def rows(self, index: int) -> int:
        """Return the rows of an image; one for anything else."""
        shape = self.graph.tensors[index].shape
        return shape[1] if len(shape) == 4 else 1

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
        return refusal(self.graph, op, rule, remedy)

    def codes(self, op: ir.WeightedOp, weights: Ints, input_range: Ints) -> Codes:
        """Find the requantisation of a weighted operator and note its output's range.

        Parameters
        ----------
        op : WeightedOp
        weights : (C, K) int64
        input_range : (2, C or 1, K or 1) int64
        """
        reference, sums = self._reference(op, weights, input_range)
        where = f"operator {op.name!r} ({op.kind})"
        codes = encode(reference, sums, RequantiserSpec.of(self.config), where)
        self.ranges[Place(op.output)] = codes.output_range
        return codes

    def factors(self, op: ir.WeightedOp, weights: Ints, input_range: Ints) -> Ints:
        """Return what :meth:`codes` will multiply weights with, and note the output's range.

        Much faster, as nothing is proven.
        """
        reference, sums = self._reference(op, weights, input_range)
        codes = nominal_codes(reference, sums, f"operator {op.name!r} ({op.kind})")
        self.ranges[Place(op.output)] = codes.output_range
        return codes.factor

    def _reference(
        self, op: ir.WeightedOp, weights: Ints, input_range: Ints
    ) -> tuple[Reference, ChannelSums]:
        """Return the reference's requantisation of a weighted operator, and what it sums."""
        y = self.graph.tensors[op.output]
        assert isinstance(op, ir.Conv2D | ir.DepthwiseConv2D | ir.FullyConnected)
        multiplier, shift = golden.requantize_params(self.graph, op)
        reference = Reference(
            multiplier=multiplier.astype(np.int64),
            shift=shift.astype(np.int64),
            requantisation=as_stored(golden.requantisation(self.graph, op), y),
            names=None if (there := self.channels.get(Place(op.output))) is None else there.kept,
        )
        bias = np.zeros(len(weights), np.int64)
        if op.bias is not None:
            bias += np.asarray(self.graph.tensors[op.bias].data, np.int64)
        return reference, ChannelSums(
            weights=weights,
            bias=bias,
            input_zero_point=zero_point(self.view(op.input).tensor),
            input_range=input_range,
        )

    def output_fields(self, op: ir.Op) -> dict[str, int]:
        """Return the descriptor's zero points and clamps of an operator."""
        x, y = self.view(op.inputs[0]).tensor, self.graph.tensors[op.output]
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
