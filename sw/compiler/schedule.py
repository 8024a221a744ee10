"""From a graph to a program: passes, lowering, memory, encoding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hw.command import seal
from hw.config import CoreConfig
from sw import ir
from sw.compiler import encode, passes
from sw.compiler.addition import lower_add
from sw.compiler.constants import removable, remove_constants
from sw.compiler.context import Context, Ints
from sw.compiler.cycles import Work, predict
from sw.compiler.depthwise import lower_depthwise, supports
from sw.compiler.inputs import InputLayout, dense
from sw.compiler.layers import Layer
from sw.compiler.memory import Buffer, MemoryPlan, check, plan
from sw.compiler.partition import Partition, partition, subgraph, zero_point
from sw.compiler.pooling import lower_pool
from sw.compiler.program import DeviceTensor, Program, ProgramLayer
from sw.compiler.serial import first_layer, lower_convolution, lower_fully_connected
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
            if not _first_layer_options(ctx, op):
                _lower(ctx, op)
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
    work: list[Work]
    cycles: int


def _compile(ctx: Context, board: str, flash_address: int, dense_input: bool) -> Program:
    part, config = ctx.part, ctx.config
    layers: list[Layer] = []
    options: list[tuple[InputLayout, Layer]] = []
    _check_memory(ctx)
    for op in part.device:
        found = [] if dense_input else _first_layer_options(ctx, op)
        if found:
            options = found
            layers.append(found[0][1])
        else:
            layers.append(_lower(ctx, op))
    choice = _choose(ctx, layers, options)
    words, sizes = encode.stream(choice.layers, choice.memory.addresses, config.word_bytes)
    source = ctx.source
    return Program(
        model=source.name,
        board=board,
        config=config,
        flash=seal(words.tobytes()),
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
            for layer, size in zip(choice.layers, sizes, strict=True)
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


def _first_layer_options(ctx: Context, op: ir.Operator) -> list[tuple[InputLayout, Layer]]:
    """Return the ways to run an operator that reads the network's input, or nothing."""
    if not isinstance(op, ir.Conv2D | ir.DepthwiseConv2D):
        return []
    stored = ctx.part.stored(op.input)
    readers = [o for o in ctx.part.device if stored in map(ctx.part.stored, o.inputs)]
    if stored not in ctx.part.inputs or len(readers) != 1 or op.input in ctx.part.outputs:
        return []
    kernel = ctx.graph.tensors[op.weights].shape[1:3]
    if isinstance(op, ir.DepthwiseConv2D):
        plain = supports(op, kernel) is None
    else:
        plain = kernel == (1, 1) and op.padding == ir.NO_PADDING
    return [] if plain else first_layer(ctx, op)


def _lower(ctx: Context, op: ir.Operator) -> Layer:
    match op:
        case ir.Conv2D():
            return lower_convolution(ctx, op)
        case ir.DepthwiseConv2D():
            return lower_depthwise(ctx, op)
        case ir.FullyConnected():
            return lower_fully_connected(ctx, op)
        case ir.AveragePool2D() | ir.Mean():
            return lower_pool(ctx, op)
        case ir.Add():
            return lower_add(ctx, op)
        case _:
            raise ctx.refuse(op, "the device does not run this operator", "remove it")


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
    memory = plan(
        _buffers(ctx, layers, layouts),
        ctx.config.memory_depth,
        RING_MINIMUM,
        ctx.config.word_bytes,
    )
    work = _work(layers, memory.addresses)
    cycles = sum(predict(work, memory.ring_words, ctx.config))
    return _Choice(layouts=layouts, layers=layers, memory=memory, work=work, cycles=cycles)


def _check_memory(ctx: Context) -> None:
    """Check that the tensors between the layers fit, before any other work on a network.

    What the input takes is left out: that is known only when the first layer is lowered.
    """
    ops = ctx.part.device
    outputs = {op.output for op in ops}
    uses = [{ctx.part.stored(i) for i in op.inputs} & outputs for op in ops]
    buffers = _tensor_buffers(ctx, uses, [op.output for op in ops])
    check(buffers, ctx.config.memory_depth, RING_MINIMUM, ctx.config.word_bytes)


def _tensor_buffers(
    ctx: Context, inputs: Sequence[Iterable[int]], outputs: Sequence[int]
) -> list[Buffer]:
    """Return the buffers of tensors that layers write, given what each reads and writes."""
    last = {index: number for number, read in enumerate(inputs) for index in read}
    last |= dict.fromkeys(ctx.part.outputs, len(outputs))
    producers = {op.output: op.name for op in ctx.part.device}
    return [
        Buffer(
            tensor=index,
            name=f"tensor {index} (output of {producers[index]!r})",
            words=ctx.tensor_words(index),
            first=number,
            last=last.get(index, number),
        )
        for number, index in enumerate(outputs)
    ]


def _buffers(ctx: Context, layers: list[Layer], layouts: dict[int, InputLayout]) -> list[Buffer]:
    inputs = [layer.inputs for layer in layers]
    buffers = [
        Buffer(
            tensor=index,
            name=f"tensor {index} (input {ctx.graph.tensors[index].name!r})",
            words=layout.words,
            first=0,
            last=max(number for number, read in enumerate(inputs) if index in read),
        )
        for index, layout in layouts.items()
    ]
    buffers += _tensor_buffers(ctx, inputs, [layer.output for layer in layers])
    buffers += [
        Buffer(
            tensor=index,
            name=f"scratch of {layer.name}",
            words=words,
            first=number,
            last=number,
        )
        for number, layer in enumerate(layers)
        for index, words in layer.scratch.items()
    ]
    return buffers


def _work(layers: Sequence[Layer], addresses: dict[int, int]) -> list[Work]:
    return [
        Work(
            layer=number,
            descriptor=command.descriptor(addresses),
            block_words=tuple(encode.words_of(block) for block in command.blocks),
        )
        for number, layer in enumerate(layers)
        for command in layer.commands
    ]
