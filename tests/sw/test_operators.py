"""The list of supported operators: complete, readable, and what the importer does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

import boards
from sw import compile as command
from sw import importer, ir, operators
from sw.compiler.rules import Runs
from sw.fuzz.builder import NetworkBuilder
from sw.importer.constraints import CONSTRAINTS
from sw.importer.converters import ALSO

BOARD = boards.get("icebreaker")
EVERY = operators.operators()


def test_every_operator_has_a_row() -> None:
    """Those that the importer reads, and with them all that the graph has."""
    assert [op.name for op in EVERY] == sorted(CONSTRAINTS)
    assert {kind.kind for kind in get_args(ir.Operator)} <= {op.name for op in EVERY}
    for op in EVERY:
        assert op.file_rules
        assert bool(op.core_rules) == (op.name not in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"))


@pytest.mark.parametrize("name", ["SQUEEZE", "EXPAND_DIMS", "SLICE", "SPLIT", "SPLIT_V", "UNPACK"])
def test_what_others_become(name: str) -> None:
    net = NetworkBuilder()
    x = net.input((1, 4, 4, 2))
    match name:
        case "SQUEEZE":
            outputs = [net.squeeze(x)]
        case "EXPAND_DIMS":
            outputs = [net.expand_dims(x, 0)]
        case "SLICE":
            outputs = [net.slice(x, (0, 1, 0, 0), (1, 2, 4, 2))]
        case "SPLIT":
            outputs = net.split(x, 1, 2)
        case "SPLIT_V":
            outputs = net.split_v(x, 1, [1, 3])
        case _:
            outputs = net.unpack(x, 3)
    graph = importer.loads(net.build(outputs=outputs))
    assert {type(op) for op in graph.ops} == {ALSO[name]}
    assert ALSO.keys() == {"SQUEEZE", "EXPAND_DIMS", "SLICE", "SPLIT", "SPLIT_V", "UNPACK"}


def test_blocks_have_every_rule_once() -> None:
    for blocks, rules in (
        (operators.file_blocks(EVERY), [rule for op in EVERY for rule in op.file_rules]),
        (operators.core_blocks(EVERY), [rule for op in EVERY for rule in op.core_rules]),
    ):
        said = [rule for block in blocks for rule in block.rules]
        assert len(said) == len(set(said)) and set(said) == set(rules)


def test_titles_name_the_operators() -> None:
    blocks = {rule: block.title for block in operators.file_blocks(EVERY) for rule in block.rules}
    by_rule = {rule: [op.name for op in EVERY if rule in op.file_rules] for rule in blocks}
    for rule, names in by_rule.items():
        others = [op.name for op in EVERY if op.name not in names]
        if blocks[rule].startswith("every operator"):
            assert blocks[rule] == " but ".join(["every operator", ", ".join(others)][: 1 + bool(
                others)])
        else:
            assert blocks[rule] == ", ".join(names)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_text_fits(width: int) -> None:
    for name in ("", *(op.name for op in EVERY)):
        text = operators.text(BOARD, name, width)
        assert max(map(len, text.splitlines())) <= width
        words = " ".join(text.split())
        for op in EVERY:
            if name in ("", op.name):
                assert op.name in words
                for rule in (*op.file_rules, *op.core_rules):
                    assert rule in words.replace(" - ", " ")


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "operators.json"
    line = ["--board", "icebreaker", "--json", str(path), "--supported-operators"]
    assert command.main(line) == 0
    printed = capsys.readouterr().out
    assert printed == operators.text(BOARD) + "\n"
    found = json.loads(path.read_text())
    assert found["board"] == "icebreaker" and found["limits"]["products"] == 1024
    assert [entry["name"] for entry in found["operators"]] == [op.name for op in EVERY]
    for entry, op in zip(found["operators"], EVERY, strict=True):
        assert entry["runs"] == op.runs.name.lower() in {place.name.lower() for place in Runs}
        assert entry["file_rules"] == list(op.file_rules)
        assert entry["core_rules"] == list(op.core_rules)
    assert command.main([*line, "softmax"]) == 0
    assert capsys.readouterr().out == operators.text(BOARD, "SOFTMAX") + "\n"
    assert [entry["name"] for entry in json.loads(path.read_text())["operators"]] == ["SOFTMAX"]


@pytest.mark.parametrize("name", sorted({name for names in operators.places(EVERY).values()
                                         for name in names}))
def test_every_name_of_the_overview_is_answered(name: str) -> None:
    report = operators.report(BOARD, name)
    first, *_ = operators.text(BOARD, name.lower(), 400).split("\n\n")
    assert first.splitlines() == [f"{name}: {place}" for place, names in
                                  operators.places(EVERY).items() if name in names]
    assert {*[entry["name"] for entry in report["operators"]], *report["shape_operators"]} == {name}


def test_command_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--board", "icebreaker", "--supported-operators"]
    assert command.main([*line, "SOFTMIN"]) == 2
    assert "no supported operator 'SOFTMIN'; there are ADD," in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["net.tflite", *line])
    assert "leave out networks" in capsys.readouterr().err
