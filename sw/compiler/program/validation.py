"""Rules that every program keeps, beyond the types of its parts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np

from common.errors import GraphError
from hw.contract.records import PARAMETER_FIELDS, Record, header
from hw.contract.sections import unseal
from hw.contract.words import ADDRESS_BITS
from sw import ir
from sw.compiler.program.encoding import descriptor_words
from sw.compiler.program.layout import NOTHING
from sw.compiler.program.plan import FLASH_BYTES, Plan
from sw.compiler.program.program import Program
from sw.compiler.program.tensors import DeviceTensor, Place

__all__ = ["check"]

MAX_ELEMENTS = 1 << 24
"""Largest tensor, as for the importer."""
LARGEST_SCALE = float(np.finfo(np.float32).max)
OPERANDS = frozenset({"name", "input", "input1", "input2", "weights", "bias", "output"})
STORED = ("int8", "uint8")


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(rule)


def check(plan: Plan) -> None:
    """Check that the parts of a compiled network fit each other, the core and the network.

    Raises
    ------
    ValueError
        Naming the rule.
    """
    _check_graph(plan.network)
    known, flash_end = set(plan.network.inputs), 0
    for program in plan.programs:
        _require(
            program.config == plan.config and program.board == plan.board,
            "all programs must be for the same core",
        )
        _require(program.flash_address >= flash_end, "programs must not lie in each other's place")
        flash_end = program.flash_address + len(program.flash)
        _require(known.issuperset(program.network.inputs), "what a program reads must be known")
        known |= set(program.network.outputs)
        _check_program(program)
        _check_shared(plan.network, program.network)
    known |= {tensor.index for tensor in plan.network.tensors if tensor.is_constant}
    _require(
        not plan.programs or known.issuperset(plan.network.outputs),
        "the programs must give the network's outputs",
    )
    for op in plan.host:
        _require(op.macs >= 0, f"operator {op.name!r} has a negative size")


def _check_shared(network: ir.Graph, piece: ir.Graph) -> None:
    """Check that a piece's inputs and outputs are the network's tensors."""
    _require(len(piece.tensors) == len(network.tensors), "a piece must have the network's tensors")
    for index in (*piece.inputs, *piece.outputs):
        ours, its = network.tensors[index], piece.tensors[index]
        _require(
            (ours.shape, ours.dtype, ours.quantization) == (its.shape, its.dtype, its.quantization),
            f"tensor {index} must be the network's",
        )


def _check_program(program: Program) -> None:
    depth = program.config.memory_depth
    _require(depth <= 1 << ADDRESS_BITS, "memory is larger than addresses reach")
    _require(
        0 <= program.flash_address <= FLASH_BYTES - len(program.flash),
        "the program must lie in the flash",
    )
    _check_stream(program)
    _require(0 <= program.ring[0] <= program.ring[1] < depth, "the ring must lie in memory")
    for graph in (program.network, program.prefix, program.suffix):
        _check_graph(graph)
    for tensor in program.tensors.values():
        _check_tensor(tensor, program)
    _check_layers(program)
    _check_inputs(program)
    _check_outputs(program)
    if program.overlap is not None:
        numbers = vars(program.overlap).items()
        for name, value in numbers:
            _require(value >= 0, f"overlap: {name} must not be negative, not {value}")


def _check_stream(program: Program) -> None:
    """Check that the flash holds the descriptors and blocks that the records say."""
    word = program.config.word_bytes
    stream, at = unseal(program.flash), 0
    for number, item in enumerate(program.work):
        descriptor = replace(item.descriptor, last=number == len(program.work) - 1)
        record = descriptor_words(descriptor, word).tobytes()
        _require(
            stream[at : at + len(record)] == record,
            f"descriptor {number} must be the one in the flash",
        )
        at += len(record)
        for words in item.block_words:
            weights = words - 1 - PARAMETER_FIELDS * program.config.rows
            head = header(Record.BLOCK, weights) if weights > 0 else -1
            _require(
                int.from_bytes(stream[at : at + 2], "little") == head,
                f"the blocks of descriptor {number} must be those in the flash",
            )
            at += words * word
    _require(
        int.from_bytes(stream[at : at + 2], "little") == header(Record.END, 0),
        "the flash must end with the last descriptor",
    )


def _check_layers(program: Program) -> None:
    for layer in program.layers:
        _require(layer.output in program.tensors, f"layer {layer.name!r} must write a tensor")
        _require(layer.macs >= 0 and layer.words >= 0, f"layer {layer.name!r} has a negative size")
    numbers = {item.layer for item in program.work}
    _require(numbers == set(range(len(program.layers))), "every layer must have descriptors")
    least = 1 + PARAMETER_FIELDS * program.config.rows
    for number, item in enumerate(program.work):
        where = f"descriptor {number}"
        _require(
            len(item.block_words) == item.descriptor.records
            and all(least <= words <= program.config.memory_depth for words in item.block_words),
            f"{where}: the blocks must be those that it says",
        )
        _require(
            item.rows >= 0 and item.first_row >= 0
            and 0 <= item.address < program.config.memory_depth,
            f"{where}: its rows must be in memory",
        )


def _check_tensor(tensor: DeviceTensor, program: Program) -> None:
    where = f"tensor {tensor.index} ({tensor.name!r})"
    known = program.network.tensors
    _require(0 <= tensor.index < len(known), f"{where} is no tensor of the network")
    original = known[tensor.index]
    _require(
        program.tensors.get(tensor.index) is tensor and tensor.dtype in STORED
        and tensor.dtype == original.dtype,
        f"{where} must be the network's",
    )
    _require(
        all(n >= 1 for n in tensor.shape) and math.prod(tensor.shape) == original.size,
        f"{where} has the size {tensor.shape}, the network's {original.shape}",
    )
    _require(tensor.columns == program.config.columns, f"{where} must have the core's columns")
    if tensor.kept is None:
        _require(not tensor.constants, f"{where} has constants although all of it is in memory")
    else:
        channels = tensor.shape[-1] if tensor.shape else 1
        _require(
            len(tensor.constants) == channels
            and len(set(tensor.kept)) == len(tensor.kept)
            and all(0 <= channel < channels for channel in tensor.kept)
            and all(-128 <= value <= 127 for value in tensor.constants),
            f"{where}: the channels that are kept must be some of its own",
        )
    _require(
        tensor.address >= 0 and tensor.address < program.config.memory_depth,
        f"{where} must lie in memory",
    )


def _check_inputs(program: Program) -> None:
    depth, columns = program.config.memory_depth, program.config.columns
    chunked = {chunk.input for chunk in program.chunks}
    _require(program.prefix.inputs == program.network.inputs, "the inputs must be the network's")
    for number, (address, layout) in enumerate(program.inputs):
        where = f"input {number}"
        _require(
            layout.tensor in program.prefix.outputs, f"{where} must be made by the host's part"
        )
        tensor = program.prefix.tensors[layout.tensor]
        index = layout.index
        _require(
            index.ndim == 2 and index.shape[1] == columns and len(index) > 0,
            f"{where}: its layout must be of words of {columns}",
        )
        _require(
            int(index.min()) >= NOTHING and int(index.max()) < tensor.size,
            f"{where}: its layout must be of elements of tensor {layout.tensor}",
        )
        _require(
            number in chunked or 0 <= address <= depth - len(index), f"{where} must lie in memory"
        )
        _require(-128 <= layout.zero_point <= 127, f"{where}: its zero point must be int8")
        rows = (layout.row_pitch, layout.row_kernel, layout.row_stride)
        _require(all(1 <= n <= len(index) for n in rows), f"{where}: its rows must be some words")
    for chunk in program.chunks:
        _require(0 <= chunk.input < len(program.inputs), "a part of an input must be of an input")
        words = program.inputs[chunk.input][1].words
        _require(
            chunk.first_word + chunk.words <= words
            and 0 <= chunk.address <= depth - chunk.words
            and chunk.before_descriptor <= len(program.work),
            "a part of an input must lie in memory",
        )


def _check_outputs(program: Program) -> None:
    depth = program.config.memory_depth
    for place in program.outputs:
        _require(place in program.tensors, f"output {place} must be written by a layer")
        tensor = program.tensors[place]
        _require(
            tensor.address + tensor.words <= depth, f"output {tensor.name!r} must lie in memory"
        )
    _require(program.suffix.outputs == program.network.outputs, "the outputs must be the network's")
    prefix = program.prefix
    of_host = {*prefix.inputs, *(op.output for op in prefix.ops)}
    for index in program.suffix.inputs:
        if index in of_host:
            continue
        stored = program.aliases.get(index, Place(index))
        _require(
            stored in program.outputs
            and math.prod(program.tensors[stored].shape) == program.suffix.tensors[index].size,
            f"what the host reads as tensor {index} must be an output of the device",
        )


def _check_graph(graph: ir.Graph) -> None:
    for tensor in graph.tensors:
        _check_quantization(tensor)
    for op in graph.ops:
        for field in fields(op):
            if field.name not in OPERANDS:
                low = 0 if field.name in ("padding", "paddings", "axes", "permutation") else 1
                _require(
                    all(low <= n <= MAX_ELEMENTS for n in _numbers(getattr(op, field.name))),
                    f"operator {op.name!r}: {field.name} is out of range",
                )
    try:
        graph.check()
    except (GraphError, ArithmeticError, LookupError) as error:
        raise ValueError(str(error)) from None


def _numbers(value: object) -> Iterator[int]:
    """Yield the integers of a field of an operator."""
    if isinstance(value, tuple):
        for entry in value:
            yield from _numbers(entry)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value


def _check_quantization(tensor: ir.Tensor) -> None:
    where = f"tensor {tensor.index} ({tensor.name!r})"
    _require(
        all(0 <= n <= MAX_ELEMENTS for n in tensor.shape) and tensor.size <= MAX_ELEMENTS,
        f"{where} has the size {tensor.shape}",
    )
    try:
        kind = np.dtype(tensor.dtype)
    except TypeError:
        raise ValueError(f"{where} has the unknown type {tensor.dtype!r}") from None
    if tensor.quantization is None:
        return
    for scale in tensor.quantization.scales:
        # Only a channel of weights may have 0.
        positive = scale > 0 or (scale == 0 and tensor.quantization.per_channel)
        _require(
            positive and scale <= LARGEST_SCALE and float(np.float32(scale)) == scale,
            f"{where}: a scale must be a positive float32",
        )
    limits = np.iinfo(kind) if kind.kind in "iu" else np.iinfo(np.int8)
    _require(
        all(limits.min <= zero <= limits.max for zero in tensor.quantization.zero_points),
        f"{where}: a zero point is out of range",
    )
