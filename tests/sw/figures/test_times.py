"""How long commands take is measured with empty caches, and what fails is said."""

from __future__ import annotations

import pytest

from common.errors import SeparableError
from sw.figures import times

CACHE = "import os, pathlib; pathlib.Path(os.environ['SEPARABLE_CACHE'])"


def test_caches_are_empty_the_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command fails where its cache is not there, the first time, or is, the next."""
    command = f'python -c "{CACHE}.mkdir()"'
    monkeypatch.setattr(times, "COMMANDS", {"one": f'python -c "{CACHE}.mkdir(exist_ok=True)"'})
    said: list[str] = []
    needs, found = times.measure_times(said.append)
    assert not needs and [line.rpartition(", ")[2] for line in said] == ["first", "again"]
    assert found == {"one": {"first": {"processor_seconds": 1}, "again": {"processor_seconds": 1}}}
    monkeypatch.setattr(times, "COMMANDS", {"one": command})
    with pytest.raises(SeparableError, match="failed: "):
        times.measure_times(said.append)
    assert said[-1].endswith(", again")
