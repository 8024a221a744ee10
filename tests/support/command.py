"""What tests of commands have in common."""

from __future__ import annotations

import pytest

BOARD = ["--board", "icebreaker"]


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a command said, which has to be one line on standard error."""
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("error: ")
    return lines[0]
