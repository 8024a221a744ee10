"""A compiled network: everything the driver needs, in one file.

The file is a zip archive: ``program.json`` (all numbers), ``flash.bin`` (the stream of words) and
``arrays.npz`` (input layouts; constants of operators that the host runs).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.command import HOLD_NEVER, Descriptor, Mode
from hw.config import CoreConfig
from sw import golden, ir
from sw.compiler.chunks import InputChunk
from sw.compiler.cycles import Work, predict
from sw.compiler.inputs import InputLayout
from sw.compiler.overlap import Overlap
from sw.errors import InputError, UnsupportedError

__all__ = ["Collector", "DeviceTensor", "Program", "ProgramLayer"]

Array = npt.NDArray[np.integer]
FORMAT = 4


@dataclass(frozen=True, kw_only=True)
class DeviceTensor:
    """A tensor in activation memory: dense, pixel by pixel, channels padded to whole words.

    Attributes
    ----------
    index : int
        Number of the tensor in the network.
    name : str
    address : int
        Word address.
    shape : tuple of int
    dtype : str
        Of the network's tensor; uint8 is stored as int8 by subtracting 128.
    columns : int
        Channels in a word.
    kept : tuple of int or None
        The channels that are in memory, if not all are.
    constants : tuple of int
        What every channel is if it is not in memory.
    """

    index: int
    name: str
    address: int
    shape: tuple[int, ...]
    dtype: str
    columns: int
    kept: tuple[int, ...] | None = None
    constants: tuple[int, ...] = ()

    @property
    def channels(self) -> int:
        """Elements of a pixel that are in memory."""
        if self.kept is not None:
            return len(self.kept)
        return self.shape[-1] if self.shape else 1

    @property
    def words(self) -> int:
        """Size in memory."""
        pixels = int(np.prod(self.shape[:-1]))
        return pixels * -(-self.channels // self.columns)

    @property
    def rows(self) -> int:
        """Rows of an image; one for anything else."""
        return self.shape[1] if len(self.shape) == 4 else 1

    def unpack(self, words: npt.NDArray[np.int8]) -> Array:
        """Return the tensor as the network defines it.

        Parameters
        ----------
        words : (words, columns) int8
            From ``address`` on.
        """
        pixels = words.reshape(-1, -(-self.channels // self.columns) * self.columns)
        values = pixels[:, : self.channels].astype(np.int16)
        if self.dtype == "uint8":
            values += 128
        if self.kept is not None:
            every = np.tile(np.array(self.constants, np.int16), (len(values), 1))
            every[:, list(self.kept)] = values
            values = every
        return values.reshape(self.shape).astype(self.dtype)


@dataclass(frozen=True, kw_only=True)
class ProgramLayer:
    """One operator on the device.

    Attributes
    ----------
    name, kind : str
        Of the operator.
    macs : int
    output : int
        Number of the tensor that it writes.
    words : int
        Words of the program that belong to the layer.
    """

    name: str
    kind: str
    macs: int
    output: int
    words: int


Upload = tuple[int, npt.NDArray[np.int8]]
"""Words to write, (words, columns) int8, and the word address of the first one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """A compiled network.

    Attributes
    ----------
    model, board : str
    config : CoreConfig
        The core that it was compiled for.
    flash : bytes
        The stream of words with its checksums, to be stored at ``flash_address``.
    flash_address : int
        Byte address.
    ring : (first, last)
        Word addresses of the ring, both included.
    inputs : tuple of (address, InputLayout)
        What the host writes before the start.
    outputs : tuple of int
        Numbers of the tensors that the host reads after the end.
    tensors : dict
        By number: every tensor that a layer writes.
    layers : tuple of ProgramLayer
    work : tuple of Work
        Descriptors and sizes of blocks, for the prediction of cycles.
    prefix, suffix : Graph
        What the host computes before and after, possibly nothing.
    aliases : dict
        Tensors of the network that are others under another name.
    chunks : tuple of InputChunk
        Of inputs that do not fit into memory as a whole (their addresses in ``inputs`` mean
        nothing), in the order in which they are written: neither ``after_layer`` nor
        ``before_layer`` ever falls.
    pinned : bool
        Nothing but the host writes to the places of the inputs, and nothing but the layers that
        write them to those of the outputs, for the whole run.  Words of inputs that never change
        (:meth:`constants`) need not be written again, the outputs of a run can be read until the
        next one writes them, and the next inputs can be written during a run: see ``overlap``.
    overlap : Overlap or None
        From when on the next inputs may be written while the core runs; ``None``: not before its
        end.

    Raises
    ------
    UnsupportedError
        If there are more descriptors than the core counts.
    """

    model: str
    board: str
    config: CoreConfig
    flash: bytes
    flash_address: int
    ring: tuple[int, int]
    inputs: tuple[tuple[int, InputLayout], ...]
    outputs: tuple[int, ...]
    tensors: dict[int, DeviceTensor]
    layers: tuple[ProgramLayer, ...]
    work: tuple[Work, ...]
    prefix: ir.Graph
    suffix: ir.Graph
    aliases: dict[int, int]
    chunks: tuple[InputChunk, ...] = ()
    pinned: bool = False
    overlap: Overlap | None = None

    def __post_init__(self) -> None:
        if len(self.work) > HOLD_NEVER:
            raise UnsupportedError(
                f"{self.model}: its program has {len(self.work)} descriptors, and the core counts "
                f"up to {HOLD_NEVER}; use smaller images"
            )
        for a, b in pairwise(self.chunks):
            if a.after_layer > b.after_layer or a.before_layer > b.before_layer:
                raise ValueError(f"chunks must be in the order of their layers, not {a} before {b}")

    @property
    def macs(self) -> int:
        """Multiplications of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def ring_words(self) -> int:
        """Size of the ring."""
        return self.ring[1] - self.ring[0] + 1

    def cycles(self) -> list[int]:
        """Predict the cycles of every layer."""
        return predict(self.work, self.ring_words, self.config)

    @property
    def sent_words(self) -> int:
        """Words that have to be sent for each inference."""
        if not self.pinned:
            return sum(layout.words for _, layout in self.inputs)
        return sum(count for _, layout in self.inputs for _, count in layout.runs)

    def constants(self) -> list[Upload]:
        """Return what of the inputs' places never changes: to be written once, if ``pinned``.

        Returns
        -------
        list of (address, words)
            As :meth:`prepare`; nothing if the program is not ``pinned``.
        """
        if not self.pinned:
            return []
        result = []
        for address, layout in self.inputs:
            at = 0
            for first, count in [*layout.runs, (layout.words, 0)]:
                if first > at:
                    shape = first - at, self.config.columns
                    result.append((address + at, np.full(shape, layout.zero_point, np.int8)))
                at = first + count
        return result

    def prepare(
        self, inputs: Array | Sequence[Array] | Mapping[int, Array]
    ) -> list[Upload]:
        """Run the host's part before the device's.

        Parameters
        ----------
        inputs : ndarray, sequence or mapping
            The network's inputs, as for :func:`sw.golden.run`.

        Returns
        -------
        list of (address, words)
            What to write to activation memory before the start: (words, columns) int8 from a word
            address on.

        Raises
        ------
        InputError
            If that is not all of it: then there is only :meth:`uploads`.
        """
        before, during = self.uploads(inputs)
        if during:
            raise InputError(
                f"{self.model}: its input does not fit into the device's memory, the rest has to "
                "be written while it runs"
            )
        return before

    def uploads(
        self, inputs: Array | Sequence[Array] | Mapping[int, Array], *, constants: bool = True
    ) -> tuple[list[Upload], list[tuple[InputChunk, npt.NDArray[np.int8]]]]:
        """Run the host's part before the device's; also return what to write while the core runs.

        Parameters
        ----------
        inputs : ndarray, sequence or mapping
        constants : bool
            With what :meth:`constants` returns; without it only where that is in memory already.

        Returns
        -------
        before : list of (address, words)
            As :meth:`prepare`.
        during : list of (InputChunk, words)
            In order.
        """
        tensors = golden.run(self.prefix, inputs)
        packed = [layout.pack(tensors[layout.tensor]) for _, layout in self.inputs]
        chunked = {chunk.input for chunk in self.chunks}
        before = []
        for number, ((address, layout), words) in enumerate(zip(self.inputs, packed, strict=True)):
            if number not in chunked:
                whole = constants or not self.pinned
                runs = [(0, layout.words)] if whole else layout.runs
                before += [(address + at, words[at : at + count]) for at, count in runs]
        during = []
        for chunk in self.chunks:
            words = packed[chunk.input][chunk.first_word : chunk.first_word + chunk.words]
            if chunk.after_layer:
                during.append((chunk, words))
            else:
                before.append((chunk.address, words))
        return before, during

    def finish(self, outputs: Mapping[int, npt.NDArray[np.int8]]) -> dict[int, Array]:
        """Run the host's part after the device's.

        Parameters
        ----------
        outputs : mapping
            Words read from memory of every tensor of ``outputs``.

        Returns
        -------
        dict
            The network's outputs by tensor number, as it defines them, besides what the suffix
            computes on the way.
        """
        stored = {index: self.tensors[index].unpack(words) for index, words in outputs.items()}
        if missing := [index for index in self.outputs if index not in stored]:
            raise InputError(f"device output {self.tensors[missing[0]].name!r} is missing")
        given = {}
        for index in self.suffix.inputs:
            value = stored[self.aliases.get(index, index)]
            tensor = self.suffix.tensors[index]
            given[index] = _retype(value, tensor)
        return golden.run(self.suffix, given)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the program to a file."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        document = {
            "format": FORMAT,
            "model": self.model,
            "board": self.board,
            "config": asdict(self.config),
            "flash_address": self.flash_address,
            "ring": self.ring,
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
                for address, layout in self.inputs
            ],
            "outputs": self.outputs,
            "tensors": [asdict(tensor) for tensor in self.tensors.values()],
            "layers": [asdict(layer) for layer in self.layers],
            "work": [asdict(item) for item in self.work],
            "aliases": list(self.aliases.items()),
            "chunks": [asdict(chunk) for chunk in self.chunks],
            "pinned": self.pinned,
            "overlap": None if self.overlap is None else asdict(self.overlap),
            "prefix": _graph_to_json(self.prefix, "prefix", arrays),
            "suffix": _graph_to_json(self.suffix, "suffix", arrays),
        }
        for number, (_, layout) in enumerate(self.inputs):
            arrays[f"input/{number}"] = layout.index
        packed = io.BytesIO()
        np.savez_compressed(packed, allow_pickle=False, **arrays)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("program.json", json.dumps(document, indent=1))
            archive.writestr("flash.bin", self.flash)
            archive.writestr("arrays.npz", packed.getvalue())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Program:
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
            return cls._from_json(document, flash, arrays)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
        except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{Path(path)}: not a program of this version ({error}); compile it again"
            ) from None

    @classmethod
    def _from_json(
        cls, document: dict[str, Any], flash: bytes, arrays: dict[str, npt.NDArray[Any]]
    ) -> Program:
        tensors = [
            DeviceTensor(**{key: _tuples(value) for key, value in entry.items()})
            for entry in document["tensors"]
        ]
        return cls(
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


def _retype(value: Array, tensor: ir.Tensor) -> Array:
    """Return a stored tensor under the type and shape of one of its aliases."""
    if value.dtype != tensor.dtype:
        shift = 128 if tensor.dtype == "uint8" else -128
        value = (value.astype(np.int16) + shift).astype(tensor.dtype)
    return value.reshape(tensor.shape)


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


class Collector:
    """Puts tensors together from the rows that are in memory when descriptors end.

    Parameters
    ----------
    program : Program
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._rows: dict[int, list[npt.NDArray[np.int8]]] = {}

    def take(self, number: int, memory: npt.NDArray[np.int8]) -> tuple[int, Array] | None:
        """Look at the memory when a descriptor has ended.

        Parameters
        ----------
        number : int
            Of the descriptor.
        memory : (words, columns) int8

        Returns
        -------
        (layer, tensor) or None
            If a layer's output has become complete, the layer's number and the output as the
            network defines it.
        """
        work = self.program.work[number]
        tensor = self.program.tensors[self.program.layers[work.layer].output]
        if not work.rows:
            return None
        rows = self._rows.setdefault(work.layer, [])
        size = work.rows * (tensor.words // tensor.rows)
        rows.append(memory[work.address : work.address + size].copy())
        if work.first_row + work.rows < tensor.rows:
            return None
        return work.layer, tensor.unpack(np.concatenate(self._rows.pop(work.layer)))


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
