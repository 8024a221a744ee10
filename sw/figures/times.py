"""How long the first commands take: with empty caches, and the next time."""

from __future__ import annotations

import os
import resource
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common import process
from common.errors import SeparableError
from sw.figures.store import BOARD

__all__ = ["COMMANDS", "HOW", "measure_times"]

HOW = "each command twice, with empty caches before the first time"

COMMANDS = {
    "compile": f"python -m sw.compile --board {BOARD}",
    "run": f"python -m sw.run --board {BOARD} --verify",
    "layer": f"python -m sim.layer --board {BOARD} --layer 0",
}
"""In the order in which people type them; each is measured by itself."""


def _seconds(command: str, folder: Path, env: Mapping[str, str]) -> int:
    """Return the processor time of a command, in seconds, at least one.

    Raises
    ------
    SeparableError
        If it fails.
    """

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    _, *arguments = shlex.split(command)
    before = spent()
    done = process.run([sys.executable, *arguments], env=env, folder=folder)
    if done.returncode:
        raise SeparableError(f"{command} failed: {done.stderr.strip()}")
    return max(1, round(spent() - before))


def measure_times(say: Callable[[str], None]) -> tuple[dict[str, str], dict[str, Any]]:
    """Measure all commands: returns nothing that they need, and the seconds of processor time."""
    figures: dict[str, Any] = {}
    for name, command in COMMANDS.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            caches = {key: str(folder / key) for key in ("SEPARABLE_CACHE", "YOWASP_CACHE_DIR")}
            env = {**os.environ, **caches}
            # Each is a figure of its own, of which only the size is held.
            for time in ("first", "again"):
                say(f"{command}, {time}")
                seconds = _seconds(command, folder, env)
                figures.setdefault(name, {})[time] = {"processor_seconds": seconds}
    return {}, figures
