"""Sites: operators on the device, each with what follows from it and its operands' ranges.

A network is looked at several times: for channels that are constant, for the best order of
channels, to be lowered.  What all of these ask of an operator is computed once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from common.errors import UnsupportedError
from sw import golden, ir
from sw.compiler.exact.guards import Guard
from sw.compiler.exact.reference import ChannelSums, Reference
from sw.compiler.exact.requantisation import (
    WITHIN_REACH,
    Encoded,
    encode,
    nominal_codes,
    reach_of,
)
from sw.compiler.exact.requantiser import Codes, RequantiserSpec
from sw.compiler.exact.sums import reference_table
from sw.compiler.graph.partition import View, as_stored, refusal, zero_point
from sw.compiler.graph.refusals import Rule
from sw.compiler.program.tensors import Place
from sw.golden.elementwise import Addition
from sw.golden.requantisation import Requantisation

__all__ = [
    "SAME_SHAPE",
    "WHOLE_PIXELS",
    "Guarded",
    "InPieces",
    "Site",
    "SumSite",
    "WeightedSite",
    "beyond_int8",
]


WHOLE_PIXELS = Rule(
    "A fully connected layer must read whole pixels of the stored tensor",
    "flatten whole images only",
)
SAME_SHAPE = Rule(
    "Two computed operands must both have the output's shape", "make both of the same shape"
)


class InPieces(UnsupportedError):
    """A layer's channels have different constants for ranges of their outputs."""


class Guarded(UnsupportedError):
    """A layer's channels have sums beyond the requantiser's limit."""


def beyond_int8(weights: Ints) -> npt.NDArray[np.bool_]:
    """Return which weights one visit of their input cannot express."""
    return np.asarray((weights < -128) | (weights > 127), np.bool_)


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """Operator on the device.

    Attributes
    ----------
    op : Operator
    graph : Graph
        Of stored channels.
    operands : tuple of View
        Without weights and biases.
    ranges : tuple of (2, C) int64
        Of the operands: least and greatest int8 of each channel of a pixel, as they are stored.
    spec : RequantiserSpec
        Of the core.
    macs : int
        Multiplications of the operator as the network defines it; 0 for pooling and ADD.
    names : tuple of int or None
        The output channels' numbers in the network; ``None`` if they are in order.
    """

    op: ir.Operator
    graph: ir.Graph
    operands: tuple[View, ...]
    ranges: tuple[Ints, ...]
    spec: RequantiserSpec
    macs: int = 0
    names: tuple[int, ...] | None = None

    @property
    def view(self) -> View:
        """The first operand."""
        return self.operands[0]

    @property
    def output(self) -> Place:
        """Place of the output."""
        return Place(self.op.output)

    @property
    def output_tensor(self) -> ir.Tensor:
        """The tensor that is written."""
        return self.graph.tensors[self.op.output]

    @property
    def output_rows(self) -> int:
        """Rows of the output, if it is an image; one otherwise."""
        return self.output_tensor.rows

    @property
    def where(self) -> str:
        """Name of the operator in errors."""
        return f"operator {self.op.name!r} ({self.op.kind})"

    def refuse(self, rule: Rule, found: str) -> UnsupportedError:
        """Return the error for an operator that the device cannot run."""
        return refusal(self.graph, self.op, rule, found)

    @cached_property
    def requantisation(self) -> Requantisation:
        """The requantisation of the output, as the device stores it."""
        return as_stored(golden.requantisation(self.graph, self.op), self.output_tensor)

    def descriptor_fields(self, requantisation: Requantisation | None = None) -> dict[str, int]:
        """Return what a descriptor is told of zero points and of outputs."""
        output = requantisation or self.requantisation
        return {
            "input_zero_point": zero_point(self.view.tensor),
            "single_rounding": output.single_rounding,
            "output_zero_point": output.zero_point,
            "act_min": output.act_min,
            "act_max": output.act_max,
        }

    @cached_property
    def output_range(self) -> Ints | None:
        """Least and greatest output of each channel, (2, C) int64, if that is known.

        It is proven for the reference, whether the device can run the operator or not.
        """
        try:
            return self._output_range()
        except UnsupportedError:
            return None

    def _output_range(self) -> Ints | None:
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightedSite(Site):
    """Convolution or fully connected layer.

    Attributes
    ----------
    top : int or None
        The codes are those of a range of outputs, by its greatest one.
    whole : WeightedSite or None
        The site that such a site was made of.
    given : tuple or None
        Other codes and coded weights than the operator's.
    """

    op: ir.Conv2D | ir.DepthwiseConv2D | ir.FullyConnected
    top: int | None = None
    whole: WeightedSite | None = None
    given: tuple[Codes, Ints] | None = None

    @cached_property
    def weights(self) -> Ints:
        """Weights less their zero point, in the network's layout."""
        tensor = self.graph.tensors[self.op.weights]
        return np.asarray(tensor.data, np.int64) - tensor.q.zero_point

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of a kernel; 1 × 1 for fully connected layers."""
        shape = self.weights.shape
        return (shape[1], shape[2]) if len(shape) == 4 else (1, 1)

    @cached_property
    def matrix(self) -> Ints:
        """Weights by output channel, (C, K): taps row by row, all input channels of each inside.

        A depthwise convolution's have their own input channel only.
        """
        if isinstance(self.op, ir.DepthwiseConv2D):
            return self.weights.reshape(-1, self.weights.shape[-1]).T
        return self.weights.reshape(len(self.weights), -1)

    @cached_property
    def sums(self) -> ChannelSums:
        """Sums of the output channels.

        Raises
        ------
        UnsupportedError
            If weights do not fit the pixels in memory.
        """
        (known,) = self.ranges
        if isinstance(self.op, ir.DepthwiseConv2D):
            input_range = known.repeat(self.op.depth_multiplier, axis=1)[:, :, None]
        else:
            size, channels = self.matrix.shape[1], self.view.channels
            if size % channels:
                raise self.refuse(
                    WHOLE_PIXELS, f"it reads {size} elements of a tensor with {channels} channels"
                )
            input_range = np.tile(known, (1, size // channels))[:, None, :]
        bias = np.zeros(len(self.matrix), np.int64)
        if self.op.bias is not None:
            bias += np.asarray(self.graph.tensors[self.op.bias].data, np.int64)
        return ChannelSums(
            weights=self.matrix,
            bias=bias,
            input_zero_point=zero_point(self.view.tensor),
            input_range=input_range,
        )

    @cached_property
    def reference(self) -> Reference:
        """The reference's requantisation."""
        multiplier, shift = golden.requantize_params(self.graph, self.op)
        return Reference(
            multiplier=multiplier.astype(np.int64),
            shift=shift.astype(np.int64),
            requantisation=self.requantisation,
            names=self.names,
        )

    @cached_property
    def nominal(self) -> Codes:
        """The codes before they are proven; see :func:`nominal_codes`."""
        return nominal_codes(self.reference, self.sums, self.where)

    @property
    def codes(self) -> Codes:
        """The hardware's constants, proven.

        Raises
        ------
        InPieces
            If they are others for ranges of outputs.
        Guarded
            If a channel needs a guard.
        """
        codes, guards = self.guarded
        for channel in guards:
            name = self.reference.name(channel)
            reach = reach_of(codes, self.sums, channel, self.spec, name)
            raise Guarded(f"{self.where}: {WITHIN_REACH.broken(reach)}")
        return codes

    @property
    def guarded(self) -> tuple[Codes, dict[int, Guard]]:
        """The hardware's constants, proven, and guards of channels.

        Raises
        ------
        InPieces
            If they are others for ranges of outputs.
        """
        if self.given is not None:
            return self.given[0], {}
        encoded = self.encoded
        if self.top is not None:
            return encoded.of_range(self.top), encoded.guards
        for channel in encoded.pieces:
            raise InPieces(
                f"{self.where}: output channel {self.reference.name(channel)} has no multiplier "
                "that is right for all of its outputs"
            )
        return encoded.codes, encoded.guards

    @cached_property
    def encoded(self) -> Encoded:
        """The hardware's constants, and what channels need besides; see :func:`encode`."""
        if self.whole is not None:
            return self.whole.encoded
        return encode(self.reference, self.sums, self.spec, self.where, self.nominal)

    @cached_property
    def coded_weights(self) -> Ints:
        """Factors of the array: :attr:`matrix` times the codes' factors, possibly beyond int8."""
        if self.given is not None:
            return self.given[1]
        return np.asarray(self.matrix * self.nominal.factor[:, None], np.int64)

    def _output_range(self) -> Ints:
        return self.nominal.output_range


@dataclass(frozen=True, kw_only=True, eq=False)
class SumSite(Site):
    """ADD."""

    op: ir.Add

    @cached_property
    def reference(self) -> Addition:
        """The reference's integers, for tensors as the device stores them.

        Raises
        ------
        UnsupportedError
            If the operands do not have the output's shape.
        """
        a, b = (view.tensor for view in self.operands)
        if a.shape != b.shape or a.shape != self.output_tensor.shape:
            raise self.refuse(SAME_SHAPE, f"its operands are {a.shape} and {b.shape}")
        reference: Addition = golden.arguments(self.graph, self.op)["addition"]
        return replace(
            reference,
            first=replace(reference.first, zero_point=zero_point(a)),
            second=replace(reference.second, zero_point=zero_point(b)),
            requantisation=self.requantisation,
        )

    def _output_range(self) -> Ints:
        # Outputs do not fall as operands grow.
        first, second = self.ranges
        return reference_table(self.reference)[first + 128, second + 128].astype(np.int64)
