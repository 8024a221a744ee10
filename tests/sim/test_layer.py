"""``python -m sim.layer``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tflite_builder import NetworkBuilder

from sim import layer
from sw import importer, report

BOARD = ["--board", "icebreaker"]


@pytest.fixture
def model(tmp_path: Path) -> str:
    net = NetworkBuilder(seed=5)
    y = net.conv_2d(net.input((1, 12, 12, 3)), 16, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    y = net.depthwise_conv_2d(y, kernel=(3, 3), activation="RELU6")
    a = net.conv_2d(y, 24, kernel=(1, 1))
    y = net.depthwise_conv_2d(a, kernel=(3, 3), activation="RELU")
    y = net.add(net.conv_2d(y, 24, kernel=(1, 1)), a)
    # The padding becomes part of the convolution.
    y = net.pad(y, ((0, 0), (0, 1), (0, 1), (0, 0)))
    y = net.depthwise_conv_2d(y, kernel=(3, 3), stride=(2, 2), padding="VALID")
    y = net.average_pool_2d(y, window=(3, 3), padding="VALID")
    y = net.softmax(net.fully_connected(net.reshape(y, (1, 24)), 4))
    path = tmp_path / "small.tflite"
    path.write_bytes(net.build(outputs=[y]))
    return str(path)


def test_all_layers(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "report.json"
    assert layer.main([model, *BOARD, "--json", str(target)]) == 0, capsys.readouterr().err
    data = json.loads(target.read_text())
    graph = importer.load(model)
    numbers = [entry["layer"] for entry in data["layers"]]
    kinds = [op.kind for op in graph.ops]
    host = [i for i, kind in enumerate(kinds) if kind in ("PAD", "RESHAPE", "SOFTMAX")]
    assert sorted(numbers + host) == list(range(len(kinds)))
    for entry in data["layers"]:
        assert entry["exact"] is True
        assert entry["cycles"] > 0
        assert entry["op"] == kinds[entry["layer"]]
    assert data["cycles"] == sum(entry["cycles"] for entry in data["layers"])
    assert data["macs"] == sum(entry["macs"] for entry in data["layers"])


def test_a_difference(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = layer._case

    def wrong(*arguments: Any) -> layer._Case:
        case = make(*arguments)
        case.expected[0, 1, 2, 3] ^= 1
        return case

    monkeypatch.setattr(layer, "_case", wrong)
    assert layer.main([model, "--layer", "2", *BOARD]) == report.VERIFICATION_FAILED
    error = capsys.readouterr().err
    assert error.startswith("error: layer 2 (")
    assert "[0, 1, 2, 3] is " in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "99", *BOARD], "has operators 0 to 11, no 99"),
        (["--layer", "11", *BOARD], "operator 11 .* is not a layer of the device"),
        (["--layer", "x", *BOARD], "invalid int value"),
        (["--seed", "-1", *BOARD], "--seed must not be negative"),
        (["--board", "nosuch"], "no board 'nosuch'"),
        ([], "--board"),
    ],
)
def test_user_errors(
    model: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = layer.main([model, *arguments])
    except SystemExit as leaving:
        code = leaving.code
    assert code == report.USER_ERROR
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(f"error: .*{message}", error)


def test_a_real_layer(shared: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    model = str(shared / "models" / "vww_96_int8.tflite")
    assert layer.main([model, "--layer", "4", *BOARD, "--json", str(target)]) == 0
    data = json.loads(target.read_text())
    assert data["macs"] == 24 * 24 * 16 * 32
    assert data["layers"][0]["exact"] is True
    assert data["utilization"] > 0.9
