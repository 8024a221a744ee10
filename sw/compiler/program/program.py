"""A compiled network: everything the driver needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from common.arrays import Array
from common.errors import InputError, UnsupportedError
from hw.contract.config import CoreConfig
from hw.contract.registers import HOLD_NEVER
from sw import golden, ir
from sw.compiler.program.chunks import InputChunk
from sw.compiler.program.layout import InputLayout
from sw.compiler.program.overlap import Overlap
from sw.compiler.program.tensors import DeviceTensor, Place
from sw.compiler.program.work import Work

__all__ = ["Program", "ProgramLayer"]


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


Frame = Array | Sequence[Array] | Mapping[int, Array]
"""The network's inputs, as for :func:`sw.golden.run`."""

_NOTHING: Mapping[int, Array] = {}

Upload = tuple[int, npt.NDArray[np.int8]]
"""Words to write, (words, columns) int8, and the word address of the first one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """A compiled network.

    Attributes
    ----------
    model, board : str
    network : Graph
        The whole network, or the one operator, as it was before it was compiled: what the program
        computes, for the golden model.
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
    outputs : tuple of Place
        Of the tensors that the host reads after the end.
    tensors : dict
        By number: every tensor that a layer writes.
    layers : tuple of ProgramLayer
    work : tuple of Work
        Descriptors and sizes of blocks, for the prediction of cycles.
    prefix, suffix : Graph
        What the host computes before and after, possibly nothing.
    aliases : dict
        Tensors of the network that lie in the place of another.
    chunks : tuple of InputChunk
        Of inputs that do not fit into memory as a whole (their addresses in ``inputs`` mean
        nothing), in the order in which they are written: neither ``after_descriptor`` nor
        ``before_descriptor`` ever falls.
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
    network: ir.Graph
    config: CoreConfig
    flash: bytes
    flash_address: int
    ring: tuple[int, int]
    inputs: tuple[tuple[int, InputLayout], ...]
    outputs: tuple[Place, ...]
    tensors: dict[int, DeviceTensor]
    layers: tuple[ProgramLayer, ...]
    work: tuple[Work, ...]
    prefix: ir.Graph
    suffix: ir.Graph
    aliases: dict[int, Place]
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
            if a.after_descriptor > b.after_descriptor or a.before_descriptor > b.before_descriptor:
                raise ValueError(
                    f"chunks must be in the order of their descriptors, not {a} before {b}"
                )

    @property
    def macs(self) -> int:
        """Multiplications of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def ring_words(self) -> int:
        """Size of the ring."""
        return self.ring[1] - self.ring[0] + 1

    @property
    def streams_input(self) -> bool:
        """Whether a part of the input is written while the core runs."""
        return any(chunk.after_descriptor for chunk in self.chunks)

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

    def before(self, inputs: Frame) -> dict[int, Array]:
        """Run the host's part before the device's.

        Parameters
        ----------
        inputs : ndarray, sequence or mapping
            The network's inputs, as for :func:`sw.golden.run`.

        Returns
        -------
        dict
            Inputs and what is made of them, by tensor number.
        """
        return golden.run(self.prefix, inputs)

    def prepare(self, inputs: Frame) -> list[Upload]:
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
        before, during = self.uploads(self.before(inputs))
        if during:
            raise InputError(
                f"{self.model}: its input does not fit into the device's memory, the rest has to "
                "be written while it runs"
            )
        return before

    def uploads(
        self, made: Mapping[int, Array], *, constants: bool = True
    ) -> tuple[list[Upload], list[tuple[InputChunk, npt.NDArray[np.int8]]]]:
        """Return what to write to the device before the start and while the core runs.

        Parameters
        ----------
        made : mapping
            What :meth:`before` returned.
        constants : bool
            With what :meth:`constants` returns; without it only where that is in memory already.

        Returns
        -------
        before : list of (address, words)
            As :meth:`prepare`.
        during : list of (InputChunk, words)
            In order.
        """
        packed = [layout.pack(made[layout.tensor]) for _, layout in self.inputs]
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
            if chunk.after_descriptor:
                during.append((chunk, words))
            else:
                before.append((chunk.address, words))
        return before, during

    def keep(self, made: Mapping[int, Array]) -> dict[int, Array]:
        """Return what of the host's tensors is wanted again behind the device's part.

        Parameters
        ----------
        made : mapping
            What :meth:`before` returned.

        Returns
        -------
        dict
            For :meth:`finish`, by tensor number; empty for most networks.
        """
        return {index: made[index] for index in self.suffix.inputs if index in made}

    def finish(
        self, outputs: Mapping[int, npt.NDArray[np.int8]], kept: Mapping[int, Array] = _NOTHING
    ) -> dict[int, Array]:
        """Run the host's part after the device's.

        Parameters
        ----------
        outputs : mapping
            Words read from memory of every tensor of ``outputs``.
        kept : mapping
            What :meth:`keep` returned for the inputs.

        Returns
        -------
        dict
            The network's outputs by tensor number, as it defines them, besides what the suffix
            computes on the way.
        """
        stored = {index: self.tensors[index].unpack(words) for index, words in outputs.items()}
        if missing := [index for index in self.outputs if index not in stored]:
            raise InputError(f"device output {self.tensors[missing[0]].name!r} is missing")
        given = dict(kept)
        for index in self.suffix.inputs:
            if index not in given:
                value = stored[self.aliases.get(index, index)]
                given[index] = _retype(value, self.suffix.tensors[index])
        return golden.run(self.suffix, given)


def _retype(value: Array, tensor: ir.Tensor) -> Array:
    """Return a stored tensor under the type and shape of one of its aliases."""
    if value.dtype != tensor.dtype:
        shift = 128 if tensor.dtype == "uint8" else -128
        value = (value.astype(np.int16) + shift).astype(tensor.dtype)
    return value.reshape(tensor.shape)
