"""``python -m sim.layer``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common import tool
from sim import layer
from sim.cases import Case, cases
from sw import importer
from sw.bench import __main__ as bench
from sw.fuzz.builder import NetworkBuilder

pytestmark = pytest.mark.slow

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


@pytest.mark.slow
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


@pytest.fixture
def large_model(tmp_path: Path) -> str:
    """Tensors of 61 x 64 pixels and 40 channels are 153 KB, of the 128 that there are."""
    net = NetworkBuilder(seed=6)
    x = net.conv_2d(net.input((1, 61, 64, 8)), 40, kernel=(1, 1))
    y = net.depthwise_conv_2d(x, kernel=(3, 3), activation="RELU6")
    y = net.add(y, x)
    y = net.depthwise_conv_2d(y, kernel=(3, 3), stride=(2, 2))
    path = tmp_path / "large.tflite"
    path.write_bytes(net.build(outputs=[net.conv_2d(y, 8, kernel=(1, 1))]))
    return str(path)


@pytest.mark.slow
def test_layers_that_do_not_fit(
    large_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.json"
    code = layer.main([large_model, *BOARD, "--json", str(target)])
    output = capsys.readouterr()
    assert code == 0, output.err
    data = json.loads(target.read_text())
    macs = [61 * 64 * 40 * 8, 61 * 64 * 40 * 9, 0, 31 * 32 * 40 * 9, 31 * 32 * 40 * 8]
    assert [entry["macs"] for entry in data["layers"]] == macs
    assert all(entry["exact"] for entry in data["layers"])
    bands = [entry["bands"] for entry in data["layers"]]
    # Depthwise outputs and sums lie over an input.
    assert bands == [2, 2, 3, 2, 1]
    rows = [line for line in output.out.splitlines() if "CONV_2D" in line or "ADD" in line]
    for row, count in zip(rows, bands, strict=False):
        assert (f" {count} bands" in row) == (count > 1)


def test_a_layer_that_no_band_makes_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason is the layer's own, not that of its bands."""
    net = NetworkBuilder(seed=6)
    x = net.conv_2d(net.input((1, 6, 6, 8)), 1200, kernel=(1, 1))
    y = net.conv_2d(net.conv_2d(x, 8, kernel=(3, 3)), 8, kernel=(1, 1))
    path = tmp_path / "large.tflite"
    path.write_bytes(net.build(outputs=[y]))
    assert layer.main([str(path), "--layer", "1", *BOARD]) == tool.USER_ERROR
    error = capsys.readouterr().err
    assert re.search(r"error: layer 1 .* sums with bias of output channel 0", error)
    assert len(error.splitlines()) == 1


def test_what_is_refused_is_the_hosts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All layers of a network that runs are no error, and what the host runs is named."""
    net = NetworkBuilder(seed=6)
    x = net.conv_2d(net.input((1, 6, 6, 8)), 1200, kernel=(1, 1))
    y = net.transpose(net.conv_2d(x, 8, kernel=(3, 3)), (0, 2, 1, 3))
    path, report = tmp_path / "host.tflite", tmp_path / "report.json"
    path.write_bytes(net.build(outputs=[net.conv_2d(y, 8, kernel=(1, 1))]))
    assert layer.main([str(path), *BOARD, "--json", str(report)]) == 0
    printed = capsys.readouterr()
    assert "layer 1: the host runs it" in printed.out and not printed.err
    data = json.loads(report.read_text())
    assert [entry["layer"] for entry in data["layers"]] == [0, 3]
    assert all(entry["exact"] for entry in data["layers"])
    assert [(entry["layer"], entry["op"]) for entry in data["host"]] == [(1, "CONV_2D")]


@pytest.mark.parametrize("tool", [layer.main, bench.main])
def test_inputs_of_float32(tool: Callable[[list[str]], int], tmp_path: Path) -> None:
    """They stay where two QUANTIZEs read them, and random ones are numbers."""
    net = NetworkBuilder(seed=1)
    x = net.file.tensor((1, 6, 6, 3), "float32", name="image")
    quantised = [net.file.tensor((1, 6, 6, 3), "int8", [0.05], [zero]) for zero in (0, 3)]
    for q in quantised:
        net.file.operator("QUANTIZE", [x], [q])
    path = tmp_path / "float.tflite"
    path.write_bytes(
        net.file.build([x], [net.add(*(net.conv_2d(q, 8, kernel=(3, 3)) for q in quantised))])
    )
    assert tool([str(path), *BOARD]) == 0


def spoil(case: Case, *at: int) -> Case:
    expected = case.expected.copy()
    expected[at] ^= 1
    return replace(case, expected=expected)


def test_a_difference(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        layer, "cases",
        lambda *given, **named: [spoil(case, 0, 1, 2, 3) for case in cases(*given, **named)],
    )
    assert layer.main([model, "--layer", "2", *BOARD]) == tool.VERIFICATION_FAILED
    error = capsys.readouterr().err
    assert error.startswith("error: layer 2 (")
    assert "[0, 1, 2, 3] is " in error
    assert len(error.splitlines()) == 1


def test_a_difference_in_a_band(
    large_model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place is the one in the whole layer."""

    def wrong(*given: Any, **named: Any) -> list[Case]:
        first, second = cases(*given, **named)
        return [first, spoil(second, 0, 1, 2, 3)]

    monkeypatch.setattr(layer, "cases", wrong)
    assert layer.main([large_model, "--layer", "0", *BOARD]) == tool.VERIFICATION_FAILED
    error = capsys.readouterr().err
    assert "[0, 31, 2, 3] is " in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "99", *BOARD], "has operators 0 to 11, no 99"),
        (["--layer", "11", *BOARD], "operator 11 .* is not a layer of the device"),
        (["--layer", "x", *BOARD], "invalid int value"),
        (["--seed", "-1", *BOARD], "--seed must not be negative"),
        (["--board", "nosuch"], "no board 'nosuch'"),
    ],
)
def test_user_errors(
    model: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = layer.main([model, *arguments])
    except SystemExit as leaving:
        code = leaving.code
    assert code == tool.USER_ERROR
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
