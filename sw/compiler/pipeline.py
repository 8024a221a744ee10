"""From a graph to a program: passes, lowering, memory, encoding."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache

from common import progress
from common.errors import GraphError, SeparableError, UnsupportedError
from hw.contract.config import CoreConfig
from hw.contract.sections import seal
from sw import ir
from sw.compiler.graph import passes
from sw.compiler.graph.channels import Channels, removable, rewrite
from sw.compiler.graph.crop import Band, crop
from sw.compiler.graph.operands import activations
from sw.compiler.graph.partition import Partition, partition, subgraph
from sw.compiler.graph.refusals import Refused
from sw.compiler.input_choice import Choice, choose
from sw.compiler.lowering.channel_order import order_channels
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.dispatch import first_layer_options, lower
from sw.compiler.lowering.layers import LoweredLayer
from sw.compiler.program import encoding
from sw.compiler.program.layout import InputLayout
from sw.compiler.program.program import Program, ProgramLayer
from sw.compiler.program.tensors import DeviceTensor, Place

__all__ = ["FLASH_ADDRESS", "REMOVE_CONSTANT_CHANNELS", "compile_graph", "compile_layer"]

FLASH_ADDRESS = 1 << 20
"""Byte address of a program unless the board says otherwise: well behind its configuration."""

REMOVE_CONSTANT_CHANNELS = False
"""Whether constant channels are left out unless the caller says otherwise."""


def compile_graph(
    graph: ir.Graph,
    config: CoreConfig,
    *,
    board: str = "",
    flash_address: int = FLASH_ADDRESS,
    dense_input: bool = False,
    remove_constant_channels: bool = REMOVE_CONSTANT_CHANNELS,
    compact_input: bool = False,
    host: Collection[str] = (),
) -> Program:
    """Compile a network to one program.

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
    host : collection of str
        Names of operators in front or at the end that the host runs although the device knows
        their kind.

    Raises
    ------
    Refused
        If the core cannot run operators: operator, tensor, rule and remedy.
    UnsupportedError
        If it cannot run the network for another reason.
    """
    try:
        ctx = _context(partition(passes.run_passes(graph), host), config, remove_constant_channels)
        return _compile(ctx, graph, board, flash_address, dense_input, compact_input)
    except GraphError:
        raise
    except Refused as error:
        raise error.within(graph.name) from None
    except SeparableError as error:
        raise type(error)(f"{graph.name}: {error}") from None


def _context(part: Partition, config: CoreConfig, remove: bool) -> Context:
    """Return what lowering starts from: with or without constant channels, and these in order."""
    whole = Context.of(part, config)
    progress.at("channels")
    ctx = _stored(whole, removable(part, whole.ranges()) if remove else {})
    channels = order_channels(ctx)
    return ctx if channels == ctx.channels else _stored(whole, channels)


def _stored(whole: Context, channels: Mapping[Place, Channels]) -> Context:
    """Return the context of a network of which these channels are stored."""
    if not channels:
        return whole
    return replace(whole, part=rewrite(whole.part, channels), channels=channels)


def compile_layer(
    graph: ir.Graph,
    op_index: int,
    config: CoreConfig,
    *,
    board: str = "",
    remove_constant_channels: bool = REMOVE_CONSTANT_CHANNELS,
    band: Band | None = None,
    host: Collection[str] = (),
) -> Program:
    """Compile one operator of a network, with its input as the device has it at that point.

    Parameters
    ----------
    graph : Graph
    op_index : int
        Position in ``graph.ops``.
    config : CoreConfig
    board : str
    remove_constant_channels, host
        As for :func:`compile_graph`.
    band : Band, optional
        The rows to compile; see :func:`sw.compiler.graph.crop.band_of`.

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
    whole = _whole(graph, config, remove_constant_channels, frozenset(host))
    op = next((op for op in whole.part.device if op.name == name), None)
    if op is None:
        raise UnsupportedError(
            f"{graph.name}: operator {name!r} ({graph.ops[op_index].kind}) is not a layer of the "
            "device: the host runs it, or it is part of a neighbour"
        )
    read = map(whole.part.place, activations(whole.part.graph, op))
    inner = not set(whole.part.inputs).issuperset(read)
    part, source = _alone(whole.part, op), whole.source
    if band is not None:
        part, source = crop(part, source, band)
    known = {place: found for place, found in whole.ranges().items() if place in part.inputs}
    ctx = replace(whole, part=part, source=source, inputs=known)
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
def _whole(graph: ir.Graph, config: CoreConfig, remove: bool, host: frozenset[str]) -> Context:
    """Return the context of a network."""
    return _context(partition(passes.run_passes(graph), host), config, remove)


def _alone(whole: Partition, op: ir.Operator) -> Partition:
    """Return one operator as a network whose inputs are the tensors that are in memory."""
    operands = activations(whole.graph, op)
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


def _compile(
    ctx: Context,
    network: ir.Graph,
    board: str,
    flash_address: int,
    dense_input: bool,
    compact_input: bool = False,
) -> Program:
    """Return the program of a context; parameters as for :func:`compile_graph`."""
    part, config = ctx.part, ctx.config
    layers, options, fixed = _lower_all(ctx, dense_input)
    progress.at("places in memory, and cycles")
    choice = choose(ctx, layers, options, fixed, compact=compact_input)
    memory = choice.arrangement.memory
    words, sizes = encoding.stream(
        [(w.descriptor, i.command.blocks) for w, i in zip(choice.work, choice.items, strict=True)],
        config.word_bytes,
    )
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
            for layer in choice.layers
        },
        layers=_program_layers(choice, sizes),
        work=tuple(choice.work),
        prefix=subgraph(source, part.prefix, part.graph.inputs, part.inputs),
        suffix=_suffix(ctx),
        aliases=dict(part.aliases),
        chunks=tuple(choice.chunks),
        pinned=choice.pinned,
        overlap=choice.overlap,
    )


def _lower_all(
    ctx: Context, dense_input: bool
) -> tuple[list[LoweredLayer], list[tuple[InputLayout, LoweredLayer]], list[InputLayout]]:
    """Return all layers, the ways to run the first that reads an input of its own, and the layouts
    of the inputs of others that do: those with the fewest words.

    Raises
    ------
    Refused
        Naming all layers that cannot be lowered.
    """
    layers: list[LoweredLayer] = []
    options: list[tuple[InputLayout, LoweredLayer]] = []
    fixed: list[InputLayout] = []
    refused: dict[str, str] = {}
    where = ""
    for number, op in enumerate(ctx.part.device, start=1):
        progress.at(f"layer {number} of {len(ctx.part.device)}, {op.name}")
        try:
            found = [] if dense_input else _input_options(ctx, op)
            if found and options:
                found = [min(found, key=lambda way: way[0].words)]
                fixed.append(found[0][0])
            options = options or found
            layer = found[0][1] if found else lower(ctx, op)
            layer.check()
            layers.append(layer)
        except Refused as error:
            where = where or error.where
            refused |= error.rules
        except UnsupportedError as error:
            its = ctx.site(op).where
            where = where or its
            refused[op.name] = str(error).removeprefix(f"{its}: ")
    if refused:
        raise Refused(refused, where)
    return layers, options, fixed


def _input_options(ctx: Context, op: ir.Operator) -> list[tuple[InputLayout, LoweredLayer]]:
    """Return the ways to run an operator that reads an input; none if the dense one is left."""
    try:
        return first_layer_options(ctx, op)
    except UnsupportedError as error:
        with suppress(UnsupportedError):
            lower(ctx, op)
            return []
        raise error


def _program_layers(choice: Choice, sizes: Sequence[int]) -> tuple[ProgramLayer, ...]:
    """Return the layers as the program has them, given the words of every descriptor."""
    words = [0] * len(choice.layers)
    for item, size in zip(choice.items, sizes, strict=True):
        words[item.layer] += size
    return tuple(
        ProgramLayer(
            name=layer.name, kind=layer.kind, macs=layer.macs, output=layer.output, words=size
        )
        for layer, size in zip(choice.layers, words, strict=True)
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
