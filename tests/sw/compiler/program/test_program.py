"""Programs as files, the command-line tool, and streams that are not well formed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.compiled import check_program, random_inputs
from support.plans import load_program, save_program

from common.errors import InputError
from hw.contract.config import CoreConfig
from hw.contract.descriptors import DESCRIPTOR_HALFWORDS
from hw.contract.records import Record, header
from hw.contract.sections import SECTION_BYTES, TRAILER_BYTES, seal, unseal
from sim.functional import FunctionalCore, run_program
from sim.records import ProgramError, records
from sw import compile as tool
from sw import importer
from sw.compiler import compile_graph
from sw.compiler.program.encoding import descriptor_words
from sw.compiler.timing import predict
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph


def small() -> tuple[Graph, bytes]:
    net = NetworkBuilder(seed=2, dtype="uint8")
    x = net.quantize(net.input((1, 8, 8, 3)), "int8")
    x = net.conv_2d(net.mul(x, net.constant((3,))), 16, kernel=(3, 3), stride=(2, 2))
    x = net.average_pool_2d(net.depthwise_conv_2d(x), window=(4, 4))
    data = net.build(outputs=[net.softmax(net.fully_connected(net.reshape(x, (1, 16)), 4))])
    return importer.loads(data, "small"), data


def test_saved_programs_are_the_same(tmp_path: Path) -> None:
    graph, _ = small()
    program = compile_graph(graph, CoreConfig(), board="icebreaker", flash_address=0x30000)
    save_program(program, tmp_path / "small.bin")
    loaded = load_program(tmp_path / "small.bin")
    for name in ("model", "board", "config", "flash", "flash_address", "ring", "outputs"):
        assert getattr(loaded, name) == getattr(program, name)
    for name in ("tensors", "layers", "work", "aliases"):
        assert getattr(loaded, name) == getattr(program, name)
    assert predict(loaded) == predict(program)
    for seed in range(2):
        inputs = random_inputs(graph, seed)
        check_program(graph, loaded, inputs)
        for (a, first), (b, second) in zip(
            program.prepare(inputs), loaded.prepare(inputs), strict=True
        ):
            assert a == b
            np.testing.assert_array_equal(first, second)


def test_the_ring_grows_when_tensors_are_done_with() -> None:
    net = NetworkBuilder(seed=2)
    x = net.conv_2d(net.input((1, 32, 32, 3)), 16, kernel=(3, 3), stride=(2, 2))
    x = net.conv_2d(net.depthwise_conv_2d(x, stride=(2, 2)), 8)
    y = net.conv_2d(x, 8)
    program = compile_graph(importer.loads(net.build(outputs=[y]), "small"), CoreConfig())
    first, moves = program.ring[0], []
    for work in program.work:
        if work.descriptor.ring_moves:
            assert work.descriptor.ring_first < first
            first = work.descriptor.ring_first
            moves.append(first)
    place = program.tensors[y]
    assert moves and first >= place.address + place.words


def test_missing_outputs_are_named() -> None:
    graph, _ = small()
    with pytest.raises(InputError, match="is missing"):
        compile_graph(graph, CoreConfig()).finish({})


def test_the_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph, data = small()
    model, program, report = (tmp_path / n for n in ("small.tflite", "small.bin", "small.json"))
    model.write_bytes(data)
    options = ["--board", "icebreaker", "--output", str(program), "--json", str(report)]
    assert tool.main([str(model), *options]) == 0
    text = capsys.readouterr().out
    assert "DEPTHWISE_CONV_2D" in text and "inferences/s at" in text
    result = json.loads(report.read_text())
    assert result["model"] == "small" and result["board"] == "icebreaker"
    assert result["macs"] == sum(layer["macs"] for layer in result["layers"])
    assert result["cycles"] == sum(layer["cycles"] for layer in result["layers"])
    assert result["utilization"] == result["macs"] / result["cycles"] / 16
    assert [layer["op"] for layer in result["layers"]] == [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "AVERAGE_POOL_2D",
        "FULLY_CONNECTED",
    ]
    assert all(
        set(layer) == {"name", "op", "macs", "cycles", "utilization", "exact", "proven"}
        and layer["exact"] is None
        and layer["proven"] is True
        for layer in result["layers"]
    )
    loaded = load_program(program)
    check_program(graph, loaded, random_inputs(graph, 0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.tflite", "--board", "icebreaker"], "missing.tflite: cannot be read"),
        (["missing.tflite", "--board", "icebraker"], "icebreaker"),
    ],
)
def test_errors_of_the_tool(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = tool.main(arguments)
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    assert code != 0
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert message in error


def test_descriptors_survive_the_stream() -> None:
    graph, _ = small()
    program = compile_graph(graph, CoreConfig())
    decoded = [descriptor for descriptor, _ in records(program.flash, program.config)]
    assert [d.last for d in decoded] == [False] * (len(decoded) - 1) + [True]
    for descriptor, work in zip(decoded, program.work, strict=True):
        a, b = (descriptor_words(d, 8)[1:].tolist() for d in (descriptor, work.descriptor))
        # The last one is marked in the stream only.
        a[0][0] &= ~8
        b[0][0] &= ~8
        assert a == b
    for (_, blocks), work in zip(records(program.flash, program.config), program.work, strict=True):
        assert [9 + 2 * len(block.weights) for block in blocks] == list(work.block_words)


def word(kind: Record, count: int = 0) -> bytes:
    return header(kind, count).to_bytes(2, "little") + bytes(6)


def test_malformed_streams() -> None:
    graph, _ = small()
    program = compile_graph(graph, CoreConfig())
    run = list(records(program.flash, program.config))
    assert len(run) == 4
    with pytest.raises(ProgramError, match="checksum of section 0 must be right"):
        list(records(b"x" + program.flash[1:], program.config))
    with pytest.raises(ProgramError, match="last section is missing"):
        list(records(program.flash[: -SECTION_BYTES - TRAILER_BYTES], program.config))
    # Whole sections: padding would be END records.
    layer = descriptor_words(replace(program.work[0].descriptor, steps=25), 8).tobytes()
    block = word(Record.BLOCK, 50) + bytes(8 * 58)
    with pytest.raises(ProgramError, match="without an END"):
        list(records(seal(layer + block), program.config))
    with pytest.raises(ProgramError, match="not marked as the last"):
        list(records(seal(word(Record.END)), program.config))
    descriptor = unseal(program.flash)[: 8 + 2 * DESCRIPTOR_HALFWORDS]
    with pytest.raises(ProgramError, match="blocks has 0"):
        list(records(seal(descriptor + word(Record.END)), program.config))
    with pytest.raises(ProgramError, match="number of steps"):
        list(records(seal(descriptor + word(Record.BLOCK, 2) + bytes(8 * 10)), program.config))


def test_writing_into_the_ring_is_an_error() -> None:
    graph, _ = small()
    program = compile_graph(graph, CoreConfig())
    core = FunctionalCore(program.config)
    with pytest.raises(ProgramError, match="into the ring"):
        list(core.run(program.flash, (0, 1000)))


def test_results_do_not_depend_on_junk() -> None:
    graph, _ = small()
    program = compile_graph(graph, CoreConfig())
    inputs = random_inputs(graph, 5)
    first, second = (run_program(program, inputs, seed=seed) for seed in (1, 2))
    for index, value in first.items():
        np.testing.assert_array_equal(value, second[index])
