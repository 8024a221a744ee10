"""MLPerf Tiny as one command, and ResNet-8's cycles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.networks import small_model, tiny_model
from support.plans import plan_of

import boards
import sw.bench.measure
import sw.bench.mlperf
from common.arrays import Array
from sw import golden, importer
from sw.bench.__main__ import main
from sw.bench.measure import BenchClock, measure, model_profile
from sw.bench.mlperf import SHORT, rivals_by_task
from sw.bench.rivals import MLPERF_TASKS, RIVALS, rivals_of
from sw.compiler import Program, compile_graph
from sw.driver import LayerProfile
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph
from sw.networks import published

BOARD = boards.get("icebreaker")
ARGUMENTS = ["--mlperf-tiny", "--board", "icebreaker"]

RESNET8_CYCLES = 1_116_000
"""At most: 70 % of the multipliers."""

RESNET8_MACS = 12_501_632


def resnet8() -> bytes:
    """Return a file with ResNet-8's layers, MLPerf Tiny's network for CIFAR-10."""
    net = NetworkBuilder(seed=8)
    y = net.conv_2d(net.input((1, 32, 32, 3)), 16, kernel=(3, 3), activation="RELU")
    for channels, step in ((16, 1), (32, 2), (64, 2)):
        short = y if step == 1 else net.conv_2d(y, channels, kernel=(1, 1), stride=(step, step))
        # The core adds where the scales have a common measure.
        scale = net[short].scales[0]
        y = net.conv_2d(y, channels, kernel=(3, 3), stride=(step, step), activation="RELU")
        y = net.conv_2d(y, channels, kernel=(3, 3), output_scale=scale)
        y = net.add(short, y, activation="RELU", output_scale=2 * scale)
    y = net.reshape(net.average_pool_2d(y, window=(8, 8)), (1, 64))
    return net.build(outputs=[net.softmax(net.fully_connected(y, 10))])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with small networks in the place of the four."""
    for number, name in enumerate(MLPERF_TASKS.values()):
        data = tiny_model() if number % 2 else small_model()
        known = replace(published.NETWORKS[name], size=len(data),
                        sha256=hashlib.sha256(data).hexdigest())
        monkeypatch.setitem(published.NETWORKS, name, known)
        # One of them under the name that its repository has for it.
        (tmp_path / f"{(*known.also, name)[0]}.tflite").write_bytes(data)
    monkeypatch.setenv("SEPARABLE_MODELS", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    yield tmp_path


@pytest.mark.slow
def test_the_four_tasks_are_counted_and_compared(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    assert main([*ARGUMENTS, "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines()) <= 80
    data = json.loads(path.read_text())
    assert [task["task"] for task in data["tasks"]] == list(MLPERF_TASKS)
    assert [task["network"] for task in data["tasks"]] == list(MLPERF_TASKS.values())
    for task in data["tasks"]:
        assert task["source"] == "counters" and task["exact"] is True
        assert f"{task['task']} " in printed and f" {task['cycles']:,} " in printed
        assert task["inferences_per_second"] == BOARD.config.core_mhz * 1e6 / task["cycles"]
        assert task["utilization"] == task["macs"] / 16 / task["cycles"]
    assert data["flash_bytes"] == sum(task["flash_bytes"] for task in data["tasks"])
    assert {rival["task"] for rival in data["rivals"]} == set(MLPERF_TASKS)
    for name in rivals_by_task():
        assert f"│ {name} " in printed


def test_the_cycle_model_alone(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    assert main([*ARGUMENTS, "--model", "--json", str(path)]) == 0
    tasks = json.loads(path.read_text())["tasks"]
    assert [task["task"] for task in tasks] == list(MLPERF_TASKS)
    assert all(task["source"] == "model" and task["exact"] is None for task in tasks)
    assert " yes " not in capsys.readouterr().out


def test_one_network_that_is_missing_ends_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEPARABLE_CACHE", str(folder / "cache"))
    monkeypatch.setattr(published, "HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (folder / "ad01_int8.tflite").unlink()
    assert main([*ARGUMENTS, "--model"]) == 2
    captured = capsys.readouterr()
    assert "put ad01_int8.tflite in a folder" in captured.err
    assert "cycles" not in captured.out


@pytest.mark.slow
def test_a_tensor_that_differs_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Wrong:
        @staticmethod
        def run(graph: Graph, frame: dict[int, Array]) -> dict[int, Array]:
            index = graph.ops[1].output
            expected = golden.run(graph, frame)
            return {**expected, index: expected[index] ^ 1}

    monkeypatch.setattr(sw.bench.mlperf, "golden", Wrong)
    assert main(ARGUMENTS) == 1
    assert "vww_96_int8: tensor" in capsys.readouterr().err


@pytest.mark.slow
def test_a_count_that_differs_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(program: Program) -> list[LayerProfile]:
        first, *others = model_profile(program)
        return [replace(first, fill=first.fill + 1), *others]

    monkeypatch.setattr(sw.bench.measure, "model_profile", wrong)
    assert main(ARGUMENTS) == 1
    error = capsys.readouterr().err
    assert "vww_96_int8: " in error and "the core counts" in error


@pytest.mark.parametrize("more", [
    ["vww_96_int8"], ["--input", "x.npy"], ["--layers"], ["--chart", "x.svg"]])
def test_what_does_not_go_with_it(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*ARGUMENTS, *more])
    assert "--mlperf-tiny has its own networks" in capsys.readouterr().err


def test_published_results() -> None:
    assert set(SHORT) == set(MLPERF_TASKS)
    for task, name in MLPERF_TASKS.items():
        for one in (name, *published.NETWORKS[name].also):
            assert {rival.task for rival in rivals_of(one)} == {task}
    speeds = rivals_by_task()
    assert list(speeds["GAP9, 240 MHz"]) == list(MLPERF_TASKS)
    assert "anomaly detection" not in speeds["Syntiant NDP120, 98 MHz"]
    # What is said of a system is said in each of its rows.
    assert len({(r.name, r.note, r.source) for r in RIVALS}) == len({r.name for r in RIVALS})


def test_a_network_of_resnet8s_shapes_uses_70_percent_of_the_multipliers() -> None:
    graph = importer.loads(resnet8(), "resnet8")
    program = compile_graph(graph, BOARD.config)
    assert program.macs == RESNET8_MACS
    result = measure(plan_of(program), BOARD, BenchClock(mhz=BOARD.config.core_mhz))
    assert result.cycles <= RESNET8_CYCLES


@pytest.mark.slow
def test_the_published_networks(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All four whole, on the simulated core: as fast as they are said to be, and exact."""
    monkeypatch.setenv("SEPARABLE_MODELS", str(shared / "models"))
    for name in MLPERF_TASKS.values():
        if not published.where(published.NETWORKS[name]):
            pytest.skip(f"{name} is not here: python -m sw.models get {name}")
    path = tmp_path / "report.json"
    assert main([*ARGUMENTS, "--json", str(path)]) == 0
    found = {task["network"]: task for task in json.loads(path.read_text())["tasks"]}
    assert set(found) == set(MLPERF_TASKS.values())
    assert all(task["exact"] and task["source"] == "counters" for task in found.values())
    assert found["resnet8"]["macs"] == RESNET8_MACS
    assert found["resnet8"]["cycles"] <= RESNET8_CYCLES
    least = {"vww_96_int8": 80.6, "kws_ref_model": 229.0, "ad01_int8": 138.0}
    for name, speed in least.items():
        assert found[name]["inferences_per_second"] >= speed
