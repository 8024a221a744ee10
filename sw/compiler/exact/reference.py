"""The reference's side of a layer: what its channels sum, and what outputs the sums have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from sw.golden.primitives import INT32_MAX, INT32_MIN
from sw.golden.requantisation import Requantisation

__all__ = ["Bounds", "ChannelSums", "Reference"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """The reference's requantisation of one layer; arrays have one element per channel.

    Attributes
    ----------
    multiplier, shift : (C,) int64
        As :func:`sw.golden.requantize_params` gives them; positive shifts go left.
    requantisation : Requantisation
        Of the output as the device stores it, int8.
    names : tuple of int or None
        The channels' numbers in the network, for errors; ``None`` if they are in order.
    """

    multiplier: Ints
    shift: Ints
    requantisation: Requantisation
    names: tuple[int, ...] | None = None

    @property
    def levels(self) -> Ints:
        """Outputs that are steps: all but the least."""
        return np.arange(self.requantisation.act_min + 1, self.requantisation.act_max + 1)

    def name(self, channel: int | np.intp) -> int:
        """Return the number of a channel in the network."""
        return int(channel) if self.names is None else self.names[channel]

    def at(self, channels: Ints) -> Reference:
        """Return that of some channels, possibly of one of them several times."""
        return Reference(
            multiplier=self.multiplier[channels],
            shift=self.shift[channels],
            requantisation=self.requantisation,
        )

    def output(self, u: Ints, channel: npt.NDArray[np.intp] | slice = slice(None)) -> Ints:
        """Return the outputs of sums ``u`` (bias included) of the given channels."""
        multiplier, shift = self.multiplier[channel], self.shift[channel]
        extra = (1,) * (np.ndim(u) - 1)
        return self.requantisation.outputs(
            u, multiplier.reshape(-1, *extra), shift.reshape(-1, *extra)
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Bounds:
    """Range of the reference's sums of each channel.

    Attributes
    ----------
    low, high : (C,) int64
        Bias included.
    offset : (C,) int64
        What the sums contain besides products of raw inputs.
    """

    low: Ints
    high: Ints
    offset: Ints

    def at(self, channels: Ints) -> Bounds:
        """Return those of some channels, possibly of one of them several times."""
        return Bounds(
            low=self.low[channels], high=self.high[channels], offset=self.offset[channels]
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelSums:
    """Sums that the channels of a weighted operator make.

    Attributes
    ----------
    weights : (C, K) int64
        Every weight that meets an input in the sum of a channel, zero point subtracted.
    bias : (C,) int64
    input_zero_point : int
        int8.
    input_range : (2, C or 1, K or 1) int64
        Least and greatest int8 that each weight can meet, besides the zero point (padding).
    """

    weights: Ints
    bias: Ints
    input_zero_point: int
    input_range: Ints

    @cached_property
    def bounds(self) -> Bounds:
        """The range of the sums, whatever the inputs; all of int32 where they may wrap."""
        low, high = self._ends
        return Bounds(
            low=np.where(self.wraps, INT32_MIN, low),
            high=np.where(self.wraps, INT32_MAX, high),
            offset=self.bias - self.input_zero_point * self.weights.sum(axis=1),
        )

    @cached_property
    def wraps(self) -> npt.NDArray[np.bool_]:
        """Whether the sums of each channel may be beyond int32, (C,)."""
        low, high = self._ends
        return np.asarray((low < INT32_MIN) | (high > INT32_MAX), np.bool_)

    @cached_property
    def _ends(self) -> tuple[Ints, Ints]:
        ends = [self.weights * (end - self.input_zero_point) for end in self.input_range]
        return (
            np.minimum(np.minimum(*ends), 0).sum(axis=1) + self.bias,
            np.maximum(np.maximum(*ends), 0).sum(axis=1) + self.bias,
        )

    def at(self, channels: Ints) -> ChannelSums:
        """Return those of some channels."""
        shape = (2, len(self.weights), self.input_range.shape[2])
        return ChannelSums(
            weights=self.weights[channels],
            bias=self.bias[channels],
            input_zero_point=self.input_zero_point,
            input_range=np.broadcast_to(self.input_range, shape)[:, channels],
        )
