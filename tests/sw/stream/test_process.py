"""``python -m sw.stream`` as a process: pipes, signals, terminals."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Sequence

import pytest
from support.command import BOARD
from support.stream_process import output, start
from support.streams import tensor

from common import tool
from sw.stream.__main__ import INTERRUPTED

GOLDEN = [*BOARD, "--backend", "golden"]


def line_of(process: subprocess.Popen[bytes]) -> bytes:
    """Return the next line, of a process that is known to print one at a time."""
    ready, _, _ = select.select([process.stdout], [], [], 60)
    if not ready:
        process.kill()
        pytest.fail("nothing is printed")
    return process.stdout.readline()


def test_standard_input(model: str) -> None:
    process = start([model, "-", *GOLDEN, "--json-lines"])
    data = b"".join(tensor(seed).tobytes() for seed in range(3))
    out, err = process.communicate(data + b"rest", timeout=60)
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["output"] for line in lines[:3]] == [output(model, seed) for seed in range(3)]
    assert lines[3]["error"].startswith("standard input ends within frame 3: 4 of 432 bytes")
    assert process.returncode == tool.USER_ERROR
    assert err.startswith(b"3 frames in ")


@pytest.mark.slow
@pytest.mark.parametrize(
    "number, code", [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_a_signal_while_it_waits(model: str, number: int, code: int) -> None:
    process = start([model, "-", *GOLDEN, "--json-lines"])
    for seed in range(2):
        # Each result is there before the next frame is sent.
        process.stdin.write(tensor(seed).tobytes())
        process.stdin.flush()
        assert json.loads(line_of(process))["output"] == output(model, seed)
    process.send_signal(number)
    # Standard input stays open: it is not the end of it that ends the stream.
    assert process.wait(timeout=30) == code
    assert process.stdout.read() == b""
    err = process.stderr.read()
    assert err.startswith(b"2 frames in ") and len(err.splitlines()) == 1
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()


def test_a_reader_that_has_seen_enough(model: str, folder: str) -> None:
    process = start([model, folder, *GOLDEN, "--loop"])
    assert line_of(process).split()[:2] == [b"0", b"0.npy"]
    process.stdout.close()
    assert process.wait(timeout=30) == 0
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()


class Terminal:
    """A terminal that a process writes to."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        self.text = ""

    def run(self, arguments: Sequence[str], **env: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"} | env
        if "NO_COLOR" not in env:
            environment.pop("NO_COLOR", None)
        process = start(arguments, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs,
                        env=environment, start_new_session=True)
        os.close(self.theirs)
        return process

    def read_until(self, text: str | None, seconds: float = 60) -> None:
        """Read until something appears, or until the end."""
        end = time.monotonic() + seconds
        while text is None or text not in self.text:
            assert time.monotonic() < end, self.text
            try:
                data = os.read(self.ours, 65536)
            except OSError:
                # Linux' way to say that the other side is closed.
                data = b""
            if not data:
                assert text is None, self.text
                break
            self.text += data.decode("utf-8", "replace")


def test_the_terminal_is_left_as_it_was(model: str, folder: str) -> None:
    terminal = Terminal()
    process = terminal.run([model, folder, *GOLDEN, "--loop"])
    terminal.read_until("inferences/s measured")
    process.send_signal(signal.SIGINT)
    terminal.read_until(None)
    assert process.wait(timeout=30) == INTERRUPTED
    os.close(terminal.ours)
    text = terminal.text
    assert "small · golden model" in text
    # The cursor is hidden while the view is drawn, and shown again.
    assert -1 < text.rfind("\x1b[?25l") < text.rfind("\x1b[?25h")
    last = text.rstrip().splitlines()[-1]
    assert re.search(r"\d+ frames? in [\d.]+ s; [\d.]+ inferences/s$", last)
    assert "Traceback" not in text


def test_a_terminal_without_colours(model: str, folder: str) -> None:
    terminal = Terminal()
    process = terminal.run([model, folder, *GOLDEN], NO_COLOR="1")
    terminal.read_until(None)
    assert process.wait(timeout=30) == 0
    os.close(terminal.ours)
    assert "\x1b[?25h" in terminal.text
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7])m", terminal.text)


def test_nobody_types_raw_frames(model: str) -> None:
    terminal = Terminal()
    process = terminal.run([model, "-", *GOLDEN])
    terminal.read_until(None)
    assert process.wait(timeout=30) == tool.USER_ERROR
    os.close(terminal.ours)
    assert terminal.text.startswith("error: standard input is a terminal")


def test_a_dumb_terminal_gets_lines(model: str, folder: str) -> None:
    terminal = Terminal()
    process = terminal.run([model, folder, *GOLDEN], TERM="dumb")
    terminal.read_until(None)
    assert process.wait(timeout=30) == 0
    os.close(terminal.ours)
    assert "\x1b" not in terminal.text
    assert "     3  3.png  " in terminal.text
