"""Order of channels in memory, chosen so that weights beyond int8 cost little.

Weights of a network quantised per tensor are integers of 9 bits once their zero point is
subtracted.  The few of a layer that are beyond int8 take steps of their own
(:mod:`sw.compiler.lowering.order_costs`).  Where channels lie is free as long as all layers agree
on it, so they are put where second visits are cheap: inputs where turns overlap
(:mod:`sw.compiler.lowering.reading_order`), outputs with such weights into few blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sw.compiler.graph.channels import Channels, fixed, tied
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.order_costs import (
    CostlyLayer,
    Order,
    OrderWork,
    Places,
    costly_layers,
    may_be_beyond,
)
from sw.compiler.program.tensors import Place

__all__ = ["order_channels"]

WORK = 5_000_000
"""What the search may do: some seconds.  Tensors have equal parts of it."""

ROUNDS = 2
"""A layer depends on two orders: what was best for one may change with the other."""

LITTLE = 1000
"""Cycles around a tensor that are not worth further trials."""

FEW = 100
"""Weights beyond int8 in the layers around a tensor up to which its channels are moved one by one.

With many it matters little what lies where.
"""


def handy_words(words: int) -> list[int]:
    """Return the words whose first channels a second visit costs least, best first.

    Those where two turns meet, then three, then four.
    """
    places = [turn * words // turns for turns in (2, 3, 4) for turn in range(1, turns)]
    near = [place + d for place in places for d in (0, -1)]
    return list(dict.fromkeys(w for w in (*near, 0, words - 1) if 0 <= w < words))


def order_channels(ctx: Context) -> dict[Place, Channels]:
    """Return which channels are stored, in the cheapest order that was found.

    Parameters
    ----------
    ctx : Context
        Its ``channels`` are what is stored of some tensors already.

    Returns
    -------
    dict
        ``ctx.channels`` in a new order, besides tensors that have all channels in a new order.
        Networks without weights beyond int8 are left as they are.
    """
    stored, columns = ctx.part, ctx.config.columns
    result = dict(ctx.channels)
    if not any(may_be_beyond(ctx.site(op)) for op in stored.device):
        return result
    leaders = tied(stored)
    layers = list(costly_layers(ctx, leaders))
    shapes = {index: stored.graph.tensors[index].shape for index in leaders}
    sizes = {index: shape[-1] if shape else 1 for index, shape in shapes.items()}
    stay = {leaders[index] for index in fixed(stored) & set(leaders)}
    # What does not agree is refused when it is lowered.
    stay |= {leader for index, leader in leaders.items() if sizes[index] != sizes[leader]}
    places: Places = {leader: Order(sizes[leader]) for leader in leaders.values()}
    touching = {
        leader: [layer for layer in layers if any(layer.marked(leader))] for leader in places
    }
    turns = [leader for leader in places if touching[leader] and leader not in stay] * ROUNDS
    work = OrderWork(left=0)
    for leader in turns:
        # What one does not need is left to the next ones.
        work.left += WORK // len(turns)
        if work.left > 0:
            _improve(places, leader, touching[leader], columns, work)
    for index, leader in leaders.items():
        order = places[leader].at
        if order == sorted(order):
            continue
        whole = ctx.source.tensors[index].shape[-1]
        known = result.get(index, Channels(kept=tuple(range(whole)), values=(0,) * whole))
        kept = tuple(known.kept[position] for position in order)
        result[index] = Channels(kept=kept, values=known.values)
    return result


def _improve(
    places: Places, leader: int, layers: list[CostlyLayer], columns: int, work: OrderWork
) -> None:
    """Find better places for the channels of one tensor and those tied to it."""

    def cost() -> int:
        return sum(layer.cost(layer.kinds(places, work), work) for layer in layers)

    best, least = places[leader], cost()
    for trial in _starts(best, leader, layers, columns):
        if work.left <= 0:
            break
        places[leader] = trial
        if (price := cost()) < least:
            best, least = trial, price
    places[leader] = best
    marks = [layer.marked(leader) for layer in layers]
    if sum(max(len(read), len(written)) for read, written in marks) > FEW:
        return
    read, written = _marked(leader, layers)
    movers = list(dict.fromkeys(read + written))
    moves = _Moves(places, leader, layers, work)
    improved = True
    while improved and least > LITTLE:
        improved = False
        for channel in movers:
            for position in _spots(best, movers, columns):
                if work.left <= 0:
                    return
                if (gain := moves.gain(channel, position)) > 0:
                    least, improved = least - gain, True


class _Moves:
    """Moves of one channel at a time, of which only what they change is computed."""

    def __init__(
        self, places: Places, leader: int, layers: list[CostlyLayer], work: OrderWork
    ) -> None:
        self.places, self.leader, self.work = places, leader, work
        self.layers = [(layer, layer.kinds(places, work)) for layer in layers]

    def gain(self, channel: int, position: int) -> int:
        """Move a channel if that saves cycles; return how many."""
        order = self.places[self.leader]
        moved = channel, order.at[position]
        self.work.left -= 3
        before = [self._depending(layer, moved) for layer, _ in self.layers]
        back = order.move(channel, position)
        gain, changed = 0, []
        for (layer, kinds), blocks in zip(self.layers, before, strict=True):
            blocks |= self._depending(layer, moved)
            if not blocks:
                continue
            kept = {block: kinds.get(block) for block in blocks}
            gain += layer.part_of_cost(kinds, blocks, self.work)
            for block in blocks:
                kinds[block] = layer.kind(block, self.places, self.work)
            gain -= layer.part_of_cost(kinds, blocks, self.work)
            changed.append((kinds, kept))
        if gain <= 0:
            order.move(channel, back)
            for kinds, kept in changed:
                kinds.update(kept)
        return max(gain, 0)

    def _depending(self, layer: CostlyLayer, channels: Iterable[int]) -> set[int]:
        return {
            block
            for channel in channels
            for block in layer.depending(self.leader, channel, self.places)
        }


def _marked(leader: int, layers: list[CostlyLayer]) -> tuple[list[int], list[int]]:
    """Return the channels with weights beyond int8, read and written: most layers first."""
    result = []
    for side in range(2):
        found = [c for layer in layers for c in layer.marked(leader)[side]]
        result.append(sorted(dict.fromkeys(found), key=lambda c: -found.count(c)))
    return result[0], result[1]


def _starts(
    order: Order, leader: int, layers: list[CostlyLayer], columns: int
) -> Iterator[Order]:
    """Yield orders with all channels that matter together, to begin a search with."""
    read, written = _marked(leader, layers)
    words = -(-len(order.place) // columns)
    handy = handy_words(words)
    whole = [word * columns + c for word in handy for c in range(columns)]
    lanes = [word * columns + c for c in range(columns) for word in handy]
    for sequence in (range(len(order.place)), whole, lanes):
        for movers in (read + written, written + read, read):
            trial = order.copy()
            inside = (position for position in sequence if position < len(order.place))
            # Channels have positions in turn; each is moved once.
            for channel, position in zip(dict.fromkeys(movers), inside, strict=False):
                trial.move(channel, position)
            yield trial


def _spots(order: Order, movers: list[int], columns: int) -> list[int]:
    """Return the positions worth a trial: cheap ones, those of other such channels, and beside."""
    words = -(-len(order.place) // columns)
    handy = handy_words(words)
    found = [word * columns for word in handy]
    found += [word * columns + c for word in handy[:2] for c in range(1, columns)]
    taken = {order.place[channel] for channel in movers}
    found += sorted(taken)
    for word in sorted({position // columns for position in taken}):
        free = set(range(word * columns, (word + 1) * columns)) - taken
        found += sorted(free)[-1:]
    return [position for position in dict.fromkeys(found) if position < len(order.place)]
