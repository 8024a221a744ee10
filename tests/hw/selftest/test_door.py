"""``hw.selftest``: what it refuses, and what it does with a programmer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import boards
from hw import bitstream
from hw.selftest import __main__ as door
from hw.technology.base import TechnologyError
from hw.technology.portable import TECHNOLOGY as PORTABLE
from sw.selftest.report import Stage

BOARD = ["--board", "icebreaker"]


@pytest.mark.parametrize("arguments, said", [
    (["--bytes", "0"], "--bytes must be 2 to 8388608, not 0"),
    (["--bytes", "1"], "--bytes must be 2 to"),
    (["--bytes", "99999999"], "--bytes must be 2 to"),
    (["--seed", "-1"], "seeds must be 0 to"),
    (["--program"], "--program is for a board"),
    (["--board", "icebraeker"], "did you mean icebreaker?"),
    (["--json", "/nowhere/at/all.json"], "/nowhere/at/all.json"),
    (["--backend", "/dev/no-such-port"], "/dev/no-such-port: cannot be opened"),
])
def test_what_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = door.main([*BOARD, *arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and said in line


def test_a_technology_without_taps() -> None:
    with pytest.raises(TechnologyError, match="has no clock generator with taps"):
        PORTABLE.capture_taps(39.0)
    with pytest.raises(TechnologyError, match="has no clock generator with taps"):
        PORTABLE.tapped_clock_generator(reference_mhz=12.0, output_mhz=39.0, pin=None)


class Device:
    """A board that is only opened and closed."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: Any) -> None: ...


@pytest.fixture
def programmed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what was programmed so far."""
    lines: list[str] = []
    monkeypatch.setattr(bitstream, "programmer", lambda board: ["tool"])
    monkeypatch.setattr(bitstream, "program", lambda line, name: lines.append(name))
    monkeypatch.setattr(door, "_bitstream", lambda board, output, seed: "self-test")
    monkeypatch.setattr(door, "_core_bitstream", lambda board: "core")
    monkeypatch.setattr(door, "WAKE_SECONDS", 0)
    monkeypatch.setattr(door, "SelfTestDevice", Device)
    monkeypatch.setattr(door, "measure", lambda *_: [Stage(name="link"), Stage(name="eye")])
    monkeypatch.setattr(door, "_layers", lambda *_: None)
    return lines


def test_without_program_the_layers_are_not_run(
    programmed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    assert door.main([*BOARD, "--backend", "/dev/ttyX", "--json", str(file)]) == 0
    assert programmed == []
    report = json.loads(file.read_text())
    assert report["not_run"] == ["layer"] and report["stages"][-1]["state"] == "not run"
    assert "separable run --board icebreaker --backend /dev/ttyX --verify" in (
        report["stages"][-1]["findings"][0])
    assert capsys.readouterr().out.splitlines()[-1] == "passed; not run: layer"


def test_the_core_comes_back(programmed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert door.main([*BOARD, "--backend", "/dev/ttyX", "--program"]) == 0
    assert programmed == ["self-test", "core"]

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(door, "measure", interrupted)
    assert door.main([*BOARD, "--backend", "/dev/ttyX", "--program"]) == 130
    assert programmed == ["self-test", "core"] * 2


def test_a_failed_stage_is_the_exit_code(
    programmed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "measure", lambda *_: [Stage(name="eye", state="failed")])
    assert door.main([*BOARD, "--backend", "/dev/ttyX"]) == 1


def test_delays_are_those_of_the_bitstream(tmp_path: Path) -> None:
    board = boards.get("icebreaker")
    assert door._delays(tmp_path, board) == [None] * 6
    (tmp_path / "icebreaker.json").write_text(json.dumps({"taps": [{"delay_ns": 5.5}]}))
    assert door._delays(tmp_path, board) == [5.5]


def test_a_board_without_a_capture_clock_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main(["--board", "icebreaker_iq"]) == 2
    assert "and icebreaker_iq has none of its own: check it with sw.run" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["golden", "sim:link"])
def test_backends_that_are_no_board_are_refused(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        door.main(["--board", "icebreaker", "--backend", name])
    assert left.value.code == 2
    assert f"--backend is sim or the board's serial port, not {name}" in capsys.readouterr().err
