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
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.command import Descriptor, Mode
from hw.config import CoreConfig
from sw import golden, ir
from sw.compiler.cycles import Work, predict
from sw.compiler.inputs import InputLayout
from sw.errors import InputError

__all__ = ["DeviceTensor", "Program", "ProgramLayer"]

Array = npt.NDArray[np.integer]
FORMAT = 3


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
        Number of the tensor that lies complete in memory when the layer ends.
    words : int
        Words of the program that belong to the layer.
    """

    name: str
    kind: str
    macs: int
    output: int
    words: int


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
        By number: every tensor that a layer leaves in memory.
    layers : tuple of ProgramLayer
    work : tuple of Work
        Descriptors and sizes of blocks, for the prediction of cycles.
    prefix, suffix : Graph
        What the host computes before and after, possibly nothing.
    aliases : dict
        Tensors of the network that are others under another name.
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

    def prepare(
        self, inputs: Array | Sequence[Array] | Mapping[int, Array]
    ) -> list[tuple[int, npt.NDArray[np.int8]]]:
        """Run the host's part before the device's.

        Parameters
        ----------
        inputs : ndarray, sequence or mapping
            The network's inputs, as for :func:`sw.golden.run`.

        Returns
        -------
        list of (address, words)
            What to write to activation memory: (words, columns) int8 from a word address on.
        """
        tensors = golden.run(self.prefix, inputs)
        return [(address, layout.pack(tensors[layout.tensor])) for address, layout in self.inputs]

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
                }
                for address, layout in self.inputs
            ],
            "outputs": self.outputs,
            "tensors": [asdict(tensor) for tensor in self.tensors.values()],
            "layers": [asdict(layer) for layer in self.layers],
            "work": [asdict(item) for item in self.work],
            "aliases": list(self.aliases.items()),
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
    )


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
