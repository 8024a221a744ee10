"""Real networks, compiled and run on the functional model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.compiled import check_program
from support.marks import slow

import boards
from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from sw import images, importer
from sw.compiler import compile_graph, compile_layer
from sw.compiler.timing import predict
from sw.ir import Graph

INPUTS = {
    "vww_96_int8": (
        "vww_quant_test_no_0.dat",
        "vww_quant_test_no_1.dat",
        "vww_quant_test_yes_0.dat",
        "vww_quant_test_yes_1.dat",
    ),
    "person_detect": ("person.png", "no_person.png"),
    "mobilenet_v1_0.25_128_quant": ("cat.bmp", "bird.bmp", "grace_hopper.bmp"),
}
CONFIGS = {"exact": CoreConfig(), "icebreaker": boards.get("icebreaker").config}


def load(shared: Path, name: str) -> Graph:
    return importer.load(shared / "models" / f"{name}.tflite")


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(
    "name", ["vww_96_int8", "person_detect", slow("mobilenet_v1_0.25_128_quant")]
)
def test_every_tensor_equals_golden(shared: Path, name: str, config: str) -> None:
    graph = load(shared, name)
    program = compile_graph(graph, CONFIGS[config])
    for file in INPUTS[name]:
        check_program(graph, program, [images.load(shared / "images" / file, graph)])


@pytest.mark.parametrize(
    ("name", "macs", "steps", "cycles"),
    [
        ("vww_96_int8", 7_489_664, 14, 485_000),
        ("person_detect", 7_157_888, 5, 465_000),
        slow("mobilenet_v1_0.25_128_quant", 13_570_304, 15, 1_035_000),
        slow("mobilenetv2_160_035", 29_597_360, 15, 2_050_000),
    ],
)
def test_sizes(shared: Path, name: str, macs: int, steps: int, cycles: int) -> None:
    program = compile_graph(load(shared, name), CONFIGS["icebreaker"])
    assert program.macs == macs
    assert program.work[0].descriptor.steps == steps
    assert sum(predict(program)) < cycles


@pytest.mark.slow
def test_v2_runs_row_by_row_where_it_has_to(shared: Path) -> None:
    graph = load(shared, "mobilenetv2_160_035")
    program = compile_graph(graph, CONFIGS["icebreaker"])
    rows = {program.layers[work.layer].name for work in program.work if work.rows == 1}
    # 80×80×48 of the second block take 307 KB; from 40×40 on tensors are whole.
    assert {"conv_2d_2", "conv_2d_5", "depthwise_conv_2d_6"} <= rows
    assert "conv_2d_8" not in rows
    x = images.load(shared / "images" / "mnv2_160_00002_2532.npy", graph)
    check_program(graph, program, [x])


@pytest.mark.slow
def test_networks_that_do_not_fit(shared: Path) -> None:
    config = dataclasses.replace(CoreConfig(), memory_depth=2048)
    with pytest.raises(UnsupportedError, match=r"needs at least [0-9]+ KB .* the core has 16 KB"):
        compile_graph(load(shared, "mobilenetv2_160_035"), config)


def test_single_layers(shared: Path) -> None:
    graph = load(shared, "vww_96_int8")
    compiled = 0
    for number, op in enumerate(graph.ops):
        if op.kind not in ("RESHAPE", "SOFTMAX"):
            program = compile_layer(graph, number, CoreConfig())
            assert [layer.name for layer in program.layers] == [op.name]
            compiled += 1
    assert compiled == 29
