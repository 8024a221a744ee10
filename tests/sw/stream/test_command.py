"""``python -m sw.stream``."""

from __future__ import annotations

import builtins
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command import BOARD, error_of
from support.detections import cells
from support.networks import SCORES
from support.places import REPOSITORY
from support.stream_process import output, start
from support.streams import KEYS, picture

import boards
from common import tool
from sw import golden, importer
from sw.driver import DeviceLost, GoldenDevice
from sw.networks import shipped
from sw.networks.scenes import KINDS
from sw.outputs.detections import detector_of
from sw.stream.__main__ import main

GOLDEN = [*BOARD, "--backend", "golden"]


@pytest.mark.slow
def test_json_lines(model: str, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([model, folder, *BOARD, "--json-lines", "--verify"]) == 0
    captured = capsys.readouterr()
    data = [json.loads(line) for line in captured.out.splitlines()]
    assert [entry["input"] for entry in data] == ["0.npy", "1.npy", "2.npy", "3.png"]
    clock_mhz = boards.get("icebreaker").config.core_mhz
    for number, entry in enumerate(data):
        assert list(entry) == list(KEYS)
        for key, kind in KEYS.items():
            # The simulated board has no serial line; of the frames no class is known.
            missing = key in ("error", "found", "upload_ms", "download_ms", "truth", "right")
            assert entry[key] is None if missing else isinstance(entry[key], kind), key
        assert entry["frame"] == number
        if number < 3:
            assert entry["output"] == output(model, number)
        assert entry["top"][0]["class"] == int(np.argmax(entry["output"]))
        assert entry["exact"] is True
        assert entry["ms"] == pytest.approx(entry["cycles"] / (1e3 * clock_mhz), abs=1e-3)
    (summary,) = captured.err.splitlines()
    assert re.match(r"4 frames in [\d.]+ s; .* cycles each on average .*; all exact", summary)


def test_a_detector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, frame = tmp_path / "cells.tflite", tmp_path / "frame.npy"
    model.write_bytes(cells())
    x = np.random.default_rng(3).integers(-128, 128, (1, 24, 24, 1)).astype(np.int8)
    np.save(frame, x)
    labels = tmp_path / "labels.txt"
    labels.write_text("cup\nface\n")
    command = [str(model), str(frame), *GOLDEN, "--labels", str(labels)]
    assert main([*command, "--json-lines", "--threshold", "0.9"]) == 0
    (entry,) = map(json.loads, capsys.readouterr().out.splitlines())
    graph = importer.load(model)
    expected = detector_of(graph).found(
        [golden.run(graph, x)[graph.outputs[0]]], ["cup", "face"], 0.9)
    assert entry["top"] == [] and entry["found"] == [one.json() for one in expected] != []
    assert main([*command, "--threshold", "0.9"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    more = len(expected) - 1
    assert f"{expected[0].label} {expected[0].score:.1%}" in line
    assert line.endswith(f" and {more} more") is bool(more)
    assert main([*command, "--threshold", "2"]) == tool.USER_ERROR
    assert error_of(capsys) == "error: a threshold is from 0 to 1, not 2"
    labels.write_text("one\n" * 5)
    assert main(command) == tool.USER_ERROR
    assert "5 labels, and network 'cells' finds objects of 2 classes" in error_of(capsys)


def test_the_detector_that_ships(capsys: pytest.CaptureFixture[str]) -> None:
    """Scenes without a SOURCE; most of what is there is found."""
    count = 20
    assert main(["--detect", *GOLDEN, "--json-lines", "--limit", str(count)]) == 0
    data = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    scenes = shipped.default_scenes(count)
    there = sum(len(one.garments) for one in scenes)
    assert abs(sum(len(entry["found"]) for entry in data) - there) < there / 4
    assert {one["label"] for entry in data for one in entry["found"]} <= set(KINDS)
    names = ", ".join(KINDS[garment.kind] for garment in scenes[1].garments)
    assert data[1]["input"] == f"scene 1 ({names or 'empty'})"
    assert main(["--detect", "model.tflite", *GOLDEN]) == tool.USER_ERROR
    assert error_of(capsys).endswith("leave it out, or model.tflite")


def test_plain_lines(model: str, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Not a terminal: nothing is drawn in place."""
    assert main([model, folder, *GOLDEN]) == 0
    captured = capsys.readouterr()
    *lines, summary = captured.out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["0", "0.npy"], ["1", "1.npy"], ["2", "2.npy"], ["3", "3.png"]
    ]
    assert summary.startswith("4 frames in ")
    assert "\x1b" not in captured.out + captured.err
    assert captured.err == ""


def test_the_documentation_has_the_keys() -> None:
    text = (REPOSITORY / "docs" / "stream.md").read_text("utf-8")
    section = text.split("## JSON lines")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)`", section, flags=re.M) == list(KEYS)


def test_what_ships_is_run_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*GOLDEN, "--json-lines", "--limit", "20"]) == 0
    data = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(data) == 20
    assert data[3]["input"] == f"test image 3 ({shipped.default_labels()[3]})"
    good = sum(f"({entry['top'][0]['label']})" in entry["input"] for entry in data)
    assert good >= 14


def test_a_model_without_a_source(capsys: pytest.CaptureFixture[str]) -> None:
    network = str(shipped.default_model())
    assert main([network, *GOLDEN, "--json-lines", "--limit", "1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["input"].startswith("test image 0 (")


def test_a_source_without_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture().save(tmp_path / "a.png")
    assert main([str(tmp_path), *GOLDEN, "--json-lines"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["top"][0]["label"] in shipped.default_labels()


def test_options_between_the_names(
    model: str, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([model, *GOLDEN, folder, "--json-lines", "--limit", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_loop_limit_and_labels(
    model: str, folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("zero\none\ntwo\nthree\n")
    more = ["--loop", "--limit", "6", "--labels", str(labels), "--json-lines"]
    assert main([model, folder, *GOLDEN, *more]) == 0
    data = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["input"] for entry in data][3:] == ["3.png", "0.npy", "1.npy"]
    best = data[0]["top"][0]
    assert best["label"] == ("zero", "one", "two", "three")[best["class"]]


def test_frames_without_results(
    model: str, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(folder) / "1.npy").write_bytes(b"damaged")
    assert main([model, folder, *GOLDEN]) == tool.USER_ERROR
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) == 5
    assert "ERROR: " in lines[1] and "1.npy: not a NumPy array" in lines[1]
    assert "1 without a result" in lines[4]


def test_differences_are_reported(
    model: str, folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, numbers = GoldenDevice.stream, []

    def wrong(self: GoldenDevice, frames: Any) -> Any:
        for result in stream(self, frames):
            numbers.append(len(numbers))
            if len(numbers) == 2:
                tensors = {index: value ^ 1 for index, value in result.tensors.items()}
                result = replace(result, tensors=tensors)
            yield result

    monkeypatch.setattr(GoldenDevice, "stream", wrong)
    code = main([model, folder, *GOLDEN, "--verify", "--json-lines"])
    assert code == tool.VERIFICATION_FAILED
    captured = capsys.readouterr()
    data = [json.loads(line) for line in captured.out.splitlines()]
    assert [entry["exact"] for entry in data] == [True, False, True, True]
    assert "the golden model's" in data[1]["error"]
    assert data[1]["output"]
    assert "1 differ" in captured.err


def test_a_lost_device_ends_the_stream(
    model: str, folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = GoldenDevice.stream

    def lost(self: GoldenDevice, frames: Any) -> Any:
        yield next(stream(self, frames))
        raise DeviceLost("the cable was pulled")

    monkeypatch.setattr(GoldenDevice, "stream", lost)
    assert main([model, folder, *GOLDEN]) == tool.USER_ERROR
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].startswith("1 frame in ")
    assert captured.err == "error: the cable was pulled\n"


def test_user_errors(
    model: str, folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    cases = {
        (model, str(tmp_path / "nowhere"), *GOLDEN): "nowhere: does not exist; SOURCE is a folder",
        (model, str(empty), *GOLDEN): "it is empty",
        (model, *GOLDEN): "SOURCE is missing: network 'small' takes int8[1, 12, 12, 3]",
        (str(tmp_path / "missing.tflite"), folder, *GOLDEN): "missing.tflite",
        (folder, model, "x", *GOLDEN): "one MODEL and one SOURCE",
        (str(shipped.default_model()), *GOLDEN, "--pixels"): "--pixels is about raw frames",
        (model, folder, "--board", "nosuch"): "there is no board 'nosuch'",
        (model, folder, *BOARD, "--backend", "/dev/nothing"): "/dev/nothing",
        (model, folder, *GOLDEN, "--limit", "0"): "invalid number of frames",
        (model, folder, *GOLDEN, "--limit", "x"): "invalid number of frames",
        (model, folder, *GOLDEN, "--labels", folder): "cannot be read",
        (model, "-", *GOLDEN, "--loop"): "standard input: --loop is for files",
        (model, folder, *GOLDEN, "--pixels"): "--pixels is about raw frames",
        (model, *GOLDEN, "--web", folder): "--web takes HOST:PORT",
        (model, folder, *GOLDEN, "--web", "192.0.2.1:80"): "cannot be listened at",
    }
    for arguments, expected in cases.items():
        try:
            code: object = main(arguments)
        except SystemExit as leaving:
            code = leaving.code
        assert code == tool.USER_ERROR, arguments
        assert expected in error_of(capsys), arguments


def test_a_missing_extra(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"")
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name == "cv2":
            raise ImportError("No module named 'cv2'")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    for source in (str(clip), "0"):
        assert main([model, source, *GOLDEN]) == tool.USER_ERROR
        assert "pip install 'separable[video]'" in error_of(capsys)


# -- as a process: pipes, signals, terminals -------------------------------------------------------


# -- networks that people have ---------------------------------------------------------------------


@pytest.mark.slow
def test_visual_wake_words(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = b"".join(
        (shared / "images" / f"vww_quant_test_{name}.dat").read_bytes()
        for name in ("no_0", "no_1", "yes_0", "yes_1")
    )
    process = start([str(shared / "models" / "vww_96_int8.tflite"), "-", *BOARD, "--json-lines"])
    out, _ = process.communicate(data, timeout=300)
    lines = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0
    assert [line["output"][1] - line["output"][0] for line in lines] == SCORES["vww_96_int8"]


def test_imagenet(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("cat.bmp", "bird.bmp", "grace_hopper.bmp"):
        (tmp_path / name).symlink_to(shared / "images" / name)
    network = str(shared / "models" / "mobilenet_v1_0.25_128_quant.tflite")
    labels = str(shared / "images" / "imagenet_labels.txt")
    more = ["--labels", labels, "--stretch", "--json-lines"]
    assert main([network, str(tmp_path), *GOLDEN, *more]) == 0
    data = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    best = [entry["top"][0]["label"].split(",")[0] for entry in data]
    assert best == ["chickadee", "Egyptian cat", "academic gown"]
