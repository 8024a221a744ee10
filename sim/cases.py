"""Cases of :mod:`sim.layer`: layers, or bands of their rows, as programs with golden results.

A layer whose input and output do not fit into memory is cut into bands of rows.  Each is a program
of its own, made with what is known about the whole network, so that bands take the steps that the
layer takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import UnsupportedError
from hw.contract.board import Board
from sw import ir
from sw.compiler import Program, compile_layer
from sw.compiler.graph.crop import Band, band_of
from sw.compiler.graph.passes import run_passes
from sw.compiler.timing import predict
from sw.verify import difference

__all__ = ["Case", "Outcome", "cases", "judge", "write_job"]

Array = npt.NDArray[np.integer]


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A program with its input and what it has to give.

    Attributes
    ----------
    job : str
        Name, of the layer's number and the band's.
    program : Program
    inputs : dict
        By number of the tensor.
    expected : ndarray
        The output, or the band's rows of it.
    first : int
        The first of these rows.
    """

    job: str
    program: Program
    inputs: dict[int, Array]
    expected: Array
    first: int = 0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome of a case.

    Attributes
    ----------
    cycles : int or None
    exact : bool or None
    error : str
        Why there are no cycles, or the first difference, in the layer's rows.
    """

    cycles: int | None = None
    exact: bool | None = None
    error: str = ""


def cases(
    graph: ir.Graph,
    number: int,
    board: Board,
    tensors: Mapping[int, Array],
    *,
    job: str = "",
    host: Collection[str] = (),
) -> list[Case]:
    """Return a layer as a whole, or as the fewest bands of its rows that fit.

    Parameters
    ----------
    graph : Graph
    number : int
        Position of the operator.
    board : Board
    tensors : mapping
        Every tensor of the network, as the golden model has it.
    job : str
        Begin of the cases' names; the operator's position if it is empty.
    host : collection of str
        As for :func:`sw.compiler.compile_layer`.

    Raises
    ------
    UnsupportedError
        If the device cannot run the layer, not even row by row.
    """

    def compiled(band: Band | None = None) -> Program:
        program = compile_layer(
            graph, number, board.config, board=board.name, band=band, host=host
        )
        if program.chunks:
            raise UnsupportedError(
                f"{graph.name}: the input of {graph.ops[number].name!r} does not fit into memory "
                "as a whole; use smaller images"
            )
        return program

    try:
        found: list[tuple[Program, Band | None]] = [(compiled(), None)]
    except UnsupportedError as error:
        divided = _divided(graph, number, compiled)
        if divided is None:
            raise error from None
        found = list(divided)
    return [
        _case(f"{job or number}-{count}", program, band, tensors)
        for count, (program, band) in enumerate(found)
    ]


def _case(job: str, program: Program, band: Band | None, tensors: Mapping[int, Array]) -> Case:
    """Return a program with its part of the network's tensors."""
    read: list[int] = [layout.tensor for _, layout in program.inputs]
    inputs = {index: tensors[index] for index in read}
    expected = tensors[program.layers[-1].output]
    if band is not None:
        inputs = {i: x[:, band.input_first : band.input_end] for i, x in inputs.items()}
        expected = expected[:, band.first : band.end]
    first = 0 if band is None else band.first
    return Case(job=job, program=program, inputs=inputs, expected=expected, first=first)


def _divided(
    graph: ir.Graph, number: int, compiled: Callable[[Band], Program]
) -> list[tuple[Program, Band]] | None:
    """Return the fewest bands that fit, as equal as they can be, or nothing."""
    folded = run_passes(graph)
    op = next((o for o in folded.ops if o.name == graph.ops[number].name), None)
    if op is None:
        return None
    rows = math.prod(graph.tensors[op.output].shape[1:2])
    with suppress(UnsupportedError):
        # If a single row is refused, it is not for its size.
        compiled(band_of(folded, op, rows // 2, rows // 2 + 1))
        for count in range(2, rows + 1):
            ends = [rows * k // count for k in range(count + 1)]
            bands = [band_of(folded, op, first, end) for first, end in pairwise(ends)]
            with suppress(UnsupportedError):
                # Bands of one shape are one program; the largest is the first not to fit.
                shapes = sorted({band.shape: band for band in bands}.items(), reverse=True)
                programs = {shape: compiled(band) for shape, band in shapes}
                return [(programs[band.shape], band) for band in bands]
    return None


def write_job(case: Case, path: Path, clock_mhz: float) -> None:
    """Write what :mod:`sim.benches.layers` runs."""
    program = case.program
    lanes = program.config.lanes
    output = program.tensors[program.layers[-1].output]
    writes: dict[str, Any] = {}
    for address, words in program.prepare(case.inputs):
        writes[f"write_{address * lanes}"] = np.ascontiguousarray(words).view("<u2").ravel()
    np.savez(
        path,
        clock_mhz=clock_mhz,
        flash_address=program.flash_address,
        flash=np.frombuffer(program.flash, np.uint8),
        ring_first=program.ring[0],
        limit=4 * sum(predict(program)) + 100_000,
        output_address=output.address * lanes,
        output_count=output.words * lanes,
        **writes,
    )


def judge(case: Case, path: Path) -> Outcome:
    """Compare a job's result with the golden model."""
    program = case.program
    output = program.tensors[program.layers[-1].output]
    with np.load(path) as result:
        if "error" in result:
            return Outcome(error=str(result["error"]))
        cycles = int(result["cycles"])
        words = result["memory"].astype("<u2").view(np.int8)
    actual = output.unpack(words.reshape(output.words, -1))
    error = difference(output, actual, case.expected, first_row=case.first)
    return Outcome(cycles=cycles, exact=not error, error=error)
