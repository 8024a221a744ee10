"""Surveys of folders."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.detections import detector
from support.divided import host_between

import boards
from sw import compile, golden
from sw.fuzz.builder import NetworkBuilder
from sw.survey import __main__ as survey
from sw.survey import examine as examination
from sw.survey.examine import Task, examine


def small(seed: int = 1) -> bytes:
    net = NetworkBuilder(seed=seed)
    return net.build(outputs=[net.conv_2d(net.input((1, 6, 6, 3)), 8, kernel=(3, 3))])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "networks"
    (place / "below").mkdir(parents=True)
    (place / "small.tflite").write_bytes(small())
    (place / "below" / "between.tflite").write_bytes(host_between())
    (place / "damaged.tflite").write_bytes(b"TFL3" * 20)
    (place / "notes.txt").write_text("no network")
    return place


def survey_of(folder: Path, *more: str) -> tuple[int, list[dict[str, Any]], list[dict[str, str]]]:
    """Return the exit code and the findings of JSON and CSV."""
    target, table = folder / "findings.json", folder / "findings.csv"
    code = survey.main([str(folder), "--jobs", "1", "--json", str(target), "--csv", str(table),
                        *more])
    with table.open(newline="", encoding="utf-8") as file:
        return code, json.loads(target.read_text())["files"], list(csv.DictReader(file))


@pytest.mark.slow
def test_the_rate_counts_an_input_that_does_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cycles are those with the input on the chip; the serial line takes longer."""
    net = NetworkBuilder(seed=2)
    x = net.conv_2d(net.input((1, 224, 224, 3)), 8, kernel=(3, 3), stride=(2, 2))
    (tmp_path / "large.tflite").write_bytes(net.build(outputs=[x]))
    (tmp_path / "small.tflite").write_bytes(small())
    _, (large, fits), _ = survey_of(tmp_path, "--no-judge", "--no-core")
    assert fits["cycles_with_input"] is None
    taken = large["cycles_with_input"]
    assert taken > large["cycles"]
    rate = boards.get("icebreaker").config.core_mhz * 1e6 / taken
    assert large["inferences_per_second"] == pytest.approx(rate) and not large["host_seconds"]
    printed = " ".join(capsys.readouterr().out.split())
    assert "large.tflite: the input does not fit into memory" in printed
    assert f"at least {taken:,} cycles" in printed


def test_no_output_is_made_by_a_layer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no output depends on is nobody's work."""
    net = NetworkBuilder(seed=3)
    x = net.input((1, 4, 4, 8))
    net.conv_2d(x, 8)
    (tmp_path / "echo.tflite").write_bytes(net.build(outputs=[x]))
    _, (echo,), _ = survey_of(tmp_path, "--no-judge", "--no-core")
    assert (echo["verdict"], echo["macs"], echo["programs"]) == ("runs", 0, 0)
    assert "echo.tflite: none of its outputs is made by a layer" in capsys.readouterr().out
    assert compile.main([str(tmp_path / "echo.tflite"), "--board", "icebreaker"]) == 0
    assert "there is nothing to run" in capsys.readouterr().out


def test_file_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b'with\xff, "quotes"\n.tflite')
    (tmp_path / name).write_bytes(b"")
    code, findings, rows = survey_of(tmp_path, "--no-judge", "--no-core")
    assert code == 0 and Path(findings[0]["file"]).name == name
    assert Path(rows[0]["file"]).name == name.replace("\udcff", "\\udcff")


def test_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, findings, rows = survey_of(folder)
    assert code == 0
    by_name = {Path(found["file"]).stem: found for found in findings}
    assert list(by_name) == ["between", "damaged", "small"]
    assert [Path(row["file"]).stem for row in rows] == list(by_name)
    runs, refused = by_name["small"], by_name["damaged"]
    assert (runs["verdict"], runs["judge"], runs["core"]) == ("runs", "equal", "equal")
    assert runs["core_share"] == 1 and runs["programs"] == 1 and runs["falls_back"] == []
    assert refused["verdict"] == "refused" and refused["reason"] and refused["cycles"] is None
    between = by_name["between"]
    assert between["programs"] == 2 and "TRANSPOSE" in between["falls_back"]
    assert between["host_seconds"] > 0 and between["core_share"] == 1
    printed = capsys.readouterr().out
    assert "3 files: 2 run, 1 refused; 1 without a part that falls back" in printed
    assert "between.tflite: 2 programs; on the host: TRANSPOSE" in printed
    assert "LiteRT+core" in printed


def test_without_fallback_judge_and_core(folder: Path) -> None:
    code, findings, _ = survey_of(folder, "--no-fallback", "--no-judge", "--no-core")
    assert code == 0
    verdicts = {Path(found["file"]).stem: found["verdict"] for found in findings}
    assert verdicts == {"between": "refused", "damaged": "refused", "small": "runs"}
    assert all(not found["judge"] and not found["core"] for found in findings)


@pytest.mark.slow
def test_differences_are_found(folder: Path, monkeypatch: pytest.MonkeyPatch,
                               capsys: pytest.CaptureFixture[str]) -> None:
    run = golden.run

    def wrong(*arguments: Any) -> dict[int, Any]:
        tensors = run(*arguments)
        last = max(tensors)
        tensors[last] = np.bitwise_xor(tensors[last], 1)
        return tensors

    monkeypatch.setattr(examination.golden, "run", wrong)
    path = str(folder / "small.tflite")
    assert examine(Task(path=path, board="icebreaker")).reason.startswith("LiteRT: tensor ")
    found = examine(Task(path=path, board="icebreaker", judged=False))
    assert found.verdict == "differs" and found.reason.startswith("the core: tensor ")
    assert survey.main([path, "--jobs", "1"]) == 1
    assert f"error: {path}: differs" in capsys.readouterr().err


def test_defects_are_said_to_be_defects(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("broken")

    monkeypatch.setattr(examination, "compile_network", broken)
    found = examine(Task(path=str(folder / "small.tflite"), board="icebreaker", judged=False))
    assert found.verdict == "fails" and "KeyError" in found.reason


@pytest.mark.parametrize(("arguments", "message"), [
    (["missing"], "missing: there is no such file or folder"),
    (["."], "no .tflite files in this folder"),
    ([__file__, "--jobs", "0"], "--jobs must be at least 1"),
    ([__file__, "--seed", "-1"], "--seed must not be negative"),
    ([__file__, "--board", "none"], "none"),
])
def test_user_errors(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert survey.main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_several_processes_find_the_same(folder: Path) -> None:
    more = ("--no-judge", "--no-core")
    paths = [str(folder / name) for name in ("small.tflite", "damaged.tflite")]
    found = []
    for jobs in ("1", "2"):
        target = folder / f"{jobs}.json"
        assert survey.main([*paths, "--jobs", jobs, "--json", str(target), *more]) == 0
        entries = json.loads(target.read_text())["files"]
        # Times are the computer's.
        times = ("seconds", "host_seconds", "inferences_per_second")
        found.append([{k: v for k, v in e.items() if k not in times} for e in entries])
    assert found[0] == found[1]


def test_what_the_reference_does_not_write_is_not_compared(tmp_path: Path) -> None:
    """No score reaches the threshold: LiteRT's boxes are whatever was there."""
    for name, threshold in (("none", 1.5), ("some", 0.9)):
        net, outputs = detector(nms_score_threshold=threshold)
        (tmp_path / f"{name}.tflite").write_bytes(net.build(outputs=outputs))
        found = examine(Task(path=str(tmp_path / f"{name}.tflite"), board="icebreaker"))
        assert (found.verdict, found.judge) == ("runs", "equal"), found.reason


def test_detections_that_differ_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, outputs = detector(nms_score_threshold=0.9)
    (tmp_path / "net.tflite").write_bytes(net.build(outputs=outputs))
    run = golden.run

    def wrong(*arguments: Any) -> dict[int, Any]:
        tensors = run(*arguments)
        tensors[outputs[2]] = tensors[outputs[2]] + np.float32(1e-6)
        return tensors

    monkeypatch.setattr(examination.golden, "run", wrong)
    found = examine(Task(path=str(tmp_path / "net.tflite"), board="icebreaker"))
    assert found.verdict == "differs" and found.reason.startswith("LiteRT: ")
