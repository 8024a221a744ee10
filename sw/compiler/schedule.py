"""From a graph to a program: passes, lowering, memory, encoding."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from hw.config import CoreConfig
from hw.memory.flash import FlashReader
from sw import ir
from sw.compiler import encode, passes
from sw.compiler.chains import Segment
from sw.compiler.constants import removable, remove_constants
from sw.compiler.context import Context, Ints
from sw.compiler.cycles import Work, predict
from sw.compiler.inputs import InputLayout, dense
from sw.compiler.layers import Command, Layer, Trail
from sw.compiler.lower import first_layer_options, lower
from sw.compiler.memory import Buffer, MemoryPlan, NoArrangement, plan
from sw.compiler.partition import Partition, partition, subgraph, zero_point
from sw.compiler.program import DeviceTensor, Program, ProgramLayer
from sw.compiler.segments import Division, Needs
from sw.errors import GraphError, SeparableError, UnsupportedError

__all__ = ["FLASH_ADDRESS", "REMOVE_CONSTANT_CHANNELS", "compile_graph", "compile_layer"]

Ranges = dict[int, Ints]

FLASH_ADDRESS = 1 << 20
"""Byte address of a program unless the board says otherwise: well behind its configuration."""

REMOVE_CONSTANT_CHANNELS = False
"""Whether constant channels are left out unless the caller says otherwise."""

RING_MINIMUM = 64
"""Words of ring below which the flash could not run ahead of the loader."""


def compile_graph(
    graph: ir.Graph,
    config: CoreConfig,
    *,
    board: str = "",
    flash_address: int = FLASH_ADDRESS,
    dense_input: bool = False,
    remove_constant_channels: bool = REMOVE_CONSTANT_CHANNELS,
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

    Raises
    ------
    UnsupportedError
        If the core cannot run the network: operator, tensor, rule and remedy.
    """
    try:
        ctx = _context(partition(passes.run(graph)), config, remove_constant_channels)
        return _compile(ctx, board, flash_address, dense_input)
    except GraphError:
        raise
    except SeparableError as error:
        raise type(error)(f"{graph.name}: {error}") from None


def _context(part: Partition, config: CoreConfig, remove: bool) -> Context:
    """Return what lowering starts from, with or without constant channels."""
    if not remove:
        return Context(part=part, config=config, source=part.graph)
    channels = removable(part, _ranges(part, config))
    smaller = remove_constants(part, channels) if channels else part
    return Context(part=smaller, config=config, source=part.graph, channels=channels)


def _ranges(part: Partition, config: CoreConfig, until: ir.Operator | None = None) -> Ranges:
    """Return what operators (or those before one) tell about the ranges of their outputs."""
    ctx = Context(part=part, config=config, source=part.graph)
    for op in part.device:
        if until is not None and op.name == until.name:
            break
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

    Returns
    -------
    Program
        Its inputs are the operator's operands (the tensor before a PAD that is folded into it).

    Raises
    ------
    UnsupportedError
        If the operator is not one of the device's.
    """
    name = graph.ops[op_index].name
    whole = _context(partition(passes.run(graph)), config, remove_constant_channels)
    op = next((op for op in whole.part.device if op.name == name), None)
    if op is None:
        raise UnsupportedError(
            f"{graph.name}: operator {name!r} ({graph.ops[op_index].kind}) is not a layer of the "
            "device: the host runs it, or it is part of a neighbour"
        )
    operands = op.inputs[:1] if isinstance(op, ir.WeightedOp) else op.inputs
    inner = not all(whole.stored(index).index in whole.part.inputs for index in operands)
    ctx = Context(
        part=_alone(whole.part, op),
        config=config,
        source=whole.source,
        channels=whole.channels,
        ranges=_ranges(whole.part, config, op),
    )
    return _compile(ctx, board, FLASH_ADDRESS, inner)


def _alone(whole: Partition, op: ir.Operator) -> Partition:
    """Return one operator as a network whose inputs are the tensors that are in memory."""
    operands = op.inputs[:1] if isinstance(op, ir.WeightedOp) else op.inputs
    inputs = tuple(dict.fromkeys(whole.stored(i) for i in operands))
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
        outputs=(op.output,),
        aliases={o.output: whole.stored(o.output) for o in between},
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Choice:
    """One way to lay out the inputs, with all that follows from it."""

    layouts: dict[int, InputLayout]
    layers: list[Layer]
    memory: MemoryPlan
    items: list[_Item]
    work: list[Work]
    cycles: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Item:
    """One descriptor in the order of execution."""

    layer: int
    segment: int
    command: Command
    row: int | None
    complete: bool


def _compile(ctx: Context, board: str, flash_address: int, dense_input: bool) -> Program:
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
    choice = _choose(ctx, layers, options)
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
        config=config,
        flash=words.tobytes(),
        flash_address=flash_address,
        ring=choice.memory.ring,
        inputs=tuple(
            (choice.memory.addresses[index], choice.layouts[index]) for index in part.inputs
        ),
        outputs=part.outputs,
        tensors={
            layer.output: _device_tensor(ctx, layer.output, choice.memory.addresses[layer.output])
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
    )


def _device_tensor(ctx: Context, index: int, address: int) -> DeviceTensor:
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
    ctx: Context, layers: list[Layer], options: Sequence[tuple[InputLayout, Layer]]
) -> _Choice:
    """Try every layout of the input and keep the fastest that fits.

    A layout that takes fewer steps takes more memory, hence leaves a smaller ring, which can cost
    more than it saves: so whole networks are compared.
    """
    layouts = {}
    for index in ctx.part.inputs:
        tensor, channels = ctx.source.tensors[index], ctx.channels.get(index)
        kept = None if channels is None else channels.kept
        layouts[index] = dense(tensor, zero_point(tensor), ctx.config.columns, kept)
    if not options:
        return _evaluate(ctx, layers, layouts)
    choices: list[_Choice] = []
    errors: list[tuple[int, UnsupportedError]] = []
    for layout, first in options:
        trial = [first if layer.output == first.output else layer for layer in layers]
        try:
            choices.append(_evaluate(ctx, trial, layouts | {layout.tensor: layout}))
        except UnsupportedError as error:
            errors.append((layout.words, error))
    if not choices:
        raise min(errors, key=lambda entry: entry[0])[1]
    return min(choices, key=lambda choice: choice.cycles)


def _evaluate(ctx: Context, layers: list[Layer], layouts: dict[int, InputLayout]) -> _Choice:
    """Divide the network, place its tensors, and predict how long it takes."""
    segments, memory = _arrange(ctx, layers, layouts)
    items = _items(segments, layers)
    work = [_work(item, segments, layers, memory, last=item is items[-1]) for item in items]
    cycles = sum(predict(work, memory.ring_words, ctx.config))
    return _Choice(
        layouts=layouts, layers=layers, memory=memory, items=items, work=work, cycles=cycles
    )


def _arrange(
    ctx: Context, layers: list[Layer], layouts: dict[int, InputLayout]
) -> tuple[list[Segment], MemoryPlan]:
    """Find a division into segments for which all tensors can be placed."""
    config = ctx.config
    needs = Needs(
        layers=layers,
        words={index: layout.words for index, layout in layouts.items()}
        | {layer.output: ctx.tensor_words(layer.output) for layer in layers},
        inputs=tuple(layouts),
        outputs=ctx.part.outputs,
    )
    division = Division(needs=needs, cycles_per_word=FlashReader.CYCLES_PER_HALFWORD * config.lanes)
    limit = config.memory_depth - RING_MINIMUM
    while (segments := division.best(limit)) is not None:
        buffers = _buffers(ctx, needs, segments)
        try:
            return segments, plan(buffers, config.memory_depth, RING_MINIMUM, config.word_bytes)
        except NoArrangement as error:
            # What fits on paper has gaps: try with less.
            limit -= error.excess
    needed = division.least(limit)
    fitting = division.best(needed)
    assert fitting is not None
    raise _shortage(ctx, division.largest(fitting), needed)


def _shortage(ctx: Context, segment: Segment, words: int) -> UnsupportedError:
    """Return the error for a network that cannot be made to fit."""
    kilobytes = ctx.config.word_bytes / 1024
    first, last = segment.layers[0], segment.layers[-1]
    where = f"layer {first.name!r}" if first is last else (
        f"layers {first.name!r} to {last.name!r}, run row by row,"
    )
    return UnsupportedError(
        f"{where} and the tensors that are kept meanwhile take "
        f"{words * kilobytes:.0f} KB: the network needs at least "
        f"{(words + RING_MINIMUM) * kilobytes:.0f} KB of activation memory and the core has "
        f"{ctx.config.memory_depth * kilobytes:.0f} KB; use smaller images or a smaller width "
        "multiplier"
    )


def _buffers(ctx: Context, needs: Needs, segments: Sequence[Segment]) -> list[Buffer]:
    """Return everything that needs a place: inputs, whole tensors, rows, scratch."""
    last: dict[int, int] = {}
    for number, segment in enumerate(segments):
        last |= {source: number for layer in segment.layers for source in layer.inputs}
    last |= dict.fromkeys(needs.outputs, len(segments))
    buffers = [
        Buffer(
            tensor=index,
            name=f"tensor {index} (input {ctx.graph.tensors[index].name!r})",
            words=needs.words[index],
            first=0,
            last=last[index],
        )
        for index in needs.inputs
    ]
    for number, segment in enumerate(segments):
        slots = segment.slots
        assert slots is not None
        for layer in segment.layers:
            index = layer.output
            rows = slots.get(index)
            words = needs.words[index] if rows is None else rows * segment.pitch(index)
            trails: dict[int, Trail] = {}
            if rows is None:
                for source in segment.inputs:
                    trail = segment.trail(index, source)
                    if trail is not None and last[source] == number:
                        trails[source] = trail
            buffers.append(
                Buffer(
                    tensor=index,
                    name=f"tensor {index} (output of {layer.name!r})",
                    words=words,
                    first=number,
                    last=max(number, last.get(index, number)),
                    trails=trails,
                )
            )
            buffers += [
                Buffer(
                    tensor=scratch,
                    name=f"scratch of {layer.name}",
                    words=segment.pitch(scratch) if segment.is_chain else words,
                    first=number,
                    last=number,
                )
                for scratch, words in layer.scratch.items()
            ]
    return buffers


def _items(segments: Sequence[Segment], layers: Sequence[Layer]) -> list[_Item]:
    """Return the descriptors of a network in the order of execution."""
    number_of = {layer.output: number for number, layer in enumerate(layers)}
    items: list[_Item] = []
    for number, segment in enumerate(segments):
        for row, group in groupby(segment.commands(), key=lambda pair: pair[0]):
            commands = [command for _, command in group]
            items += [
                _Item(
                    layer=number_of[row.layer.output],
                    segment=number,
                    command=command,
                    row=row.row,
                    complete=command is commands[-1],
                )
                for command in commands
            ]
    return items


def _work(
    item: _Item,
    segments: Sequence[Segment],
    layers: Sequence[Layer],
    memory: MemoryPlan,
    *,
    last: bool,
) -> Work:
    """Return an item with its addresses."""
    layer = layers[item.layer]
    address = memory.addresses[layer.output]
    rows = 0
    if item.complete:
        geometry = layer.geometry
        rows = 1 if item.row is not None or geometry is None else geometry.output_rows
        if item.row is not None and geometry is not None:
            slots = (segments[item.segment].slots or {}).get(layer.output)
            slot = item.row if slots is None else item.row % slots
            address += slot * geometry.output_pitch
    return Work(
        layer=item.layer,
        descriptor=item.command.descriptor(memory.addresses, last=last),
        block_words=tuple(encode.words_of(block) for block in item.command.blocks),
        first_row=item.row or 0,
        rows=rows,
        address=address,
    )
