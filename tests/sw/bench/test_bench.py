"""The benchmark: model against counters, clocks, tables, chart, errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.divided import host_between
from support.plans import plan_of

import boards
import sw.bench.__main__
import sw.bench.measure
import sw.driver
from common.errors import InputError
from sw import importer
from sw.bench.__main__ import default_models, main
from sw.bench.measure import (
    BenchClock,
    Disagreement,
    Measurement,
    check_agreement,
    measure,
    model_profile,
    read_clock,
)
from sw.bench.rivals import RIVALS, VISUAL_WAKE_WORDS, rivals_of
from sw.compiler import Program, compile_graph
from sw.compiler.timing import predict
from sw.driver import open_device
from sw.fuzz.builder import NetworkBuilder
from sw.images import random_inputs

BOARD = boards.get("icebreaker")
MHZ = BOARD.config.core_mhz
CLOCK = BenchClock(mhz=BOARD.config.core_mhz)
LOST = {"idle", "input", "weights", "requantise", "fill"}


def network(width: int = 8) -> bytes:
    net = NetworkBuilder(seed=3)
    y = net.conv_2d(net.input((1, 12, 12, 3)), 8, kernel=(3, 3), stride=(2, 2))
    y = net.depthwise_conv_2d(y, kernel=(3, 3), stride=(2, 2))
    y = net.conv_2d(y, width, kernel=(1, 1))
    return net.build(outputs=[net.average_pool_2d(y, window=(3, 3), padding="VALID")])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vww_96_int8.tflite"     # a name that rivals are known for
    path.write_bytes(network())
    return path


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_graph(importer.loads(network(2100), "small"), BOARD.config)


def test_causes_add_up(program: Program) -> None:
    layers = model_profile(program)
    assert [layer.cycles for layer in layers] == predict(program)
    result = measure(plan_of(program), BOARD, CLOCK)
    assert result.source == "model" and set(result.lost()) == LOST
    assert result.limit + sum(result.lost().values()) == result.cycles == sum(predict(program))
    assert result.utilization == program.macs / 16 / result.cycles
    assert result.inferences_per_second == CLOCK.mhz * 1e6 / result.cycles
    data = result.json()
    for layer in data["layers"]:
        stalls = sum(layer[cause] for cause in LOST)
        assert layer["macs"] / 16 + stalls == layer["cycles"]


def test_counters(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.json"
    assert main([str(file), "--board", "icebreaker", "--layers", "--json", str(report)]) == 0
    data = json.loads(report.read_text())
    (counted,) = data["networks"]
    assert counted["source"] == "counters"
    assert main([str(file), "--board", "icebreaker", "--model", "--json", str(report)]) == 0
    (modelled,) = json.loads(report.read_text())["networks"]
    assert modelled["source"] == "model"
    assert {**counted, "source": ""} == {**modelled, "source": ""}
    assert len(data["rivals"]) == len(RIVALS)
    printed = capsys.readouterr().out
    for words in ("layer by layer", "waiting for weights (flash)", f"{MHZ:g} MHz (target",
                  "Syntiant NDP120", "this, icebreaker"):
        assert words in printed


@pytest.mark.slow
def test_a_model_that_is_wrong_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(program: Program) -> list[sw.driver.LayerProfile]:
        layers = model_profile(program)
        layers[1] = replace(layers[1], weights=layers[1].weights + 1, fill=layers[1].fill - 1)
        return layers

    monkeypatch.setattr(sw.bench.measure, "model_profile", wrong)
    assert main([str(file), "--board", "icebreaker"]) == 1
    error = capsys.readouterr().err
    assert "layer 1 'depthwise" in error and "weights" in error and "fill" in error
    assert "the cycle model says" in error


def test_agreement(program: Program) -> None:
    layers = model_profile(program)
    check_agreement("small", layers, layers)
    with pytest.raises(Disagreement, match=r"small: 3 layers were counted of 4"):
        check_agreement("small", layers[:3], layers)
    with pytest.raises(Disagreement, match=r"layer 0 .*: the counters say steps 1, "):
        check_agreement("small", [replace(layers[0], steps=1), *layers[1:]], layers)


def build_report(**changes: object) -> dict[str, object]:
    return {"board": "icebreaker", "fits": True, "seed": 7, "clocks": {"core": {
        "target_mhz": BOARD.config.core_mhz, "achieved_mhz": MHZ + 0.23, "reported_mhz": 40.0,
        "proven": True}}, **changes}


def test_clock(tmp_path: Path) -> None:
    path = tmp_path / "build.json"
    path.write_text(json.dumps(build_report()))
    clock = read_clock(BOARD, str(path))
    assert (clock.mhz, clock.achieved_mhz, clock.kind) == (MHZ, MHZ + 0.23, "achieved")
    achieved = f"the build achieves {MHZ + 0.23:.2f}, path by path, seed 7"
    assert str(clock) == f"{MHZ:g} MHz ({achieved})"
    slow = build_report()
    slow["clocks"] = {"core": {"target_mhz": MHZ, "achieved_mhz": 38.5, "proven": False}}
    path.write_text(json.dumps(slow))
    assert read_clock(BOARD, str(path)).mhz == 38.5
    assert read_clock(BOARD, None).kind == "target"


@pytest.mark.parametrize(("text", "message"), [
    ("not JSON", "not the report of a build"),
    ("[]", "not the report of a build"),
    (json.dumps({"board": "icebreaker"}), "not the report of a build"),
    (json.dumps(build_report(board="other")), "a build for other, not for icebreaker"),
    (json.dumps(build_report(fits=False)), "does not fit has no clock"),
    (json.dumps(build_report(clocks={"core": {"target_mhz": 30, "achieved_mhz": 31}})),
     f"built for 30 MHz, the board's clock is {MHZ:g} MHz now"),
])
def test_bad_build_reports(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "build.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_clock(BOARD, str(path))
    with pytest.raises(InputError, match="cannot be read"):
        read_clock(BOARD, str(tmp_path / "missing"))


def test_networks_of_a_folder(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--board", "icebreaker", "--model"]
    monkeypatch.delenv("SEPARABLE_SHARED", raising=False)
    monkeypatch.delenv("SEPARABLE_MODELS", raising=False)
    monkeypatch.setattr(sw.bench.__main__, "SHIPPED", tmp_path)
    assert default_models() == [str(file)]
    monkeypatch.setattr(sw.bench.__main__, "SHIPPED", tmp_path / "missing")
    assert main(arguments) == 2
    assert "set SEPARABLE_MODELS" in capsys.readouterr().err
    monkeypatch.setenv("SEPARABLE_MODELS", str(tmp_path / "empty"))
    assert main(arguments) == 2
    assert "no .tflite files" in capsys.readouterr().err
    # One that the board cannot run is left out if it was found, and an error if it was named.
    large = tmp_path / "a_kernel.tflite"
    large.write_bytes(host_between())
    arguments.append("--no-fallback")
    monkeypatch.setenv("SEPARABLE_MODELS", str(tmp_path))
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "left out" in printed and "a_kernel" in printed and "vww_96_int8" in printed
    assert main([str(large), *arguments]) == 2
    assert "left out" not in capsys.readouterr().out


def test_rivals() -> None:
    assert {r.task for r in rivals_of("vww_96_int8")} == {VISUAL_WAKE_WORDS}
    assert not rivals_of("mine")
    assert len({(r.name, r.task) for r in RIVALS}) == len(RIVALS) and all(r.source for r in RIVALS)


def test_random_inputs_are_seeded(file: Path) -> None:
    graph = importer.load(str(file))
    first, again, other = (random_inputs(graph, seed)[0] for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


def test_chart(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    charts = [tmp_path / "one.svg", tmp_path / "two.svg", tmp_path / "one.png"]
    for chart in charts:
        assert main([str(file), "--board", "icebreaker", "--model", "--chart", str(chart)]) == 0
    assert charts[0].read_text().startswith("<?xml")
    assert charts[0].read_text() == charts[1].read_text()
    assert charts[2].read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    bad = tmp_path / "chart.pdf"
    assert main([str(file), "--board", "icebreaker", "--model", "--chart", str(bad)]) == 2
    assert "as .svg or .png" in capsys.readouterr().err and not bad.exists()
    other = file.rename(tmp_path / "mine.tflite")
    assert main([str(other), "--board", "icebreaker", "--model", "--chart", str(bad)]) == 2
    assert "name vww_96_int8.tflite as well" in capsys.readouterr().err


def test_chart_without_matplotlib(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    chart = str(tmp_path / "x.svg")
    assert main([str(file), "--board", "icebreaker", "--model", "--chart", chart]) == 2
    assert "pip install 'separable[plot]'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vww_96_int8", "person_detect", "mobilenet_v1_0.25_128_quant"])
def test_networks(shared: Path, name: str) -> None:
    """Every cause of every layer of whole networks: counters and cycle model agree."""
    graph = importer.load(str(shared / "models" / f"{name}.tflite"))
    program = compile_graph(graph, BOARD.config, board=BOARD.name)
    with open_device("sim", BOARD.config) as device:
        result: Measurement = measure(
            plan_of(program), BOARD, CLOCK, device=device, frame=random_inputs(graph, 0))
    assert result.source == "counters"
    assert [layer.cycles for layer in result.layers] == predict(program)
