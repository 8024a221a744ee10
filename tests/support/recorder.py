"""Recorder of a command on a terminal of its own: what it shows, and for how long it is silent.

``python tests/support/recorder.py COMMAND ...`` prints both, for looks at a tool by hand.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Recording", "record"]

SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\].*?\x07")


@dataclass(kw_only=True)
class Recording:
    """Recording of a command.

    Attributes
    ----------
    code : int
    output : str
        All that came, commands for the terminal among it.
    stdout : str
        What came through a pipe instead, if standard output was one.
    gaps : list of (float, float, str)
        When a silence began, how long it was, in seconds, and the last line before it.
    """

    code: int = 0
    output: str = ""
    stdout: str = ""
    gaps: list[tuple[float, float, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What can be read of the output, with what was drawn over."""
        return SEQUENCES.sub("", self.output).replace("\r", "\n")

    def longest(self) -> float:
        """Return the seconds of the longest silence."""
        return max((seconds for _, seconds, _ in self.gaps), default=0.0)


def record(
    command: Sequence[str], *, columns: int = 80, piped: bool = False,
    env: Mapping[str, str] | None = None, least: float = 0.05, timeout: float = 1200,
) -> Recording:
    """Run a command on a terminal and record it.

    Parameters
    ----------
    command : sequence of str
    columns : int
        Of the terminal.
    piped : bool
        Only standard error is the terminal.
    env : mapping, optional
        Instead of this process's, without what switches progress off.
    least : float
        Seconds of a silence that is noted.
    timeout : float
        Seconds after which it is killed.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    if env is None:
        env = {k: v for k, v in os.environ.items() if k not in ("SEPARABLE_PROGRESS", "COLUMNS")}
    process = subprocess.Popen(
        command, stdin=slave, stdout=subprocess.PIPE if piped else slave, stderr=slave,
        env={"TERM": "xterm-256color", **env}, start_new_session=True,
    )
    os.close(slave)
    result = Recording()
    pieces: list[bytes] = []
    began = last = time.monotonic()
    while time.monotonic() - began < timeout:
        ready, _, _ = select.select([master], [], [], 0.05)
        now = time.monotonic()
        if not ready:
            if process.poll() is not None:
                break
            continue
        if now - last >= least:
            shown = SEQUENCES.sub("", b"".join(pieces[-4:]).decode(errors="replace")).strip()
            result.gaps.append((last - began, now - last, re.split(r"[\r\n]+", shown)[-1]))
        last = now
        try:
            pieces.append(os.read(master, 1 << 16))
        except OSError:
            # Nobody has the other end any more.
            break
    else:
        process.kill()
    if process.stdout is not None:
        result.stdout = process.stdout.read().decode()
        process.stdout.close()
    result.code = process.wait()
    os.close(master)
    result.output = b"".join(pieces).decode(errors="replace")
    return result


def main(command: Sequence[str]) -> int:
    """Record a command; print what it left to be read, and each silence of two seconds."""
    columns = int(os.environ.get("COLUMNS") or 80)
    recording = record(command, columns=columns)
    seen = set()
    for line in recording.text.split("\n"):
        # Spinners and clocks turn.
        if line.strip() and (same := re.sub(r"\d+:\d\d|^. ", "", line)) not in seen:
            seen.add(same)
            print(line)
    for began, seconds, line in recording.gaps:
        if seconds >= 2:
            print(f"silent for {seconds:.1f} s at {began:.1f} s, behind {line!r}")
    print(f"exit code {recording.code}, longest silence {recording.longest():.1f} s")
    return recording.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
