"""Waves of a simulation: what is recorded of it, and what a design is compiled with for them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import accumulate
from pathlib import Path

from common.errors import InputError

__all__ = ["Wave", "Waves", "check_file", "check_headers", "choose", "waves_for"]

KINDS = {".vcd": "vcd", ".fst": "fst"}

TRACE = re.compile(
    r'VL_TRACE_(PUSH_PREFIX|POP_PREFIX|DECL_\w+)\((?:tracep,c\+\d+,\d+,|tracep, )?(?:"([^"]*)")?')
"""Verilator's lines that say which signals there are, scope by scope."""

FIELD = re.compile(r'VL_TRACE_DECL_\w+\(tracep,c\+\d+,\d+,"[^"]*"')
"""The beginning of such a line, up to a signal's name."""

ROOT = "$rootio"
"""Scope of the ports of the whole, which are those of the module below it."""


@dataclass(frozen=True, kw_only=True)
class Wave:
    """Wave to be recorded.

    Attributes
    ----------
    path : str
        File to be written: ``.vcd`` or ``.fst``.
    first, end : int
        Cycles since the start command, ``end`` not included, as the core's counter has them.
    patterns : tuple of str
        Names of signals, with ``*`` and ``?``; all if there are none.
    start : int
        Which start command since power-on it is of: 0 for the first.
    """

    path: str
    first: int = 0
    end: int = 1 << 40
    patterns: tuple[str, ...] = ()
    start: int = 0

    @property
    def kind(self) -> str:
        """Of the file: ``"vcd"`` or ``"fst"``."""
        return KINDS[Path(self.path).suffix.lower()]


@dataclass(frozen=True, kw_only=True)
class Waves:
    """Kind of waves that a design is compiled for.

    Attributes
    ----------
    kind : str
        ``"vcd"`` or ``"fst"``.
    accept : callable
        Is called with the names of all signals before the long work, and may raise.
    """

    kind: str
    accept: Callable[[Sequence[str]], object] = len

    @property
    def key(self) -> bytes:
        """What the cache goes by, besides the design."""
        return self.kind.encode() + Path(__file__).read_bytes()

    @property
    def flag(self) -> str:
        """Option of Verilator."""
        return f"--trace-{self.kind}"

    @property
    def parts(self) -> list[str]:
        """Sources of Verilator's own."""
        return [f"_{self.kind}_c"]

    @property
    def compiler_flags(self) -> list[str]:
        """Options of the C++ compiler."""
        fst = ["-DWAVE_FST", "-lz", "-llz4"] if self.kind == "fst" else []
        return ["-DWAVE", "-DVM_TRACE=1", f"-DVM_TRACE_{self.kind.upper()}=1", *fst]

    def names(self, folder: Path) -> list[str]:
        """Return the names of all signals of a translated design, scopes with dots between.

        Dots within a name, which are fields of a structure, become ``__``: Verilator would take
        them for scopes.
        """
        lines: list[str] = []
        for path in sorted(folder.glob("*__Trace__*Slow.cpp")):
            text = FIELD.sub(lambda match: match[0].replace(".", "__"), path.read_text())
            path.write_text(text)
            lines += text.splitlines()
        found = list(_names(lines))
        self.accept(found)
        return found


def waves_for(wave: Wave) -> Waves:
    """Return what a design has to be compiled with so that a wave of it can be recorded."""
    return Waves(kind=wave.kind, accept=lambda names: choose(names, wave.patterns))


def _names(lines: Iterable[str]) -> Iterable[str]:
    scopes: list[str] = []
    for line in lines:
        if match := TRACE.search(line):
            what, name = match.groups()
            if what == "PUSH_PREFIX":
                scopes.append(name or "")
            elif what == "POP_PREFIX":
                scopes.pop()
            # What has no name is a word of a memory; dollars are what synthesis puts between.
            elif name and not name.startswith("$") and ROOT not in scopes:
                yield ".".join([*scopes, name])


def choose(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the names that a pattern fits: a whole name, or its end from a scope on.

    Raises
    ------
    InputError
        If one fits none.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        fitting = {name for name in names
                   if any(fnmatchcase(end, pattern) for end in _ends(name))}
        if not fitting:
            scopes = sorted({name.split(".")[3] for name in names if name.count(".") > 3})
            raise InputError(
                f"--wave-signals {pattern}: fits none of {len(names)} signals; signals are named "
                f"MODULE.NAME, such as {scopes[0]}.*, and modules are {', '.join(scopes)}")
        chosen |= fitting
    return [name for name in names if name in chosen or not patterns]


def _ends(name: str) -> Iterable[str]:
    parts = name.split(".")
    return accumulate(reversed(parts), lambda end, part: f"{part}.{end}")


def check_file(path: str) -> None:
    """Refuse a file that is no wave, by the end of its name.

    Raises
    ------
    InputError
    """
    if Path(path).suffix.lower() not in KINDS:
        raise InputError(f"{path}: waves are written as .fst, or as .vcd, which is larger")


def check_headers(kind: str, compiler: Sequence[str]) -> None:
    """Refuse FST where what Verilator needs for it is not there.

    Raises
    ------
    InputError
    """
    if kind != "fst":
        return
    text = "#include <lz4.h>\n#include <zlib.h>\nint main() { return 0; }\n"
    done = subprocess.run([*compiler, "-x", "c++", "-fsyntax-only", "-"], input=text,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError("waves as .fst need the headers of zlib and lz4 (Debian and Ubuntu: apt "
                         "install zlib1g-dev liblz4-dev); name a .vcd file, which needs neither")
