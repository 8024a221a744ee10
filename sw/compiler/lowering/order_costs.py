"""Costs of weights beyond int8, by where channels lie in memory.

The few weights of a layer that are beyond int8 are split over two visits of their input, which
costs every window of the whole block of outputs some steps; and neighbouring blocks that are read
differently need descriptors of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from hw.contract.modes import Mode, minimum_steps
from sw import ir
from sw.compiler.exact.budget import Budget
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.depthwise import place_weights, supports
from sw.compiler.lowering.products import PIXELS_IN_PARTS
from sw.compiler.lowering.reading_order import contiguous_read, fits, plain_read, read_in_parts
from sw.compiler.lowering.site import Site, WeightedSite, beyond_int8
from sw.compiler.program.tensors import Place

__all__ = ["CostlyLayer", "Order", "OrderWork", "Places", "costly_layers", "may_be_beyond"]

COMMAND_CYCLES = 44
"""About what a descriptor more costs, which neighbouring blocks need that are read differently."""

IMPOSSIBLE = 1 << 20
"""Steps of what the core cannot run: more than anything it can takes."""


class Order:
    """Order of a tensor's channels: where each of them is stored, and which one is where.

    Attributes
    ----------
    place : list of int
        By channel: its position.
    at : list of int
        By position: the channel that is stored there.
    """

    def __init__(self, size: int) -> None:
        self.place = list(range(size))
        self.at = list(range(size))

    def move(self, channel: int, position: int) -> int:
        """Put a channel in a position, and what was there where the channel was; return that."""
        before, other = self.place[channel], self.at[position]
        self.place[channel], self.place[other] = position, before
        self.at[position], self.at[before] = channel, other
        return before

    def copy(self) -> Order:
        """Return an order of its own."""
        result = Order(0)
        result.place, result.at = list(self.place), list(self.at)
        return result


Places = dict[int, Order]
"""By the tensor that stands for tied ones."""


@dataclass(kw_only=True)
class OrderWork(Budget):
    """Budget of comparing orders.

    Attributes
    ----------
    steps : dict
        What is known of windows: a search is counted once, whatever other networks needed.
    """

    steps: dict[Hashable, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CostlyLayer(ABC):
    """A layer with weights beyond int8.

    Attributes
    ----------
    blocks : int
        Of its outputs.
    windows : int
    config : CoreConfig
    """

    blocks: int
    windows: int
    config: CoreConfig

    @abstractmethod
    def marked(self, tensor: int) -> tuple[list[int], list[int]]:
        """Return the channels of a tensor with weights beyond int8, read and written."""

    @abstractmethod
    def depending(self, tensor: int, channel: int, places: Places) -> Iterable[int]:
        """Return the blocks that cost something else if a channel is moved."""

    @abstractmethod
    def kind(self, block: int, places: Places, work: OrderWork) -> Hashable:
        """Return how a block is computed; ``None`` for as if no weight were beyond int8."""

    @abstractmethod
    def extra(self, kind: Hashable, work: OrderWork) -> int:
        """Return the steps that a window of a block takes more than without such weights."""

    def kinds(self, places: Places, work: OrderWork) -> dict[int, Hashable]:
        """Return how blocks are computed, without those that are as usual."""
        found = ((block, self.kind(block, places, work)) for block in range(self.blocks))
        return {block: kind for block, kind in found if kind is not None}

    def cost(self, kinds: Mapping[int, Hashable], work: OrderWork) -> int:
        """Return the cycles that the layer takes more than without weights beyond int8."""
        return self.part_of_cost(kinds, range(self.blocks), work)

    def part_of_cost(
        self, kinds: Mapping[int, Hashable], blocks: Iterable[int], work: OrderWork
    ) -> int:
        """Return what some blocks, and that neighbours differ from them, add to the cost."""
        steps, borders = 0, set()
        for block in blocks:
            if (kind := kinds.get(block)) is not None:
                steps += self.extra(kind, work)
            borders |= {block, block + 1}
        # A border lies in front of its block.
        borders -= {0, self.blocks}
        switches = sum(kinds.get(b - 1) != kinds.get(b) for b in borders)
        return steps * self.windows + switches * COMMAND_CYCLES


@dataclass(frozen=True, kw_only=True)
class _Product(CostlyLayer):
    """A 1×1 convolution or fully connected layer.

    Attributes
    ----------
    read, written : int
        Keys of :data:`Places`.
    by_row : mapping
        By output: the (pixel, channel) of its weights beyond int8.
    by_channel : mapping
        By input channel: the outputs with such weights of it.
    words, pixels : int
        Words of a pixel; a window has so many pixels.
    """

    read: int
    written: int
    by_row: Mapping[int, list[tuple[int, int]]]
    by_channel: Mapping[int, list[int]]
    words: int
    pixels: int

    def marked(self, tensor: int) -> tuple[list[int], list[int]]:
        # Once for each weight.
        weights = [(row, channel) for row, found in self.by_row.items() for _, channel in found]
        read = [channel for _, channel in weights] if tensor == self.read else []
        written = [row for row, _ in weights] if tensor == self.written else []
        return read, written

    def depending(self, tensor: int, channel: int, places: Places) -> Iterable[int]:
        rows = list(self.by_channel.get(channel, ())) if tensor == self.read else []
        if tensor == self.written and channel in self.by_row:
            rows.append(channel)
        place, columns = places[self.written].place, self.config.columns
        return {place[row] // columns for row in rows}

    def kind(self, block: int, places: Places, work: OrderWork) -> Hashable:
        columns, read = self.config.columns, places[self.read].place
        again: dict[int, int] = {}
        for row in places[self.written].at[block * columns : (block + 1) * columns]:
            found = self.by_row.get(row, ())
            work.left -= len(found)
            for pixel, channel in found:
                word, byte = divmod(read[channel], columns)
                word += pixel * self.words
                again[word] = max(again.get(word, 0), byte // 2 + 1)
        work.left -= 2
        return tuple(sorted(again.items())) or None

    def extra(self, kind: Hashable, work: OrderWork) -> int:
        return self._steps(kind, work) - self._steps((), work)

    def _steps(self, kind: Hashable, work: OrderWork) -> int:
        words, few = self.words * self.pixels, self.windows <= PIXELS_IN_PARTS
        key = words, few, kind
        if key not in work.steps:
            assert isinstance(kind, tuple)
            work.steps[key] = _steps(words, dict(kind), few, self.config, work)
        return work.steps[key]


@dataclass(frozen=True, kw_only=True)
class _Depthwise(CostlyLayer):
    """A depthwise convolution.

    Attributes
    ----------
    tensor : int
        Key of :data:`Places`.
    channels : mapping
        By channel: steps more than it takes without weights beyond int8.
    """

    tensor: int
    channels: Mapping[int, int]

    def marked(self, tensor: int) -> tuple[list[int], list[int]]:
        # Those that need the same steps together.
        found = sorted(self.channels, key=lambda c: self.channels[c])
        return [], found if tensor == self.tensor else []

    def depending(self, tensor: int, channel: int, places: Places) -> Iterable[int]:
        if tensor == self.tensor and channel in self.channels:
            return [places[tensor].place[channel] // self.config.columns]
        return []

    def kind(self, block: int, places: Places, work: OrderWork) -> Hashable:
        columns = self.config.columns
        inside = places[self.tensor].at[block * columns : (block + 1) * columns]
        work.left -= 2
        return max((self.channels.get(channel, 0) for channel in inside), default=0) or None

    def extra(self, kind: Hashable, work: OrderWork) -> int:
        assert isinstance(kind, int)
        return kind


def _steps(
    words: int, again: Mapping[int, int], few: bool, config: CoreConfig, work: Budget
) -> int:
    """Return the steps that a window of so many words takes, some words of them twice."""
    columns = config.columns
    read = contiguous_read(words, again, columns, work) if again else plain_read(words, columns)
    if fits(read, config):
        return read.steps
    parts = read_in_parts(words, again, config, work) if few else None
    return IMPOSSIBLE if parts is None else parts.steps * parts.parts


def may_be_beyond(site: Site) -> bool:
    """Whether an operator can have weights beyond int8 on the device."""
    if not isinstance(site, WeightedSite):
        return False
    # Multipliers of 1 and more become larger weights.
    return bool(beyond_int8(site.weights).any() or np.any(site.reference.shift >= 0))


def costly_layers(ctx: Context, leaders: Mapping[Place, Place]) -> Iterator[CostlyLayer]:
    """Yield the layers with weights beyond int8 whose cost depends on orders."""
    for op in ctx.part.device:
        site = ctx.site(op)
        # A layer that cannot be encoded is refused when it is lowered.
        with suppress(UnsupportedError):
            if isinstance(site, WeightedSite):
                make = _depthwise if isinstance(op, ir.DepthwiseConv2D) else _product
                yield from make(ctx, site, leaders)


def _product(
    ctx: Context, site: WeightedSite, leaders: Mapping[Place, Place]
) -> Iterator[CostlyLayer]:
    op, y, weights = site.op, site.output_tensor, site.coded_weights
    channels, columns = site.view.channels, ctx.config.columns
    pixels = weights.shape[1] // channels
    if isinstance(op, ir.Conv2D) and (pixels, op.stride, op.padding) != (1, (1, 1), ir.NO_PADDING):
        return
    by_row: dict[int, list[tuple[int, int]]] = defaultdict(list)
    by_channel: dict[int, list[int]] = defaultdict(list)
    for row, tap in np.argwhere(beyond_int8(weights)).tolist():
        by_row[row].append(divmod(tap, channels))
        by_channel[tap % channels].append(row)
    if by_row:
        yield _Product(
            read=leaders[site.view.place],
            written=leaders[Place(y.index)],
            by_row=dict(by_row),
            by_channel=dict(by_channel),
            words=-(-channels // columns),
            pixels=pixels,
            blocks=-(-y.shape[-1] // columns),
            windows=y.size // y.shape[-1],
            config=ctx.config,
        )


def _depthwise(
    ctx: Context, site: WeightedSite, leaders: Mapping[Place, Place]
) -> Iterator[CostlyLayer]:
    op, y = site.op, site.output_tensor
    assert isinstance(op, ir.DepthwiseConv2D)
    if not supports(op, site.kernel):
        return
    weights = site.coded_weights
    mode = Mode.DEPTHWISE if op.stride[1] == 1 else Mode.DEPTHWISE_STRIDE2
    odd = mode == Mode.DEPTHWISE_STRIDE2 and op.padding[1][0] == 1
    extra = {}
    for channel in np.flatnonzero(beyond_int8(weights).any(axis=1)).tolist():
        placed = place_weights(mode, odd, weights[channel : channel + 1])
        if placed is None:
            return
        if len(placed) > minimum_steps(mode):
            extra[channel] = len(placed) - minimum_steps(mode)
    if extra:
        yield _Depthwise(
            tensor=leaders[site.view.place],
            channels=extra,
            blocks=-(-len(weights) // ctx.config.columns),
            windows=y.shape[1] * -(-site.view.tensor.shape[2] // op.stride[1]),
            config=ctx.config,
        )
