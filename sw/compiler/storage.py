"""Compiled networks in files.

A file is a zip archive: ``program.json`` (all numbers), ``flash.bin`` (the stream of words) and
``arrays.npz`` (input layouts; constants of operators that the host runs).
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, fields
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.command import Descriptor, Mode
from hw.config import CoreConfig
from sw import ir
from sw.compiler.chunks import InputChunk
from sw.compiler.cycles import Work
from sw.compiler.inputs import InputLayout
from sw.compiler.overlap import Overlap
from sw.compiler.program import DeviceTensor, Program, ProgramLayer
from sw.errors import InputError

__all__ = ["load", "save"]

FORMAT = 4

OPERATORS: dict[str, type[ir.Op]] = {
    cls.__name__: cls
    for cls in (
        ir.Conv2D,
        ir.DepthwiseConv2D,
        ir.FullyConnected,
        ir.Add,
        ir.Sub,
        ir.Mul,
        ir.AveragePool2D,
        ir.Mean,
        ir.Pad,
        ir.Reshape,
        ir.Quantize,
        ir.Softmax,
        ir.Transpose,
    )
}


def save(program: Program, path: str | PathLike[str]) -> None:
    """Write a program to a file."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    document = {
        "format": FORMAT,
        "model": program.model,
        "board": program.board,
        "config": asdict(program.config),
        "flash_address": program.flash_address,
        "ring": program.ring,
        "inputs": [
            {
                "address": address,
                "kind": layout.kind,
                "tensor": layout.tensor,
                "zero_point": layout.zero_point,
                "row_pitch": layout.row_pitch,
                "row_kernel": layout.row_kernel,
                "row_stride": layout.row_stride,
            }
            for address, layout in program.inputs
        ],
        "outputs": program.outputs,
        "tensors": [asdict(tensor) for tensor in program.tensors.values()],
        "layers": [asdict(layer) for layer in program.layers],
        "work": [asdict(item) for item in program.work],
        "aliases": list(program.aliases.items()),
        "chunks": [asdict(chunk) for chunk in program.chunks],
        "pinned": program.pinned,
        "overlap": None if program.overlap is None else asdict(program.overlap),
        "prefix": _graph_to_json(program.prefix, "prefix", arrays),
        "suffix": _graph_to_json(program.suffix, "suffix", arrays),
    }
    for number, (_, layout) in enumerate(program.inputs):
        arrays[f"input/{number}"] = layout.index
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("program.json", json.dumps(document, indent=1))
        archive.writestr("flash.bin", program.flash)
        archive.writestr("arrays.npz", packed.getvalue())


def load(path: str | PathLike[str]) -> Program:
    """Read a program from a file.

    Raises
    ------
    InputError
        If it is not one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            document = json.loads(archive.read("program.json"))
            flash = archive.read("flash.bin")
            with np.load(io.BytesIO(archive.read("arrays.npz"))) as loaded:
                arrays = dict(loaded)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}")
        return _from_json(document, flash, arrays)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{Path(path)}: not a program of this version ({error}); compile it again"
        ) from None


def _from_json(
    document: dict[str, Any], flash: bytes, arrays: dict[str, npt.NDArray[Any]]
) -> Program:
    tensors = [
        DeviceTensor(**{key: _tuples(value) for key, value in entry.items()})
        for entry in document["tensors"]
    ]
    return Program(
        model=document["model"],
        board=document["board"],
        config=CoreConfig(**document["config"]),
        flash=flash,
        flash_address=document["flash_address"],
        ring=(document["ring"][0], document["ring"][1]),
        inputs=tuple(
            (
                entry["address"],
                InputLayout(
                    kind=entry["kind"],
                    tensor=entry["tensor"],
                    index=arrays[f"input/{number}"],
                    zero_point=entry["zero_point"],
                    row_pitch=entry["row_pitch"],
                    row_kernel=entry["row_kernel"],
                    row_stride=entry["row_stride"],
                ),
            )
            for number, entry in enumerate(document["inputs"])
        ),
        outputs=tuple(document["outputs"]),
        tensors={tensor.index: tensor for tensor in tensors},
        layers=tuple(ProgramLayer(**layer) for layer in document["layers"]),
        work=tuple(_work_from_json(item) for item in document["work"]),
        prefix=_graph_from_json(document["prefix"], "prefix", arrays),
        suffix=_graph_from_json(document["suffix"], "suffix", arrays),
        aliases=dict(document["aliases"]),
        chunks=tuple(InputChunk(**chunk) for chunk in document["chunks"]),
        pinned=document["pinned"],
        overlap=None if document["overlap"] is None else Overlap(**document["overlap"]),
    )


def _work_from_json(item: dict[str, Any]) -> Work:
    descriptor = dict(item["descriptor"])
    descriptor["mode"] = Mode(descriptor["mode"])
    return Work(
        layer=item["layer"],
        descriptor=Descriptor(**descriptor),
        block_words=tuple(item["block_words"]),
        first_row=item["first_row"],
        rows=item["rows"],
        address=item["address"],
    )


def _graph_to_json(
    graph: ir.Graph, key: str, arrays: dict[str, npt.NDArray[Any]]
) -> dict[str, Any]:
    tensors = []
    for tensor in graph.tensors:
        q = tensor.quantization
        tensors.append(
            {
                "index": tensor.index,
                "name": tensor.name,
                "shape": tensor.shape,
                "dtype": tensor.dtype,
                "quantization": None if q is None else asdict(q),
            }
        )
        if tensor.data is not None:
            arrays[f"{key}/{tensor.index}"] = tensor.data
    return {
        "name": graph.name,
        "tensors": tensors,
        "ops": [
            {"operator": type(op).__name__, **{f.name: getattr(op, f.name) for f in fields(op)}}
            for op in graph.ops
        ],
        "inputs": graph.inputs,
        "outputs": graph.outputs,
    }


def _tuples(value: Any) -> Any:
    """Turn JSON's lists back into tuples."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _graph_from_json(
    document: dict[str, Any], key: str, arrays: dict[str, npt.NDArray[Any]]
) -> ir.Graph:
    tensors = []
    for entry in document["tensors"]:
        q = entry["quantization"]
        tensors.append(
            ir.Tensor(
                index=entry["index"],
                name=entry["name"],
                shape=tuple(entry["shape"]),
                dtype=entry["dtype"],
                quantization=None
                if q is None
                else ir.Quantization(**{k: _tuples(v) for k, v in q.items()}),
                data=arrays.get(f"{key}/{entry['index']}"),
            )
        )
    ops: list[Any] = []
    for entry in document["ops"]:
        values = {k: _tuples(v) for k, v in entry.items()}
        ops.append(OPERATORS[values.pop("operator")](**values))
    graph = ir.Graph(
        name=document["name"],
        tensors=tuple(tensors),
        ops=tuple(ops),
        inputs=tuple(document["inputs"]),
        outputs=tuple(document["outputs"]),
    )
    graph.check()
    return graph
