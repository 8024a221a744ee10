"""Frames in, records out; scores, statistics, and the views of the terminal."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from support.networks import small_model
from support.streams import ABOUT, BAD, GOOD, KEYS, NOW, tensor

import boards
from common.terminal import printable
from sw import golden, importer
from sw.compiler import compile_graph
from sw.compiler.timing import predict
from sw.driver import DeviceError, GoldenDevice, StreamResult, open_device
from sw.ir import Graph
from sw.stream.engine import Engine
from sw.stream.prefetch import Prefetch
from sw.stream.records import Record, Statistics
from sw.stream.sources import Frame
from sw.stream.view import JsonLines, LiveView, PlainLines

CONFIG = boards.get("icebreaker").config


@pytest.fixture(scope="module")
def graph() -> Graph:
    return importer.loads(small_model(), "small")


def frames(count: int, unusable: Iterable[int] = ()) -> Iterator[Frame]:
    for number in range(count):
        if number in unusable:
            yield Frame(number=number, name=f"f{number}", error="cannot be used")
        else:
            yield Frame(number=number, name=f"f{number}", x=tensor(number), seconds=0.25)


class AheadDevice:
    """Takes frames ahead of its results, as a device whose link is busy while the core computes."""

    def __init__(self, graph: Graph, ahead: int, fail: Iterable[int] = ()) -> None:
        self.graph, self.ahead, self.fail = graph, ahead, set(fail)
        self.bursts: list[int] = []

    def stream(self, inputs: Iterable[np.ndarray]) -> Iterator[StreamResult]:
        waiting: list[np.ndarray] = []
        self.bursts.append(0)
        for x in inputs:
            waiting.append(x)
            if len(waiting) > self.ahead:
                yield self.result(waiting.pop(0))
        for x in waiting:
            yield self.result(x)

    def result(self, x: np.ndarray) -> StreamResult:
        index = self.bursts[-1]
        self.bursts[-1] += 1
        if sum(self.bursts) - 1 in self.fail:
            return StreamResult(index=index, error=DeviceError("no result"), retries=4)
        return StreamResult(
            index=index, tensors=golden.run(self.graph, x), cycles=39_750, upload_seconds=1e-3,
            compute_seconds=2e-3, link_seconds=3e-3, retries=1,
        )


def expected(graph: Graph, number: int) -> list[int]:
    output = golden.run(graph, tensor(number))[graph.outputs[0]]
    return [int(value) for value in output.ravel()]


@pytest.mark.slow
def test_on_the_simulated_core(graph: Graph) -> None:
    program = compile_graph(graph, CONFIG)
    with open_device("sim", CONFIG) as device:
        device.load(program)
        engine = Engine(graph, device, clock_mhz=CONFIG.core_mhz, verify=True)
        done = list(engine.run(Prefetch(frames(4, unusable=[2]))))
    assert [record.number for record in done] == [0, 1, 2, 3]
    for record in done:
        if record.number == 2:
            assert record.error == "cannot be used" and not record.outputs
            assert record.exact is None and record.cycles is None
            continue
        assert record.json()["output"] == expected(graph, record.number)
        assert record.exact is True and not record.error
        assert record.cycles == sum(predict(program))
        assert record.board_seconds == record.cycles / (CONFIG.core_mhz * 1e6)
        assert record.prepare_seconds == 0.25
        assert record.compute_seconds == pytest.approx(record.board_seconds, rel=0.1)


@pytest.mark.parametrize("ahead", [0, 1, 3, 20])
@pytest.mark.parametrize("unusable", [[], [0], [9], [3, 4], range(10)])
def test_devices_that_take_frames_ahead(graph: Graph, ahead: int, unusable: Iterable[int]) -> None:
    engine = Engine(graph, AheadDevice(graph, ahead), clock_mhz=39.75)
    done = list(engine.run(Prefetch(frames(10, unusable))))
    assert [record.number for record in done] == list(range(10))
    for record in done:
        assert record.name == f"f{record.number}"
        if record.number in unusable:
            assert record.error == "cannot be used"
        else:
            assert record.json()["output"] == expected(graph, record.number)
            assert record.board_seconds == pytest.approx(1e-3)


def test_a_slow_source_does_not_hold_results_back(graph: Graph) -> None:
    gate = threading.Event()

    def slowly() -> Iterator[Frame]:
        for frame in frames(3):
            yield frame
            assert gate.wait(10)
            gate.clear()

    device = AheadDevice(graph, ahead=2)
    done = []
    for record in Engine(graph, device, clock_mhz=39.75).run(Prefetch(slowly())):
        # Only now does the next frame come.
        done.append(record.number)
        gate.set()
    assert done == [0, 1, 2]
    assert device.bursts == [1, 1, 1]


def test_failures_of_single_frames(graph: Graph) -> None:
    engine = Engine(graph, AheadDevice(graph, 1, fail=[1]), clock_mhz=39.75)
    first, second, third = engine.run(Prefetch(frames(3)))
    assert first.outputs and third.outputs
    assert (second.error, second.outputs, second.retries) == ("no result", [], 4)


def test_differences_from_the_golden_model(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(AheadDevice):
        def result(self, x: np.ndarray) -> StreamResult:
            result = super().result(x)
            if np.array_equal(x, tensor(1)):
                result.tensors[graph.outputs[0]] = result.tensors[graph.outputs[0]] ^ 4
            return result

    engine = Engine(graph, Wrong(graph, 0), clock_mhz=39.75, verify=True)
    first, second, third = engine.run(Prefetch(frames(3)))
    assert first.exact is True and third.exact is True
    assert second.exact is False
    assert second.outputs and "the golden model's" in second.error


def test_the_golden_model_as_a_device(graph: Graph) -> None:
    engine = Engine(graph, GoldenDevice(graph), clock_mhz=39.75, link=False)
    (record,) = engine.run(Prefetch(frames(1)))
    assert record.json()["output"] == expected(graph, 0)
    assert record.cycles is None and record.board_seconds is None and record.link_seconds is None
    assert record.compute_seconds > 0


# -- records and statistics ------------------------------------------------------------------------

def test_json() -> None:
    assert GOOD.json() == {
        "frame": 3, "input": "cat.png", "output": [1, -2],
        "top": [{"class": 0, "label": "cat", "score": 0.75}], "found": None,
        "cycles": 397_500, "ms": 10.0,
        "prepare_ms": 1.2346, "upload_ms": 2.0, "compute_ms": 10.0, "download_ms": 1.0,
        "host_ms": 0.0,
        "retries": 2, "exact": True, "error": None, "truth": None, "right": None,
    }
    assert GOOD.link_seconds == pytest.approx(0.003)
    data = BAD.json()
    assert set(data) == set(KEYS)
    assert (data["output"], data["top"], data["cycles"], data["ms"]) == ([], [], None, None)
    two = Record(number=0, name="", outputs=[np.array([1]), np.array([[2, 3]])])
    assert two.json()["output"] == [[1], [2, 3]]


def test_statistics() -> None:
    now = 100.0

    def clock() -> float:
        return now

    statistics = Statistics(clock)
    for step in range(50):
        now += 0.5 if step < 10 else 0.1
        statistics.add(GOOD if step % 5 else BAD, dropped=step)
    state = statistics.now
    assert (state.frames, state.errors, state.retries, state.dropped) == (40, 10, 80, 49)
    assert state.seconds == pytest.approx(9.0)
    # Of the last 32 results: four of five steps, a tenth of a second each.
    assert state.rate == pytest.approx(31 / 3.9, rel=0.03)
    assert state.board_rate == pytest.approx(100)
    text = statistics.summary(39.75, verified=True)
    assert text == (
        "40 frames in 9.0 s; 4.4 inferences/s; 397,500 cycles each on average (100.0 inferences/s "
        "at 39.75 MHz, computing alone); 10 without a result; 80 packets sent again; 49 overtaken "
        "by newer ones; all exact"
    )
    assert Statistics(clock).summary(39.75) == "0 frames in 0.0 s"


def test_the_rate_forgets() -> None:
    now = 0.0
    statistics = Statistics(lambda: now)
    for step in (0.01, 0.01, 0.01, 3.0, 3.0, 3.0):
        now += step
        statistics.add(GOOD)
    assert statistics.now.rate == pytest.approx(1 / 3, rel=0.01)


# -- views -----------------------------------------------------------------------------------------

def drawn(record: Record, **options: Any) -> str:
    file = io.StringIO()
    console = Console(file=file, width=90, height=40, **options)
    view = LiveView(ABOUT, console)
    view.show(record, NOW)
    view.show(BAD, NOW)
    console.print(view.render())
    return file.getvalue()


def test_the_live_view() -> None:
    text = drawn(GOOD, force_terminal=False)
    for part in (
        "net · icebreaker, simulated", "folder", "frame 3", "cat.png", "cat", "75.0%",
        "12.3 inferences/s measured", "81.3 at 39.75 MHz (397,500 cycles)", "prepare 1.23 ms",
        "upload 2.00 ms", "compute 10.00 ms", "download 1.00 ms", "1,234 frames   1 error   ",
        "7 retries", "42.5 frames/s with the line", "exact",
        "frame 4: dog.png: not a readable image",
    ):
        assert part in text, text
    assert all(len(line) <= 90 for line in text.splitlines())


def test_colours_only_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = drawn(GOOD, force_terminal=True, color_system="standard")
    assert "\x1b[32m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    plain = drawn(GOOD, force_terminal=True, color_system="standard")
    assert "\x1b[3" not in plain and "\x1b[9" not in plain
    assert "75.0%" in plain


def test_names_are_no_commands_for_the_terminal() -> None:
    name = "a\x1b[2Jb\nc\udcff"
    assert printable(name) == "a\ufffd[2Jb\ufffdc\ufffd"
    assert "\x1b[2J" not in drawn(Record(number=1, name=name, error=name))
    file = io.StringIO()
    PlainLines(file).show(Record(number=1, name=name, error="x"), NOW)
    assert len(file.getvalue().splitlines()) == 1 and "\x1b" not in file.getvalue()


def test_lines() -> None:
    file = io.StringIO()
    for view in (PlainLines(file), JsonLines(file)):
        for record in (GOOD, BAD):
            view.show(record, NOW)
    plain, failed, *rest = file.getvalue().splitlines()
    rates = "12.3 inf/s  42.5 /s with the line"
    assert plain == f"     3  cat.png  cat 75.0%  10.00 ms  {rates}  retries 2  exact"
    assert failed == f"     4  dog.png  {rates}  ERROR: dog.png: not a readable image"
    assert [json.loads(line) for line in rest] == [GOOD.json(), BAD.json()]


# -- over a serial line ----------------------------------------------------------------------------


@pytest.mark.slow
def test_over_a_serial_line(graph: Graph) -> None:
    """The real link and core, simulated: times are those of the line."""
    board = boards.get("icebreaker")
    program = compile_graph(graph, board.config, flash_address=board.flash.program_base)
    with open_device("sim:link", board.config, baud=board.baud) as device:
        device.load(program)
        engine = Engine(graph, device, clock_mhz=board.config.core_mhz, verify=True)
        done = list(engine.run(Prefetch(frames(5, unusable=[2]))))
    assert [record.number for record in done] == list(range(5))
    for record in done:
        if record.number != 2:
            assert record.json()["output"] == expected(graph, record.number)
            assert record.exact is True and record.cycles == sum(predict(program))
            # Ten bits a byte, and what surrounds them.
            assert record.upload_seconds > 432 * 10 / board.baud
            assert record.compute_seconds > record.board_seconds and record.download_seconds > 0
            assert record.retries == 0
