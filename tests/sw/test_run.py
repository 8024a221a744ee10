"""``python -m sw.run``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command import BOARD, error_of
from support.detections import cells
from support.networks import SCORES, frame, small_model, small_network
from support.places import REPOSITORY

import boards
from common import tool
from hw.contract.sections import seal, unseal
from sw import golden, importer, inference, run
from sw.compiler import compile_network
from sw.driver import NetworkDevice, open_device
from sw.driver.simulation import SimTransport
from sw.driver.transport import Progress
from sw.ir import Graph

WHOLE_NETWORKS = {
    "vww_96_int8": ("vww_quant_test_{}.dat", ("no_0", "no_1", "yes_0", "yes_1")),
    "person_detect": ("{}.png", ("person", "no_person")),
    "mobilenet_v1_0.25_128_quant": ("{}.bmp", ("cat", "bird", "grace_hopper")),
}


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, list[str]]:
    model = tmp_path / "small.tflite"
    model.write_bytes(small_model())
    names = []
    for seed in range(2):
        path = tmp_path / f"{seed}.npy"
        rng = np.random.default_rng(seed)
        np.save(path, rng.integers(-128, 128, (1, 12, 12, 3)).astype(np.int8))
        names.append(str(path))
    return str(model), names


@pytest.mark.parametrize("backend", ["sim", "golden"])
def test_report(files: tuple[str, list[str]], tmp_path: Path, backend: str) -> None:
    model, inputs = files
    target = tmp_path / "report.json"
    options = [*BOARD, "--backend", backend, "--json", str(target)]
    assert run.main([model, *inputs, *options, "--verify"]) == 0
    data = json.loads(target.read_text())
    assert data["model"] == "small"
    assert data["board"] == "icebreaker"
    assert data["macs"] == sum(layer["macs"] for layer in data["layers"]) > 0
    graph = importer.load(model)
    for entry, name in zip(data["results"], inputs, strict=True):
        expected = golden.run(graph, np.load(name))[graph.outputs[0]].ravel()
        assert entry["input"] == name
        assert entry["output"] == expected.tolist()
        assert entry["top"][0] == expected.argmax()
        assert entry["cycles"] == data["cycles"]
        assert entry["exact"] is (True if backend == "sim" else None)
    if backend == "sim":
        assert data["cycles"] == sum(layer["cycles"] for layer in data["layers"])
        multipliers = run.boards.get("icebreaker").config.multipliers
        assert data["utilization"] == data["macs"] / data["cycles"] / multipliers
        assert all(layer["exact"] is True for layer in data["layers"])
    else:
        assert data["cycles"] is None
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_detector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, frame, report = (tmp_path / name for name in ("cells.tflite", "x.npy", "run.json"))
    model.write_bytes(cells())
    x = np.random.default_rng(3).integers(-128, 128, (1, 24, 24, 1)).astype(np.int8)
    np.save(frame, x)
    command = [str(model), str(frame), *BOARD, "--backend", "golden", "--json", str(report)]
    assert run.main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    (entry,) = json.loads(report.read_text())["results"]
    assert entry["top"] == [] and entry["found"]
    first = entry["found"][0]
    left, right = (24 * value for value in (first["left"], first["left"] + first["width"]))
    line = next(line for line in lines if "found" in line)
    assert line.split()[:5] == [
        "found", f"{first['score']:.1%}", "x", f"{left:.4g}", "to"]
    assert f" to {right:.4g}, y " in line
    assert run.main([*command, "--threshold", "1"]) == 0
    assert "  found    nothing" in capsys.readouterr().out.splitlines()


@pytest.mark.slow
def test_printed(
    files: tuple[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, inputs = files
    labels = tmp_path / "labels.txt"
    labels.write_text("zero\none\ntwo\nthree\n")
    assert run.main([model, inputs[0], *BOARD, "--labels", str(labels)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    graph = importer.load(model)
    expected = golden.run(graph, np.load(inputs[0]))[graph.outputs[0]].ravel()
    first = next(line for line in captured.out.splitlines() if "top" in line)
    assert first.split() == [
        "top",
        f"{expected.argmax()}:",
        str(expected.max()),
        ("zero", "one", "two", "three")[expected.argmax()],
    ]
    assert f"[{', '.join(map(str, expected))}]" in captured.out
    clock = boards.get("icebreaker").config.core_mhz
    assert f"inferences/s at {clock:g} MHz" in captured.out


@pytest.mark.slow
def test_the_first_difference_is_named(
    files: tuple[str, list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, inputs = files
    program_flash = SimTransport.program_flash

    def damaged(
        self: SimTransport, address: int, data: bytes, progress: Progress | None = None,
        *, trust: bool = True,
    ) -> None:
        # A weight of the first block: behind descriptor, header and parameters.
        changed = bytearray(unseal(data))
        changed[(1 + 4 + 1 + 8) * 8] ^= 0x55
        program_flash(self, address, seal(bytes(changed)), progress)

    monkeypatch.setattr(SimTransport, "program_flash", damaged)
    target = tmp_path / "report.json"
    arguments = [model, *inputs, *BOARD, "--verify", "--json", str(target)]
    assert run.main(arguments) == tool.VERIFICATION_FAILED
    message = error_of(capsys)
    data = json.loads(target.read_text())
    layer = data["layers"][0]
    assert layer["exact"] is False
    assert data["layers"][1]["exact"] is None
    assert f"layer {layer['name']!r}" in message
    assert "golden model's" in message
    assert len(data["results"]) == 1
    assert data["results"][0]["exact"] is False


def test_verify_looks_at_intermediate_tensors(
    files: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = files
    compute = golden.model.compute

    def wrong(graph: Graph, op: Any, operands: Any) -> Any:
        result = compute(graph, op, operands)
        if op is graph.ops[0]:
            result = result.copy()
            result[0, 3, 2, 1] ^= 1
        return result

    graph = importer.load(model)
    plan = compile_network(graph, run.boards.get("icebreaker").config)
    with NetworkDevice(open_device("sim", plan.config), plan) as device:
        device.load()
        x = np.load(inputs[0])
        assert inference.run(graph, plan, device, "x", x, verify=True).exact
        monkeypatch.setattr(golden.model, "compute", wrong)
        result = inference.run(graph, plan, device, "x", x, verify=True)
    assert result.layers_exact == {0: False}
    assert "[0, 3, 2, 1] is " in result.difference


def test_user_errors(
    files: tuple[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, inputs = files
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(b"no model")
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"no picture")
    target = tmp_path / "report.json"
    json_option = ["--json", str(target)]
    cases = {
        (str(bad), inputs[0], *BOARD): "bad.tflite: this is not a TensorFlow Lite model",
        (str(tmp_path / "missing.tflite"), inputs[0], *BOARD): "missing.tflite",
        (model, str(picture), *BOARD): "picture.png",
        (model, inputs[0], str(tmp_path / "missing.npy"), *BOARD): "missing.npy",
        (model, inputs[0], "--board", "nosuch"): "there is no board 'nosuch'",
        (model, *BOARD): "INPUT",
        (model, inputs[0], *BOARD, "--labels", str(tmp_path)): "cannot be read",
        (model, inputs[0], *BOARD, "--backend", "/dev/nothing"): "/dev/nothing",
    }
    for arguments, expected in cases.items():
        try:
            code: object = run.main([*arguments, *json_option])
        except SystemExit as leaving:
            code = leaving.code
        assert code == tool.USER_ERROR, arguments
        assert expected in error_of(capsys)
        assert not target.exists()
    unwritable = str(tmp_path / "no" / "report.json")
    assert run.main([model, inputs[0], *BOARD, "--json", unwritable]) == tool.USER_ERROR
    assert "report.json: cannot be written" in error_of(capsys)


@pytest.mark.slow
def test_no_compiler(
    files: tuple[str, list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, inputs = files
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("sim.board.verilate.find_spec", lambda name: None)
    assert run.main([model, inputs[0], *BOARD]) == tool.USER_ERROR
    assert "install g++" in error_of(capsys)


def test_as_a_command(files: tuple[str, list[str]]) -> None:
    model, inputs = files
    command = [sys.executable, "-m", "sw.run", model, inputs[0]]
    done = subprocess.run(
        [*command, "--board", "nosuch"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    done = subprocess.run([*command, *BOARD], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cycles" in done.stdout


def test_top_is_stable() -> None:
    result = inference.Run(input="x", outputs=[np.array([[3, 9, -1, 9, 0, 3, 3]], np.int8)])
    assert result.top() == [1, 3, 0, 5, 6]


def test_float_outputs_stay_numbers() -> None:
    outputs = [np.array([[0.25, -1.5, 0.75]], np.float32), np.array([1 << 40], np.int64)]
    result = inference.Run(input="x", outputs=outputs)  # type: ignore[arg-type]
    assert result.top() == [2, 0, 1]
    assert run.result_json(result)["output"] == [[0.25, -1.5, 0.75], [1 << 40]]
    text = "\n".join(run.describe(result, [], 39.0))
    assert "[0.25, -1.5, 0.75]" in text and "[1099511627776]" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE_NETWORKS)
def test_whole_networks(shared: Path, tmp_path: Path, name: str) -> None:
    pattern, inputs = WHOLE_NETWORKS[name]
    model = str(shared / "models" / f"{name}.tflite")
    frames = [str(shared / "images" / pattern.format(file)) for file in inputs]
    target = tmp_path / "report.json"
    assert run.main([model, *frames, *BOARD, "--verify", "--json", str(target)]) == 0
    data = json.loads(target.read_text())
    assert all(layer["exact"] is True for layer in data["layers"])
    assert all(entry["exact"] is True for entry in data["results"])
    if name in SCORES:
        scores = [entry["output"][1] - entry["output"][0] for entry in data["results"]]
        assert scores == SCORES[name]


def test_small_network_is_deterministic() -> None:
    a, b = small_network(), small_network()
    x = frame(a, 1)
    for index in a.outputs:
        np.testing.assert_array_equal(golden.run(a, x)[index], golden.run(b, x)[index])


@pytest.mark.slow
def test_constant_channels_can_be_dropped(shared, tmp_path, capsys):
    """VWW has dead channels; without them every tensor is still what it is."""
    path = tmp_path / "report.json"
    cycles = []
    for extra in ([], ["--drop-constant-channels"]):
        code = run.main([
            str(shared / "models/vww_96_int8.tflite"),
            str(shared / "images/vww_quant_test_yes_0.dat"),
            "--board", "icebreaker", "--verify", "--json", str(path), *extra,
        ])
        assert code == 0, capsys.readouterr().err
        result = json.loads(path.read_text())["results"][0]
        assert result["exact"] and result["output"] == [-60, 60]
        cycles.append(result["cycles"])
    assert cycles[1] < 0.6 * cycles[0]
