"""Networks whose input is written while the core runs: predictions with the host's rate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.plans import plan_of

import boards
from sw import compile as sw_compile
from sw import golden, importer
from sw import run as sw_run
from sw.arrival import cycles_with_input, sentence
from sw.compiler import compile_graph
from sw.compiler.timing import BUS_PACE, predict
from sw.driver import Device
from sw.driver.simulation import SimTransport
from sw.fuzz.builder import NetworkBuilder

pytestmark = pytest.mark.slow

BOARD = boards.get("icebreaker")
CONFIG, BAUD = BOARD.config, BOARD.baud


def thin() -> bytes:
    """Return a network that is done long before its input has come."""
    net = NetworkBuilder(seed=1)
    x = net.input((1, 208, 208, 3))
    y = net.conv_2d(x, 8, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    y = net.depthwise_conv_2d(y, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    return net.build(outputs=[net.depthwise_conv_2d(y, kernel=(3, 3), stride=(2, 2))])


def busy() -> bytes:
    """Return a network whose array, results and flash want the memory while the input comes."""
    net = NetworkBuilder(seed=2)
    x = net.input((1, 160, 160, 8))
    y = net.conv_2d(x, 24, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    y = net.depthwise_conv_2d(y, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    y = net.conv_2d(net.conv_2d(y, 96), 16)
    return net.build(outputs=[net.depthwise_conv_2d(y, kernel=(3, 3), stride=(2, 2))])


@pytest.mark.slow
@pytest.mark.parametrize(("data", "pace"), [(thin(), BUS_PACE), (busy(), BUS_PACE), (busy(), 40)])
def test_predicted_is_counted(data: bytes, pace: int) -> None:
    """To the cycle, and in every layer; also while somebody looks at the memory."""
    graph = importer.loads(data, "late")
    program = compile_graph(graph, CONFIG)
    assert program.streams_input
    shape, (output,) = graph.tensors[graph.inputs[0]].shape, graph.outputs
    x = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)
    expected = predict(program, pace)
    assert sum(expected) >= sum(predict(program))
    with Device(SimTransport(CONFIG, pace=pace), CONFIG) as device:
        device.load(program)
        for observe in (None, lambda number, value: None):
            result = device.infer(x, observe)
            np.testing.assert_array_equal(result.tensors[output], golden.run(graph, x)[output])
            assert result.layer_cycles == expected
            assert result.cycles == sum(expected)


@pytest.mark.slow
def test_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both tools say what the time depends on, and give all of them."""
    model, file = tmp_path / "late.tflite", tmp_path / "x.npy"
    model.write_bytes(thin())
    np.save(file, np.zeros((1, 208, 208, 3), np.int8))
    program = compile_graph(importer.load(model), CONFIG)
    both = cycles_with_input(plan_of(program), BAUD)
    assert both is not None
    assert sum(predict(program)) < both["sim"] < both["line_at_least"]
    paths = tmp_path / "compile.json", tmp_path / "run.json"
    common = ["--board", "icebreaker", "--json"]
    assert sw_compile.main([str(model), *common, str(paths[0])]) == 0
    assert sentence(plan_of(program), BAUD) in capsys.readouterr().out
    assert sw_run.main([str(model), str(file), *common, str(paths[1])]) == 0
    assert sentence(plan_of(program), BAUD) in capsys.readouterr().out
    compiled, ran = (json.loads(path.read_text()) for path in paths)
    assert compiled["cycles"] == ran["predicted_cycles"] == sum(predict(program))
    assert compiled["cycles_with_input"] == ran["cycles_with_input"] == both
    assert ran["cycles"] == both["sim"]


def test_an_input_that_fits_depends_on_nobody() -> None:
    net = NetworkBuilder(seed=3)
    y = net.conv_2d(net.input((1, 16, 16, 3)), 8, kernel=(3, 3), stride=(2, 2))
    program = compile_graph(importer.loads(net.build(outputs=[y]), "small"), CONFIG)
    assert predict(program, BUS_PACE) == predict(program)
    assert cycles_with_input(plan_of(program), BAUD) is None
    assert sentence(plan_of(program), BAUD) == ""
