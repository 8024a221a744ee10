"""Networks on a device: several programs, several networks in one flash."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.compiled import random_inputs
from support.divided import heads_over_the_host, host_between

import boards
from common.errors import InputError
from sw import compile as sw_compile
from sw import golden, importer
from sw.compiler import Plan, compile_network, load_plan
from sw.driver import Device, NetworkDevice, open_device
from sw.driver.simulation import SimTransport
from sw.ir import Graph

CONFIG = boards.get("icebreaker").config
BOARD = ("--board", "icebreaker")


def compiled(data: bytes, name: str) -> tuple[Graph, Plan]:
    graph = importer.loads(data, name)
    return graph, compile_network(graph, CONFIG, board="icebreaker")


def outputs_are_right(graph: Graph, device: NetworkDevice, seed: int) -> None:
    inputs = random_inputs(graph, seed)
    expected, got = golden.run(graph, inputs), device.infer(inputs).tensors
    for index in graph.outputs:
        np.testing.assert_array_equal(got[index], expected[index])


@pytest.mark.slow
def test_times_and_progress_are_of_all_programs() -> None:
    graph, plan = compiled(host_between(), "between")
    seen: list[tuple[int, int]] = []
    with NetworkDevice(open_device("sim", CONFIG), plan) as device:
        device.load(lambda done, total: seen.append((done, total)))
        assert seen[-1] == (plan.flash_bytes, plan.flash_bytes)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        result = device.infer(random_inputs(graph, 0))
        assert result.host_seconds > 0 and result.layer_cycles is not None
        assert len(result.layer_cycles) == len(plan.layers)


@pytest.mark.slow
def test_streams_of_several_programs() -> None:
    """A frame that does not fit has an error, and the others have results, in order."""
    graph, plan = compiled(heads_over_the_host(), "heads")
    frames = [random_inputs(graph, seed) for seed in range(3)]
    with NetworkDevice(open_device("sim", CONFIG), plan) as device:
        device.load()
        results = list(device.stream([*frames[:2], [np.zeros((1, 2), np.int8)], frames[2]]))
    assert [result.index for result in results] == [0, 1, 2, 3]
    assert isinstance(results[2].error, InputError) and not results[2].tensors
    for frame, result in zip(frames, (results[0], results[1], results[3]), strict=True):
        expected = golden.run(graph, frame)
        assert result.error is None and result.cycles is not None
        for index in graph.outputs:
            np.testing.assert_array_equal(result.tensors[index], expected[index])


@pytest.mark.slow
def test_networks_in_one_flash(tmp_path: Path) -> None:
    """Each is stored once, and runs when it is asked."""
    files = []
    behind: list[str] = []
    for name, data in (("heads", heads_over_the_host()), ("between", host_between())):
        model, program = tmp_path / f"{name}.tflite", tmp_path / f"{name}.prog"
        model.write_bytes(data)
        assert sw_compile.main([str(model), *BOARD, "--output", str(program), *behind]) == 0
        files.append(program)
        behind += ["--behind", str(program)]
    plans = [load_plan(file) for file in files]
    ends = [(p.flash_address, p.flash_address + len(p.flash)) for q in plans for p in q.programs]
    assert all(one[1] <= other[0] for one, other in pairwise(ends))
    with Device(SimTransport(CONFIG), CONFIG) as device:
        devices = [NetworkDevice(device, plan) for plan in plans]
        for one in devices:
            one.load()
        for seed, number in enumerate((0, 1, 0, 0, 1)):
            outputs_are_right(plans[number].network, devices[number], seed)


def test_behind_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(host_between())
    for wrong in (model, tmp_path / "missing.prog"):
        assert sw_compile.main([str(model), *BOARD, "--behind", str(wrong)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {wrong}: ")
