"""Comparison of two reports of the benchmark, and its table as CSV."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from support.command import BOARD, error_of
from support.networks import small_model

import sw.compile
from sw.bench.__main__ import main
from sw.bench.compare import compare, read_measurements


def network(name: str = "net", **layers: int) -> dict[str, Any]:
    return {"model": name, "board": "icebreaker", "cycles": sum(layers.values()),
            "layers": [{"name": layer, "cycles": cycles} for layer, cycles in layers.items()]}


def write(path: Path, *networks: dict[str, Any]) -> str:
    path.write_text(json.dumps({"networks": list(networks)}))
    return str(path)


def test_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = write(tmp_path / "a.json", network(one=1000, two=50, gone=7), network("old", x=1))
    after = write(tmp_path / "b.json", network(one=900, two=50, new=9), network("young", y=1))
    report = tmp_path / "report.json"
    assert main(["--compare", before, after, "--json", str(report)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"\bbefore\W+after\W+difference\b", printed)
    assert "1,057" in printed and "959" in printed and "-98" in printed and "-9.3%" in printed
    assert "-10.0%" in printed and "+9" in printed and "1 of 4 layers are alike" in printed
    assert f"only in {before}: old" in printed.replace("\n", "")
    assert f"only in {after}: young" in printed.replace("\n", "")
    assert max(map(len, printed.split("only in")[0].splitlines())) <= 80
    (found,) = json.loads(report.read_text())["networks"]
    assert (found["model"], found["before"], found["after"], found["difference"]) == (
        "net", 1057, 959, -98)
    assert [(x["name"], x["before"], x["after"], x["difference"]) for x in found["layers"]] == [
        ("one", 1000, 900, -100), ("two", 50, 50, 0), ("gone", 7, None, -7), ("new", None, 9, 9)]
    # The other way round it is slower.
    assert main(["--compare", after, before]) == 1
    assert main(["--compare", before, before]) == 0


def test_reports_of_other_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, bench, compiled = (tmp_path / name for name in ("net.tflite", "a.json", "b.json"))
    model.write_bytes(small_model())
    table = tmp_path / "layers.csv"
    assert main([str(model), *BOARD, "--model", "--json", str(bench), "--csv", str(table)]) == 0
    assert sw.compile.main([str(model), *BOARD, "--json", str(compiled)]) == 0
    (one,) = compare(read_measurements(str(bench)), read_measurements(str(compiled)))
    assert one.total.difference == 0 and not one.slower
    rows = list(csv.DictReader(table.read_text().splitlines()))
    layers = json.loads(bench.read_text())["networks"][0]["layers"]
    assert [row["name"] for row in rows] == [layer["name"] for layer in layers]
    for row, layer in zip(rows, layers, strict=True):
        assert row["network"] == "net" and row["source"] == "model"
        assert int(row["cycles"]) == layer["cycles"]
        parts = ("steps", "input", "weights", "requantise", "fill")
        assert sum(int(row[part]) for part in parts) == layer["cycles"]
    capsys.readouterr()


@pytest.mark.parametrize(("content", "message"), [
    (b"", "not JSON"),
    (b"\xff\xfe\xff", "not JSON"),
    (b"[" * 100_000, "not JSON"),
    (b"[]", "has no cycles of networks"),
    (b"{}", "has no cycles of networks"),
    (b'{"networks": [{"model": "x"}]}', "has no cycles of networks"),
    (b"null", "has no cycles of networks"),
])
def test_files_of_something_else(
    content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = write(tmp_path / "a.json", network(one=1)), tmp_path / "bad.json"
    bad.write_bytes(content)
    assert main(["--compare", good, str(bad)]) == 2
    assert f"bad.json: {message}" in error_of(capsys)


@pytest.mark.parametrize("cycles", [math.inf, math.nan, None, True, 0, -5, 1.5, 10**400, "7"])
def test_numbers_that_are_no_cycles(
    cycles: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "a.json", network(one=1))
    layer = {**network(one=1), "layers": [{"name": "one", "cycles": cycles}]}
    for wrong in (layer, {**network(one=1), "cycles": cycles}):
        bad = write(tmp_path / "bad.json", wrong)
        assert main(["--compare", good, bad]) == 2
        assert "bad.json: has no cycles of networks" in error_of(capsys)


@pytest.mark.parametrize("key", ["model", "board"])
def test_names_are_texts(key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write(tmp_path / "a.json", network(one=1))
    bad = write(tmp_path / "bad.json", network(one=1), {**network("other", one=1), key: None})
    assert main(["--compare", good, bad]) == 2
    assert "bad.json: has no cycles of networks" in error_of(capsys)


def test_two_boards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "a.json", network(one=1))
    two = write(tmp_path / "b.json", {**network(one=1), "board": "ulx3s"})
    assert main(["--compare", one, two]) == 2
    assert "net is of the board icebreaker in the first file and of ulx3s in" in error_of(capsys)


def test_nothing_in_common(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "a.json", network("one", x=1))
    two = write(tmp_path / "b.json", network("two", x=1))
    assert main(["--compare", one, two]) == 2
    assert "no network in common: one and two" in error_of(capsys)
    twice = write(tmp_path / "c.json", network("one", x=1), network("one", x=2))
    assert main(["--compare", one, twice]) == 2
    assert "two networks of one name" in error_of(capsys)
    assert main(["--compare", one, str(tmp_path / "missing.json")]) == 2
    assert "missing.json" in error_of(capsys)
    assert main(["--compare", one, two, "--json", one]) == 2
    assert "is read" in error_of(capsys)


def test_other_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "a.json", network("one", x=1))
    for more in (["net.tflite"], ["--layers"], ["--csv", str(tmp_path / "x.csv")]):
        with pytest.raises(SystemExit) as ended:
            main([*more, "--compare", one, one])
        assert ended.value.code == 2
        assert "--compare measures nothing" in error_of(capsys)
