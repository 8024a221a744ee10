"""Order of channels in memory, chosen so that weights beyond int8 cost little.

Weights of a network quantised per tensor are integers of 9 bits once their zero point is
subtracted.  The few of a layer that are beyond int8 are split over two visits of their input,
which costs every window of the whole block of outputs some steps.  Where channels lie is free as
long as all layers agree on it, so they are put where second visits are cheap: inputs where turns
overlap (:mod:`sw.compiler.turns`), outputs with such weights into few blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hw.command import Mode, minimum_steps
from hw.config import CoreConfig
from sw import golden, ir
from sw.compiler.constants import Channels, fixed, rewrite, tied
from sw.compiler.context import Context, Ints
from sw.compiler.depthwise import place, supports
from sw.compiler.partition import Partition, Place
from sw.compiler.serial import PIXELS_IN_PARTS
from sw.compiler.turns import contiguous_read, fits, plain_read, read_in_parts
from sw.errors import UnsupportedError

__all__ = ["order_channels"]

Places = dict[int, npt.NDArray[np.int_]]
"""By the tensor that stands for tied ones: in which position each channel is stored."""

COMMAND_CYCLES = 44
"""About what a descriptor more costs, which neighbouring blocks need that are read differently."""

IMPOSSIBLE = 1 << 20
"""Steps of what the core cannot run: more than anything it can takes."""

LITTLE = 1000
"""Cycles around a tensor that are not worth further trials."""

FEW = 100
"""Weights beyond int8 in the layers around a tensor up to which its channels are moved one by one.

With many it matters little what lies where.
"""


@dataclass(frozen=True, kw_only=True)
class _Product:
    """A 1×1 convolution or fully connected layer with weights beyond int8.

    Attributes
    ----------
    read, written : int
        Keys of :data:`Places`.
    beyond : tuple of (row, pixel, channel)
        Its weights beyond int8.
    rows, pixels, channels : int
        Outputs, and inputs of a window: pixels × channels.
    windows : int
    config : CoreConfig
    """

    read: int
    written: int
    beyond: tuple[tuple[int, int, int], ...]
    rows: int
    pixels: int
    channels: int
    windows: int
    config: CoreConfig

    def cost(self, places: Places) -> int:
        """Return the cycles that it takes more than without weights beyond int8."""
        read, written = places[self.read], places[self.written]
        columns = self.config.columns
        words = -(-self.channels // columns)
        blocks: dict[int, dict[int, int]] = {}
        for row, pixel, channel in self.beyond:
            again = blocks.setdefault(int(written[row]) // columns, {})
            word, byte = divmod(int(read[channel]), columns)
            word += pixel * words
            again[word] = max(again.get(word, 0), byte // 2 + 1)
        kinds = {block: tuple(sorted(again.items())) for block, again in blocks.items()}
        words *= self.pixels
        plain = _steps(words, (), self.windows, self.config)
        total = 0
        for kind in kinds.values():
            total += (_steps(words, kind, self.windows, self.config) - plain) * self.windows
        return total + _switches(kinds, -(-self.rows // columns)) * COMMAND_CYCLES

    def marked(self, tensor: int) -> tuple[list[int], list[int]]:
        """Return the channels of a tensor with weights beyond int8, read and written."""
        read = [channel for _, _, channel in self.beyond] if tensor == self.read else []
        written = [row for row, _, _ in self.beyond] if tensor == self.written else []
        return read, written


@dataclass(frozen=True, kw_only=True)
class _Depthwise:
    """A depthwise convolution with weights beyond int8.

    Attributes
    ----------
    tensor : int
        Key of :data:`Places`.
    extra : dict
        By channel: steps more than it takes without weights beyond int8.
    channels, windows, columns : int
    """

    tensor: int
    extra: Mapping[int, int]
    channels: int
    windows: int
    columns: int

    def cost(self, places: Places) -> int:
        """Return the cycles that it takes more than without weights beyond int8."""
        blocks: dict[int, int] = {}
        for channel, extra in self.extra.items():
            block = int(places[self.tensor][channel]) // self.columns
            blocks[block] = max(blocks.get(block, 0), extra)
        switches = _switches(blocks, -(-self.channels // self.columns))
        return sum(blocks.values()) * self.windows + switches * COMMAND_CYCLES

    def marked(self, tensor: int) -> tuple[list[int], list[int]]:
        """Return the channels of a tensor with weights beyond int8, read and written."""
        # Those that need the same steps together.
        return [], sorted(self.extra, key=lambda c: self.extra[c]) if tensor == self.tensor else []


_Layer = _Product | _Depthwise


@lru_cache(maxsize=1 << 16)
def _steps(words: int, again: tuple[tuple[int, int], ...], windows: int, config: CoreConfig) -> int:
    """Return the steps that a window of so many words takes, some words of them twice."""
    columns = config.columns
    read = contiguous_read(words, dict(again), columns) if again else plain_read(words, columns)
    if read is not None and fits(read, config):
        return read.steps
    parts = read_in_parts(words, dict(again), config) if windows <= PIXELS_IN_PARTS else None
    return IMPOSSIBLE if parts is None else parts.steps * parts.parts


def handy_words(words: int) -> list[int]:
    """Return the words whose first channels a second visit costs least, best first.

    Those where two turns meet, then three, then four.
    """
    places = [turn * words // turns for turns in (2, 3, 4) for turn in range(1, turns)]
    near = [place + d for place in places for d in (0, -1)]
    return list(dict.fromkeys(w for w in (*near, 0, words - 1) if 0 <= w < words))


def _switches(kinds: Mapping[int, object], blocks: int) -> int:
    """Return between how many neighbouring blocks the kind changes; most are of no kind."""
    before = sum(b > 0 and kinds.get(b - 1) != kind for b, kind in kinds.items())
    return before + sum(b + 1 < blocks and b + 1 not in kinds for b in kinds)


def order_channels(
    part: Partition, channels: Mapping[Place, Channels], config: CoreConfig
) -> dict[Place, Channels]:
    """Return which channels are stored, in the cheapest order that was found.

    Parameters
    ----------
    part : Partition
        Of the network with all its channels.
    channels : mapping
        What is stored of some tensors already.
    config : CoreConfig

    Returns
    -------
    dict
        ``channels`` in a new order, besides tensors that have all channels in a new order.
        Networks without weights beyond int8 are left as they are.
    """
    stored = rewrite(part, channels)
    result = dict(channels)
    if not any(_may_be_beyond(stored, op) for op in stored.device):
        return result
    leaders = tied(stored)
    layers = list(_layers(stored, leaders, config))
    shapes = {index: stored.graph.tensors[index].shape for index in leaders}
    sizes = {index: shape[-1] if shape else 1 for index, shape in shapes.items()}
    stay = {leaders[index] for index in fixed(stored) & set(leaders)}
    # What does not agree is refused when it is lowered.
    stay |= {leader for index, leader in leaders.items() if sizes[index] != sizes[leader]}
    places: Places = {leader: np.arange(sizes[leader]) for leader in leaders.values()}
    # A layer depends on two orders: what was best for one may change with the other.
    for _ in range(2):
        for leader in places:
            touching = [layer for layer in layers if any(layer.marked(leader))]
            if touching and leader not in stay:
                _improve(places, leader, touching, config.columns)
    for index, leader in leaders.items():
        order = np.argsort(places[leader]).tolist()
        if order == sorted(order):
            continue
        whole = part.graph.tensors[index].shape[-1]
        known = result.get(index, Channels(kept=tuple(range(whole)), values=(0,) * whole))
        kept = tuple(known.kept[position] for position in order)
        result[index] = Channels(kept=kept, values=known.values)
    return result


def _improve(places: Places, leader: int, layers: list[_Layer], columns: int) -> None:
    """Find better places for the channels of one tensor and those tied to it."""

    def cost(trial: npt.NDArray[np.int_]) -> int:
        return sum(layer.cost({**places, leader: trial}) for layer in layers)

    best, least = places[leader], cost(places[leader])
    for trial in _starts(best, leader, layers, columns):
        if (price := cost(trial)) < least:
            best, least = trial, price
    read, written = _marked(leader, layers)
    movers = list(dict.fromkeys(read + written))
    marks = [layer.marked(leader) for layer in layers]
    improved = sum(max(len(read), len(written)) for read, written in marks) <= FEW
    while improved and least > LITTLE:
        improved = False
        for channel in movers:
            for position in _spots(best, movers, columns):
                trial = _swapped(best, channel, position)
                if (price := cost(trial)) < least:
                    best, least, improved = trial, price, True
    places[leader] = best


def _swapped(places: npt.NDArray[np.int_], channel: int, position: int) -> npt.NDArray[np.int_]:
    """Return places with a channel in a position, and what was there where the channel was."""
    result = places.copy()
    other = int(np.flatnonzero(places == position)[0])
    result[channel], result[other] = position, places[channel]
    return result


def _marked(leader: int, layers: list[_Layer]) -> tuple[list[int], list[int]]:
    """Return the channels with weights beyond int8, read and written: most layers first."""
    result = []
    for side in range(2):
        found = [c for layer in layers for c in layer.marked(leader)[side]]
        result.append(sorted(dict.fromkeys(found), key=lambda c: -found.count(c)))
    return result[0], result[1]


def _starts(
    places: npt.NDArray[np.int_], leader: int, layers: list[_Layer], columns: int
) -> Iterator[npt.NDArray[np.int_]]:
    """Yield places with all channels that matter together, to begin a search with."""
    read, written = _marked(leader, layers)
    words = -(-len(places) // columns)
    handy = handy_words(words)
    whole = [word * columns + c for word in handy for c in range(columns)]
    lanes = [word * columns + c for c in range(columns) for word in handy]
    for sequence in (range(len(places)), whole, lanes):
        for movers in (read + written, written + read, read):
            trial = places.copy()
            inside = (position for position in sequence if position < len(places))
            # Channels have positions in turn; each is moved once.
            for channel, position in zip(dict.fromkeys(movers), inside, strict=False):
                trial = _swapped(trial, channel, position)
            yield trial


def _spots(places: npt.NDArray[np.int_], movers: list[int], columns: int) -> Iterable[int]:
    """Return the positions worth a trial: cheap ones, those of other such channels, and beside."""
    words = -(-len(places) // columns)
    handy = handy_words(words)
    found = [word * columns for word in handy]
    found += [word * columns + c for word in handy[:2] for c in range(1, columns)]
    taken = set(places[movers].tolist())
    found += sorted(taken)
    for word in sorted({position // columns for position in taken}):
        free = set(range(word * columns, (word + 1) * columns)) - taken
        found += sorted(free)[-1:]
    return [position for position in dict.fromkeys(found) if position < len(places)]


def _may_be_beyond(part: Partition, op: ir.Operator) -> bool:
    """Whether an operator can have weights beyond int8 on the device."""
    if not isinstance(op, ir.Conv2D | ir.DepthwiseConv2D | ir.FullyConnected):
        return False
    tensor = part.graph.tensors[op.weights]
    weights = np.asarray(tensor.data, np.int64) - tensor.q.zero_point
    # Multipliers of 1 and more become larger weights.
    _, shift = golden.requantize_params(part.graph, op)
    return bool(np.any(_beyond(weights)) or np.any(shift >= 0))


def _beyond(weights: Ints) -> npt.NDArray[np.bool_]:
    return np.asarray((weights < -128) | (weights > 127), np.bool_)


def _layers(
    part: Partition, leaders: Mapping[Place, Place], config: CoreConfig
) -> Iterator[_Layer]:
    """Yield the layers with weights beyond int8 whose cost depends on orders."""
    ctx = Context(part=part, config=config, source=part.graph)
    for op in part.device:
        # A layer that cannot be encoded is refused when it is lowered.
        with suppress(UnsupportedError):
            if isinstance(op, ir.DepthwiseConv2D):
                yield from _depthwise(ctx, op, leaders)
            elif isinstance(op, ir.Conv2D | ir.FullyConnected):
                yield from _product(ctx, op, leaders)


def _product(
    ctx: Context, op: ir.Conv2D | ir.FullyConnected, leaders: Mapping[Place, Place]
) -> Iterator[_Layer]:
    view, y = ctx.view(op.input), ctx.graph.tensors[op.output]
    weights = ctx.weights(op).reshape(y.shape[-1], -1)
    channels = view.channels
    if weights.shape[1] % channels:
        return
    pixels = weights.shape[1] // channels
    factor = ctx.factors(op, weights, np.tile(ctx.range_of(op.input), (1, pixels))[:, None, :])
    if isinstance(op, ir.Conv2D) and (pixels, op.stride, op.padding) != (1, (1, 1), ir.NO_PADDING):
        return
    beyond = np.argwhere(_beyond(weights * factor[:, None]))
    if len(beyond):
        yield _Product(
            read=leaders[view.place],
            written=leaders[Place(y.index)],
            beyond=tuple((int(r), int(k) // channels, int(k) % channels) for r, k in beyond),
            rows=y.shape[-1],
            pixels=pixels,
            channels=channels,
            windows=y.size // y.shape[-1],
            config=ctx.config,
        )


def _depthwise(
    ctx: Context, op: ir.DepthwiseConv2D, leaders: Mapping[Place, Place]
) -> Iterator[_Layer]:
    view, y = ctx.view(op.input), ctx.graph.tensors[op.output]
    raw = ctx.weights(op)[0]
    if supports(op, raw.shape[:2]) is not None:
        return
    weights = raw.reshape(9, -1).T
    factor = ctx.factors(op, weights, ctx.range_of(op.input)[:, :, None])
    weights = weights * factor[:, None]
    mode = Mode.DEPTHWISE if op.stride[0] == 1 else Mode.DEPTHWISE2
    odd = mode == Mode.DEPTHWISE2 and op.padding[1][0] == 1
    extra = {}
    for channel in np.flatnonzero(_beyond(weights).any(axis=1)).tolist():
        placed = place(mode, odd, weights[channel : channel + 1])
        if placed is None:
            return
        if len(placed) > minimum_steps(mode):
            extra[channel] = len(placed) - minimum_steps(mode)
    if extra:
        yield _Depthwise(
            tensor=leaders[view.place],
            extra=extra,
            channels=len(weights),
            windows=y.shape[1] * -(-view.tensor.shape[2] // op.stride[1]),
            columns=ctx.config.columns,
        )
