"""From a graph to a program: passes, lowering, memory, encoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache

from hw.config import CoreConfig
from hw.sections import seal
from sw import ir
from sw.compiler import encode, passes
from sw.compiler.arrange import Arrangement, Arranger
from sw.compiler.chunks import InputChunk
from sw.compiler.constants import removable, rewrite
from sw.compiler.context import Context, Ints
from sw.compiler.crop import Band, crop
from sw.compiler.cycles import Work, predict
from sw.compiler.emit import Item, in_chunks, order, place
from sw.compiler.inputs import InputLayout, dense
from sw.compiler.layers import Layer
from sw.compiler.lower import first_layer_options, lower
from sw.compiler.overlap import Overlap, find, first_rows_early
from sw.compiler.partition import Partition, Place, activations, partition, subgraph, zero_point
from sw.compiler.permute import order_channels
from sw.compiler.program import DeviceTensor, Program, ProgramLayer
from sw.errors import GraphError, SeparableError, UnsupportedError

__all__ = ["FLASH_ADDRESS", "REMOVE_CONSTANT_CHANNELS", "compile_graph", "compile_layer"]

Ranges = dict[Place, Ints]

FLASH_ADDRESS = 1 << 20
"""Byte address of a program unless the board says otherwise: well behind its configuration."""

REMOVE_CONSTANT_CHANNELS = False
"""Whether constant channels are left out unless the caller says otherwise."""

STREAM_SLOTS = (32, 16, 8)
"""Rows of a streamed input that memory holds: the most that fit."""


def compile_graph(
    graph: ir.Graph,
    config: CoreConfig,
    *,
    board: str = "",
    flash_address: int = FLASH_ADDRESS,
    dense_input: bool = False,
    remove_constant_channels: bool = REMOVE_CONSTANT_CHANNELS,
    compact_input: bool = False,
) -> Program:
    """Compile a network.

    Parameters
    ----------
    graph : Graph
    config : CoreConfig
        The core to compile for.
    board : str
        For the program's records.
    flash_address : int
        Byte address of the program in the flash.
    dense_input : bool
        Lay the input out like every other tensor, even if the first layer would like another
        layout better.
    remove_constant_channels : bool
        Leave out channels that are proven to have one value whatever the input; utilisation,
        which counts them, may exceed 1 then.
    compact_input : bool
        Choose the layout of the input with the fewest bytes that the host has to send for each
        inference, not the one with the fewest cycles; and, if memory is large enough, give inputs
        and outputs places for themselves, so that the next input can be written and the last
        output be read while the core runs.

    Raises
    ------
    UnsupportedError
        If the core cannot run the network: operator, tensor, rule and remedy.
    """
    try:
        ctx = _context(partition(passes.run(graph)), config, remove_constant_channels)
        return _compile(ctx, graph, board, flash_address, dense_input, compact_input)
    except GraphError:
        raise
    except SeparableError as error:
        raise type(error)(f"{graph.name}: {error}") from None


def _context(part: Partition, config: CoreConfig, remove: bool) -> Context:
    """Return what lowering starts from: with or without constant channels, and these in order."""
    channels = removable(part, _ranges(part, config)) if remove else {}
    channels = order_channels(part, channels, config)
    stored = rewrite(part, channels)
    return Context(part=stored, config=config, source=part.graph, channels=channels)


def _ranges(part: Partition, config: CoreConfig) -> Ranges:
    """Return what operators tell about the ranges of their outputs."""
    ctx = Context(part=part, config=config, source=part.graph)
    for op in part.device:
        # Layers that cannot be compiled tell nothing; that need not keep others from it.
        with suppress(UnsupportedError):
            if not first_layer_options(ctx, op):
                lower(ctx, op)
    return ctx.ranges


def compile_layer(
    graph: ir.Graph,
    op_index: int,
    config: CoreConfig,
    *,
    board: str = "",
    remove_constant_channels: bool = REMOVE_CONSTANT_CHANNELS,
    band: Band | None = None,
) -> Program:
    """Compile one operator of a network, with its input as the device has it at that point.

    Parameters
    ----------
    graph : Graph
    op_index : int
        Position in ``graph.ops``.
    config : CoreConfig
    board : str
    remove_constant_channels : bool
        As for :func:`compile_graph`.
    band : Band, optional
        The rows to compile; see :func:`sw.compiler.crop.band_of`.

    Returns
    -------
    Program
        Its inputs are the operator's operands (the tensor before a PAD that is folded into it),
        or the band's rows of them.

    Raises
    ------
    UnsupportedError
        If the operator is not one of the device's, or has no such bands.
    """
    name = graph.ops[op_index].name
    whole = _whole(graph, config, remove_constant_channels)
    op = next((op for op in whole.part.device if op.name == name), None)
    if op is None:
        raise UnsupportedError(
            f"{graph.name}: operator {name!r} ({graph.ops[op_index].kind}) is not a layer of the "
            "device: the host runs it, or it is part of a neighbour"
        )
    inner = not all(whole.part.place(index) in whole.part.inputs for index in activations(op))
    part, source = _alone(whole.part, op), whole.source
    if band is not None:
        part, source = crop(part, source, band)
    ctx = replace(whole, part=part, source=source, ranges=dict(whole.ranges))
    names = {o.name for o in part.graph.ops}
    network = subgraph(
        source,
        tuple(o for o in source.ops if o.name in names),
        part.graph.inputs,
        part.graph.outputs,
    )
    return _compile(ctx, network, board, FLASH_ADDRESS, inner)


# All layers of a network are compiled with what is known about the whole of it.
@lru_cache(maxsize=1)
def _whole(graph: ir.Graph, config: CoreConfig, remove: bool) -> Context:
    """Return the context of a network, with the ranges of all its tensors."""
    ctx = _context(partition(passes.run(graph)), config, remove)
    return replace(ctx, ranges=_ranges(ctx.part, config))


def _alone(whole: Partition, op: ir.Operator) -> Partition:
    """Return one operator as a network whose inputs are the tensors that are in memory."""
    operands = activations(op)
    inputs = tuple(dict.fromkeys(whole.place(i) for i in operands))
    # What lies between the stored tensor and the operand moves nothing in memory.
    between: list[ir.Operator] = []
    wanted = set(operands) - set(inputs)
    for earlier in reversed(whole.graph.ops):
        if earlier.output in wanted:
            between.insert(0, earlier)
            wanted |= set(earlier.inputs) - set(inputs)
    return Partition(
        graph=subgraph(whole.graph, (*between, op), inputs, (op.output,)),
        prefix=(),
        device=(op,),
        suffix=(),
        inputs=inputs,
        outputs=(Place(op.output),),
        aliases={o.output: whole.place(o.output) for o in between},
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Choice:
    """One way to lay out the inputs, with all that follows from it."""

    layouts: dict[Place, InputLayout]
    layers: list[Layer]
    arrangement: Arrangement
    items: list[Item]
    work: list[Work]
    chunks: list[InputChunk]
    pinned: bool = False
    overlap: Overlap | None = None

    def cycles(self, config: CoreConfig) -> int:
        """Predict the cycles of the whole program."""
        return sum(predict(self.work, self.arrangement.memory.ring_words, config))

    def sent_words(self) -> int:
        """Return the words that the host has to send for each inference."""
        if not self.pinned:
            return sum(layout.words for layout in self.layouts.values())
        return sum(count for layout in self.layouts.values() for _, count in layout.runs)

    def spares(self, other: _Choice) -> bool:
        """Whether another one need not be tried: it takes more, steps or memory, and saves neither.

        Memory counts at any time: what tensors leave is the ring, which lets the flash run ahead.
        """
        mine, its = self.arrangement.memory.tops, other.arrangement.memory.tops
        if len(mine) != len(its):
            return False
        pairs = [(self.steps, other.steps), *zip(mine, its, strict=True)]
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)

    @property
    def steps(self) -> int:
        """Cycles that the array needs."""
        return sum(layer.steps for layer in self.layers)


def _compile(
    ctx: Context,
    network: ir.Graph,
    board: str,
    flash_address: int,
    dense_input: bool,
    compact_input: bool = False,
) -> Program:
    part, config = ctx.part, ctx.config
    layers: list[Layer] = []
    options: list[tuple[InputLayout, Layer]] = []
    for op in part.device:
        found = [] if dense_input else first_layer_options(ctx, op)
        if found:
            options = found
            layers.append(found[0][1])
        else:
            layers.append(lower(ctx, op))
    choice = _choose(ctx, layers, options, compact_input)
    memory = choice.arrangement.memory
    words, sizes = encode.stream(
        [(w.descriptor, i.command.blocks) for w, i in zip(choice.work, choice.items, strict=True)],
        config.word_bytes,
    )
    layer_words = [0] * len(layers)
    for item, size in zip(choice.items, sizes, strict=True):
        layer_words[item.layer] += size
    source = ctx.source
    return Program(
        model=source.name,
        board=board,
        network=network,
        config=config,
        flash=seal(words.tobytes()),
        flash_address=flash_address,
        ring=memory.ring,
        inputs=tuple(
            (memory.addresses[index], choice.layouts[index]) for index in part.inputs
        ),
        outputs=part.outputs,
        tensors={
            # A guest of another tensor has no place of its own.
            layer.output: _device_tensor(ctx, layer.output, memory.addresses.get(layer.output, 0))
            for layer in layers
        },
        layers=tuple(
            ProgramLayer(
                name=layer.name,
                kind=layer.kind,
                macs=layer.macs,
                output=layer.output,
                words=size,
            )
            for layer, size in zip(choice.layers, layer_words, strict=True)
        ),
        work=tuple(choice.work),
        prefix=subgraph(source, part.prefix, part.graph.inputs, part.inputs),
        suffix=_suffix(ctx),
        aliases=dict(part.aliases),
        chunks=tuple(choice.chunks),
        pinned=choice.pinned,
        overlap=choice.overlap,
    )


def _device_tensor(ctx: Context, index: Place, address: int) -> DeviceTensor:
    tensor, channels = ctx.source.tensors[index], ctx.channels.get(index)
    return DeviceTensor(
        index=index,
        name=tensor.name,
        address=address,
        shape=tensor.shape,
        dtype=tensor.dtype,
        columns=ctx.config.columns,
        kept=None if channels is None else channels.kept,
        constants=() if channels is None else channels.values,
    )


def _suffix(ctx: Context) -> ir.Graph:
    """Return the host's part behind the device: from what it reads to the network's outputs."""
    suffix, outputs = ctx.part.suffix, ctx.part.graph.outputs
    made = {op.output for op in suffix}
    read = dict.fromkeys(
        i
        for i in (*(i for op in suffix for i in op.inputs), *outputs)
        if i not in made and not ctx.source.tensors[i].is_constant
    )
    return subgraph(ctx.source, suffix, tuple(read), outputs)


def _choose(
    ctx: Context,
    layers: list[Layer],
    options: Sequence[tuple[InputLayout, Layer]],
    compact: bool,
) -> _Choice:
    """Try every layout of the input and keep the fastest that fits, or the most compact one.

    A layout that takes fewer steps takes more memory, hence leaves a smaller ring, which can cost
    more than it saves: so whole networks are compared, but for those that take more of both than
    another.  If none fits, the host writes the rows of the input while the first layers run.
    """
    layouts = {}
    for index in ctx.part.inputs:
        tensor, channels = ctx.source.tensors[index], ctx.channels.get(index)
        kept = None if channels is None else channels.kept
        layouts[index] = dense(tensor, zero_point(tensor), ctx.config.columns, kept)
    ways = [(layouts, layers)]
    if options:
        ways = [
            (
                layouts | {layout.tensor: layout},
                [first if layer.output == first.output else layer for layer in layers],
            )
            for layout, first in options
        ]
    if compact and (choices := [c for layout, way in ways for c in _pinned(ctx, way, layout)]):
        return min(choices, key=lambda choice: (choice.sent_words(), choice.cycles(ctx.config)))
    arrangers = [(Arranger(ctx, way, layout), layout, way) for layout, way in ways]
    choices = [
        _schedule(layout, way, found)
        for arranger, layout, way in arrangers
        if (found := arranger.find()) is not None
    ]
    if not choices:
        choices = [choice for layout, _ in options for choice in _streamed(ctx, ways, layout)]
    if not choices:
        # The most modest one tells what is missing.
        smallest = min(arrangers, key=lambda entry: sum(x.words for x in entry[1].values()))
        raise smallest[0].shortage()
    if compact:
        return min(choices, key=lambda choice: (choice.sent_words(), choice.cycles(ctx.config)))
    choices = [c for c in choices if not any(other.spares(c) for other in choices)]
    if len(choices) == 1:
        return choices[0]
    return min(choices, key=lambda choice: choice.cycles(ctx.config))


def _pinned(
    ctx: Context, layers: list[Layer], layouts: dict[Place, InputLayout]
) -> Iterator[_Choice]:
    """Yield the choice with places for inputs and outputs for the whole run, if it fits."""
    found = Arranger(ctx, layers, layouts, pinned=True).find()
    if found is None:
        return
    readers = [layer for layer in layers if not layouts.keys().isdisjoint(layer.inputs)]
    first = found.segments[0]
    if len(layouts) == 1 and len(readers) == 1 and not first.is_chain:
        (layout,) = layouts.values()
        early = first_rows_early(first.layers[0], layout, ctx.config)
        found = replace(found, segments=[replace(first, layers=(early,)), *found.segments[1:]])
        layers = [early if layer.output == early.output else layer for layer in layers]
    choice = _schedule(layouts, layers, found)
    memory = found.memory
    overlap = find(
        choice.items,
        choice.work,
        [(memory.addresses[index], layouts[index]) for index in ctx.part.inputs],
        ctx.part.outputs,
        memory.ring_words,
        ctx.config,
    )
    yield replace(choice, pinned=True, overlap=overlap)


def _streamed(
    ctx: Context, ways: Sequence[tuple[dict[Place, InputLayout], list[Layer]]], layout: InputLayout
) -> Iterator[_Choice]:
    """Yield the choice for a layout whose rows are written while the program runs, if it fits."""
    layouts, layers = next(way for way in ways if way[0][layout.tensor] is layout)
    rows = layout.words // layout.row_pitch
    if layout.words % layout.row_pitch:
        # There is something before or behind the rows.
        return
    for slots in STREAM_SLOTS:
        if slots >= rows or slots // 2 < max(layout.row_stride, layout.row_kernel):
            continue
        found = Arranger(ctx, layers, layouts, {layout.tensor: slots}).find()
        if found is not None:
            choice = _schedule(layouts, layers, found)
            chunks = in_chunks(
                choice.items,
                layers,
                layout,
                number=ctx.part.inputs.index(layout.tensor),
                address=found.memory.addresses[layout.tensor],
                slots=slots,
            )
            yield replace(choice, chunks=chunks)
            return


def _schedule(
    layouts: dict[Place, InputLayout], layers: list[Layer], arrangement: Arrangement
) -> _Choice:
    items = order(arrangement.segments, layers)
    return _Choice(
        layouts=layouts,
        layers=layers,
        arrangement=arrangement,
        items=items,
        work=place(items, layers, arrangement),
        chunks=[],
    )
