"""``python -m sw.explore``: networks with random weights, sweeps, reports, plots."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.compiled import check_program, random_inputs

import boards
from common.errors import InputError
from hw.contract.board import Board
from hw.contract.config import CoreConfig
from sw import importer
from sw.compiler import compile_graph, input_choice
from sw.compiler.timing import predict
from sw.explore import __main__ as explore
from sw.explore import accuracy, plot
from sw.explore import sweep as sweeps
from sw.explore.graphs import random_graph
from sw.explore.sweep import Point, Request, evaluate, front, sweep
from sw.networks.architecture import Padding, mobilenet_v1, mobilenet_v2

BOARD = boards.get("icebreaker")
SMALL = [Request(arch="v1", alpha=0.25, size=size, classes=2) for size in (96, 32, 64)]


def point(alpha: float, size: int, top1: float | None, speed: float | None) -> Point:
    return Point(
        arch="v1",
        alpha=alpha,
        size=size,
        classes=1001,
        macs=1,
        weights=1,
        top1=top1,
        top1_quantized=None,
        fits=speed is not None,
        missing="" if speed else "too large",
        inferences_per_second=speed,
    )


# The networks.


def test_cycles_are_those_of_the_trained_network(shared: Path) -> None:
    """MLPerf Tiny's network has the shapes of V1 0.25 at 96: so random weights cost the same."""
    trained = compile_graph(
        importer.load(shared / "models" / "vww_96_int8.tflite"), BOARD.config, board=BOARD.name
    )
    found = evaluate(Request(arch="v1", alpha=0.25, size=96, classes=2), BOARD)
    assert found.cycles == sum(predict(trained))
    assert found.macs == trained.macs == 7_489_664
    assert found.flash_bytes == len(trained.flash)
    assert found.memory_bytes == 8 * (BOARD.config.memory_depth - trained.ring_words)


def test_shapes_are_those_of_published_files(shared: Path) -> None:
    """Weights and what they multiply, layer by layer, of the files with 1001 classes."""
    for name, network in (
        ("mobilenet_v1_0.25_128_quant", mobilenet_v1(0.25, 128, classes=1001)),
        ("mobilenet_v2_1.0_224_quant", mobilenet_v2(1.0, 224, classes=1001)),
    ):
        published = importer.load(shared / "models" / f"{name}.tflite")
        ours = random_graph(network)

        def shapes(graph: Any) -> list[tuple[int, ...]]:
            found = []
            for op in graph.ops:
                if hasattr(op, "weights"):
                    shape = tuple(n for n in graph.tensors[op.weights].shape if n != 1)
                    output = graph.tensors[op.output].shape
                    found.append((*shape, *(n for n in output if n != 1)))
            return found

        assert shapes(ours) == shapes(published)


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize("make", [mobilenet_v1, mobilenet_v2])
def test_random_networks_run_exactly(make: Any, padding: Padding) -> None:
    """The graphs are real ones: the compiled program computes what the golden model does."""
    extra = {"head": 64} if make is mobilenet_v2 else {}
    graph = random_graph(make(0.25, 32, classes=3, padding=padding, **extra), seed=1)
    config = replace(BOARD.config, fraction_bits=31)
    program = compile_graph(graph, config)
    check_program(graph, program, random_inputs(graph, 1))


@pytest.mark.slow
@pytest.mark.parametrize(("make", "memory_depth"), [(mobilenet_v1, 16384), (mobilenet_v2, 8192)])
def test_layouts_that_are_not_tried_change_nothing(
    monkeypatch: pytest.MonkeyPatch, make: Any, memory_depth: int
) -> None:
    graph = random_graph(make(0.35, 80, classes=10))
    config = replace(BOARD.config, fraction_bits=31, memory_depth=memory_depth)
    timed: list[int] = []
    cycles = input_choice.Choice.cycles

    def counted(one: input_choice.Choice, core: CoreConfig) -> int:
        timed.append(cycles(one, core))
        return timed[-1]

    monkeypatch.setattr(input_choice.Choice, "cycles", counted)
    some = compile_graph(graph, config)
    few = len(timed)
    monkeypatch.setattr(input_choice.Choice, "spares", lambda *_: False)
    assert compile_graph(graph, config).flash == some.flash
    every = timed[few:]
    assert len(every) > few and min(every) == sum(predict(some))


def test_seeds() -> None:
    network = mobilenet_v1(0.25, 32, classes=2)
    first, again, other = (random_graph(network, seed=seed) for seed in (1, 1, 2))
    weights = [graph.tensors[graph.ops[0].inputs[1]] for graph in (first, again, other)]
    assert weights[0].data is not None and weights[1].data is not None
    np.testing.assert_array_equal(weights[0].data, weights[1].data)
    assert weights[0].quantization == weights[1].quantization
    assert weights[2].data is not None and np.any(weights[0].data != weights[2].data)


def test_published_grids() -> None:
    assert len(list(accuracy.published("v1"))) == 16
    assert len(list(accuracy.published("v2"))) == 20
    assert accuracy.top1("v1", 1.0, 224, 1001) == 70.9
    assert accuracy.top1("v2", 0.35, 96, 1000) == 45.5
    assert accuracy.top1_quantized("v1", 0.25, 128, 1001) == 39.5
    assert accuracy.top1_quantized("v2", 0.5, 128, 1001) is None
    assert accuracy.top1("v1", 1.0, 224, 2) is None
    assert accuracy.top1("v1", 0.3, 224, 1001) is None


# Sweeps.


@pytest.mark.slow
def test_processes_change_nothing() -> None:
    one = sweep(SMALL, BOARD, jobs=1)
    assert sweep(SMALL, BOARD, jobs=2) == one
    assert [point.size for point in one] == [96, 32, 64]
    speeds = [one[i].inferences_per_second for i in range(3)]
    assert speeds[1] >= speeds[2] > speeds[0]  # type: ignore[operator]


def test_what_does_not_fit_says_what_is_missing() -> None:
    tiny = replace(BOARD, config=replace(BOARD.config, memory_depth=1024))
    found = evaluate(Request(arch="v1", alpha=0.25, size=96, classes=2), tiny)
    assert not found.fits
    assert found.cycles is None and found.inferences_per_second is None
    assert "KB of activation memory and the core has 8 KB" in found.missing
    assert not found.missing.startswith("mobilenet")


def test_a_program_larger_than_the_flash_does_not_fit() -> None:
    flash = replace(BOARD.flash, size=BOARD.flash.program_base + 4096)
    found = evaluate(SMALL[1], replace(BOARD, flash=flash))
    assert not found.fits
    assert found.missing.startswith("the program takes ")
    assert "the board has 4 KB for it" in found.missing


def test_front() -> None:
    slow, fast = point(1, 224, 70.0, 1.0), point(0.25, 128, 40.0, 30.0)
    beaten, same = point(0.5, 160, 39.0, 20.0), point(0.75, 128, 40.0, 10.0)
    equal = point(0.5, 192, 65.0, 5.0)
    faster_twin = point(0.75, 160, 64.0, 5.0)
    unknown, missing = point(0.3, 224, None, 50.0), point(1, 192, 69.0, None)
    points = [slow, fast, beaten, same, equal, faster_twin, unknown, missing]
    assert front(points) == [fast, equal, slow]
    assert front([]) == []


# The command.


def run(*arguments: str) -> int:
    return explore.main(["--board", "icebreaker", *arguments])


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points without the compiler: those of α = 1 do not fit."""

    def made(request: Request, board: Board) -> Point:
        network = request.network()
        fits = request.alpha < 1
        return Point(
            arch=request.arch,
            alpha=request.alpha,
            size=request.size,
            classes=request.classes,
            macs=network.macs,
            weights=1024,
            top1=accuracy.top1(request.arch, request.alpha, request.size, request.classes),
            top1_quantized=None,
            fits=fits,
            missing="" if fits else "needs at least 999 KB",
            cycles=network.macs if fits else None,
            inferences_per_second=1e9 / network.macs if fits else None,
            utilization=0.5 if fits else None,
            memory_bytes=2048 if fits else None,
            flash_bytes=4096 if fits else None,
        )

    monkeypatch.setattr(sweeps, "evaluate", made)


def test_table_csv_and_json_of_a_real_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: str(tmp_path / f"points.{name}") for name in ("csv", "json")}
    code = run(
        "--alphas", "0.25", "--sizes", "48", "32", "--classes", "2", "--jobs", "1",
        "--csv", files["csv"], "--json", files["json"],
    )
    captured = capsys.readouterr()
    assert (code, captured.err) == (0, "")
    data = json.loads(Path(files["json"]).read_text())
    assert data["board"] == "icebreaker" and data["clock_mhz"] == BOARD.config.core_mhz
    assert [(p["alpha"], p["size"], p["fits"]) for p in data["points"]] == [
        (0.25, 48, True),
        (0.25, 32, True),
    ]
    with open(files["csv"], newline="") as file:
        rows = list(csv.DictReader(file))
    for row, found in zip(rows, data["points"], strict=True):
        assert int(row["cycles"]) == found["cycles"]
        speed = BOARD.config.core_mhz * 1e6 / found["cycles"]
        assert found["inferences_per_second"] == pytest.approx(speed)
        assert found["utilization"] == found["macs"] / found["cycles"] / 16
        assert found["top1"] is None
        assert f"{found['cycles']:,}" in captured.out


@pytest.mark.usefixtures("instant")
def test_default_grids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "points.json"
    assert run("--arch", "v1", "v2", "--jobs", "1", "--json", str(report)) == 0
    points = json.loads(report.read_text())["points"]
    assert [p["arch"] for p in points] == ["v1"] * 16 + ["v2"] * 20
    assert all(p["top1"] for p in points)
    output = capsys.readouterr().out
    assert output.count("does not fit") == 9
    assert "V1 1/224: needs at least 999 KB" in output
    fastest = max(points, key=lambda p: p["inferences_per_second"] or 0)
    assert fastest["front"] and not any(p["front"] for p in points if not p["fits"])


@pytest.mark.usefixtures("instant")
@pytest.mark.parametrize("kind", ["svg", "png"])
def test_plot(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("matplotlib")
    pictures = [tmp_path / f"{n}.{kind}" for n in range(2)]
    for picture in pictures:
        assert run("--arch", "v1", "v2", "--jobs", "1", "--plot", str(picture)) == 0
    first, second = (picture.read_bytes() for picture in pictures)
    assert first == second
    assert first.startswith(b"<?xml" if kind == "svg" else b"\x89PNG")
    if kind == "svg":
        text = first.decode()
        for label in ("0.25/128", "0.35/96", "1/224", "do not fit", "Pareto front"):
            assert f"<!-- {label}" in text, label


@pytest.mark.usefixtures("instant")
def test_plot_where_all_fit(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "plot.svg"
    assert run("--alphas", "0.25", "--jobs", "1", "--plot", str(picture)) == 0
    assert "do not fit" not in picture.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "0"], "--jobs must be at least 1, not 0"),
        (["--sizes", "16"], "sizes must be at least 32, not 16"),
        (["--alphas", "0"], "alpha must be more than 0"),
        (["--classes", "0"], "classes must be at least 1"),
        (["--arch", "fomo-v2", "--alphas", "0"], "alpha must be more than 0"),
        (["--arch", "v3"], "invalid choice: 'v3'"),
        (["--plot", "points.gif"], "plots are .svg or .png"),
    ],
)
def test_bad_options(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        assert run(*arguments) == 2
    except SystemExit as left:
        assert left.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and message in lines[0]


def test_plots_need_accuracies_and_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(InputError, match="no accuracy was published"):
        plot.check("a.svg", [None])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'separable\[plot\]'"):
        plot.check("a.svg", [70.9])


@pytest.mark.usefixtures("instant")
def test_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--jobs", "1", "--markdown") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert len(lines) == 2 + 16
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    assert len({len(row) for row in cells}) == 1
    assert cells[0][:4] == ["network", "α", "ρ", "top-1"]
    assert all(set(cell) <= set("-:") for cell in cells[1])
    assert cells[2][:4] == ["MobileNet V1", "1", "224", "70.9"]
