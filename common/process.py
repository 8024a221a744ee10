"""Tools that commands run: none of them, nor what they begin, outlives an interrupt."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from common.door import uninterrupted

__all__ = ["beginning", "end_all", "run"]

PATIENCE = 2.0
"""Seconds that a tool has to delete its temporary files."""

WORD = 100
"""Characters of an argument that is shown."""

_log = logging.getLogger(__name__)

_running: set[subprocess.Popen[str]] = set()


@contextmanager
def beginning() -> Iterator[None]:
    """Let processes of ``multiprocessing`` that are begun meanwhile never get Ctrl-C.

    A terminal sends it to all processes that it knows, and it is for who began them to end them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # When that process is begun, Python lets signals through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(
    command: Sequence[str],
    *,
    input: str = "",
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
    merge: bool = False,
    heard: Callable[[str], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a tool and return its exit code and what it printed.

    Parameters
    ----------
    command : sequence of str
    input : str
        What it reads.
    env : mapping, optional
    folder : Path, optional
        Where it works.
    merge : bool
        Standard error becomes part of ``stdout``.
    heard : callable, optional
        With ``merge`` and without ``input``: given each line of ``stdout`` when it comes.

    Raises
    ------
    OSError
        If it cannot be run.
    """
    began = time.monotonic()
    _log.info("%s", _shown(command))
    process = _begin(
        command, env=env, cwd=folder, stderr=subprocess.STDOUT if merge else subprocess.PIPE,
    )
    try:
        output, errors = process.communicate(input) if heard is None else _hear(process, heard)
    except BaseException:
        _end(process)
        raise
    finally:
        _running.discard(process)
    if printed := f"{output}{errors or ''}".rstrip():
        _log.debug("%s", printed)
    _log.info("%s ended with code %d after %.1f s", Path(command[0]).name, process.returncode,
              time.monotonic() - began)
    return subprocess.CompletedProcess(command, process.returncode, output, errors or "")


def _shown(command: Sequence[str]) -> str:
    """Return a line that shows a command line; programs given as text are left out."""
    words = [word if "\n" not in word and len(word) <= WORD else "…" for word in command]
    return " ".join([f"{Path(words[0]).name} begins:", *words[1:]])


def _hear(process: subprocess.Popen[str], heard: Callable[[str], None]) -> tuple[str, str]:
    """Return what a tool prints, line by line to ``heard`` as well, when it has ended."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    lines = []
    for line in process.stdout:
        heard(line)
        lines.append(line)
    process.stdout.close()
    process.wait()
    return "".join(lines), ""


@uninterrupted
def _begin(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Begin a tool, in a group of its own: compilers begin others, and all of them have to end."""
    if sys.platform != "win32":
        options["process_group"] = 0
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, errors="replace",
        **options,
    )
    _running.add(process)
    return process


def end_all() -> None:
    """End the tools that other threads run."""
    for process in list(_running):
        _signal(process, signal.SIGTERM)


def _end(process: subprocess.Popen[str]) -> None:
    """End a tool and all that it has begun."""
    _signal(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    if sys.platform == "win32":
        process.kill()
    else:
        _signal(process, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    if sys.platform == "win32":
        process.terminate()
        return
    # Its group may have members still, or be gone.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
