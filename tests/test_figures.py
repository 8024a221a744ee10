"""The figures of README and docs: text, file and measurement agree."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.places import SHARED

import boards
from common import cache
from common.errors import InputError
from sw import importer
from sw.explore import tables
from sw.explore.sweep import ARCHITECTURES, Request
from sw.figures import __main__ as command
from sw.figures import (
    accuracy,
    build,
    detector,
    documents,
    explorer,
    networks,
    pictures,
    store,
)
from sw.figures.claims import CLAIMS
from sw.figures.store import ROOT, lookup
from sw.networks import published, shipped
from sw.networks.scenes import f1
from sw.quantize.detectors import golden_found

FIGURES = store.read()
PUBLIC = [name for name in networks.CASES if name not in networks.SHIPPED]


# Text and file.


def test_the_documents_have_the_figures_of_the_file() -> None:
    assert list(documents.check(FIGURES)) == []


def test_the_pictures_are_made_of_the_figures_of_the_file() -> None:
    assert [(picture.path, why) for picture, why in pictures.stale(FIGURES)] == []


def test_the_picture_of_the_page_is_right() -> None:
    stated = lookup(FIGURES, "pictures")["docs/stream.png"]
    clock = boards.get(store.BOARD).config.core_mhz
    assert stated["clock"] == f"inferences/s at {clock:g} MHz"
    assert stated["answer"] == stated["truth"] and stated["exact"] == "exact"
    speed = lookup(FIGURES, f"networks/{pictures.SHOWN_NETWORK}/compact_input")
    assert stated["board-rate"] == f"{speed['inferences_per_second']:.1f}"


def test_the_picture_of_the_detector_is_right() -> None:
    stated = lookup(FIGURES, "pictures")["docs/detect.png"]
    assert sorted(stated["answer"].split(", ")) == sorted(stated["truth"].split(", "))
    assert stated["exact"] == "exact" and stated["error-count"] == "0"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the documents."""
    (tmp_path / "docs").mkdir()
    for name in (*documents.documents(), store.FILE, *(p.path for p in pictures.PICTURES)):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_a_table_that_differs_is_named_and_mended(checkout: Path) -> None:
    cycles = lookup(FIGURES, "networks/vww_96_int8/default/cycles")
    replace(checkout / "README.md", f"| {cycles:,} |", f"| {cycles - 1:,} |")
    (problem,) = documents.check(FIGURES, checkout)
    assert problem.startswith("README.md:") and f"{cycles:,}" in problem
    assert documents.write_documents(FIGURES, checkout) == ["README.md"]
    assert list(documents.check(FIGURES, checkout)) == []


def test_a_sentence_that_differs_is_named_and_mended(checkout: Path) -> None:
    rate = f"A frame comes every {lookup(FIGURES, 'line/period_ms'):.2f} ms"
    replace(checkout / "docs" / "stream.md", rate, "A frame comes\nevery 1,099.25 ms")
    (problem,) = documents.check(FIGURES, checkout)
    assert problem.startswith("docs/stream.md:") and "1,099.25" in problem
    assert documents.write_documents(FIGURES, checkout) == ["docs/stream.md"]
    assert rate.replace("comes ", "comes\n") in (checkout / "docs/stream.md").read_text("utf-8")


def test_marks_behind_numbers_stay(checkout: Path) -> None:
    seconds = lookup(FIGURES, "explorer/v2/processor_seconds")
    path = checkout / "docs" / "explore.md"
    before = path.read_text("utf-8")
    replace(path, f"about {seconds}, divided", f"about {seconds + 1000:,}, divided")
    assert documents.write_documents(FIGURES, checkout) == ["docs/explore.md"]
    assert path.read_text("utf-8") == before


@pytest.mark.parametrize("text", ["483,324 of them", "1.5 %", "40\nMHz", "some 97 cycles", "3 KB"])
def test_numbers_that_nobody_measured_are_named(checkout: Path, text: str) -> None:
    with (checkout / "README.md").open("a", encoding="utf-8") as file:
        file.write(f"\nIt takes {text}, everyone says.\n")
    (problem,) = documents.check(FIGURES, checkout)
    assert problem.startswith("README.md:") and "is no figure of docs/figures.json" in problem


def test_sentences_that_are_gone_are_named(checkout: Path) -> None:
    replace(checkout / "docs" / "stream.md", "A frame comes every", "Frames come every")
    with pytest.raises(InputError, match=r"docs/stream\.md: there is no sentence 'A frame"):
        list(documents.check(FIGURES, checkout))
    shutil.copy(ROOT / "docs" / "stream.md", checkout / "docs")
    replace(checkout / "docs" / "stream.md", "last 32 frames or 5 seconds", "last frames")
    (problem,) = documents.check(FIGURES, checkout)
    assert "is gone" in problem


def test_pictures_that_are_stale_are_named(checkout: Path) -> None:
    replace(checkout / "docs" / "bench.svg", "<svg", "<svg ")
    (checkout / "docs" / "stream.png").unlink()
    figures = json.loads(json.dumps(FIGURES))
    figures["explorer"]["figures"]["v1"]["rows"]["0.25/128"]["cycles"] += 1
    found = {picture.path: why for picture, why in pictures.stale(figures, checkout)}
    assert found == {"docs/explore.svg": "shows other figures or another page than there are now",
                     "docs/bench.svg": "is not the file that was made",
                     "docs/stream.png": "is missing"}


def test_plots_are_made_again(checkout: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("explore.svg", "bench.svg"):
        (checkout / "docs" / name).write_text("")
    said: list[str] = []
    made = pictures.make_pictures(FIGURES, said.append, checkout)
    assert said == ["docs/explore.svg", "docs/bench.svg"]
    figures = {**FIGURES, "pictures": {"figures": made}}
    assert list(pictures.stale(figures, checkout)) == []


def test_claims_are_about_documents() -> None:
    assert set(CLAIMS) <= set(documents.documents())


def test_figures_that_are_missing() -> None:
    for key in ("networks/vww_96_int8/default/cycle", "nothing/at/all", "build/sweep/seeds/9"):
        with pytest.raises(InputError, match=rf"has no figure '{key}'"):
            lookup(FIGURES, key)


def test_differences_name_the_figure() -> None:
    old = {"a": {"b": 1, "processor_seconds": 2}, "c": [1, 2]}
    assert list(store.differences(old, {"a": {"b": 1, "processor_seconds": 3}, "c": [1, 2]})) == []
    new = {"a": {"b": 2}, "c": [1, 3], "d": None}
    names = [line.split(":")[0] for line in store.differences(old, new, "topic")]
    assert names == ["topic/a/b", "topic/c"]


def test_the_file_is_written_as_it_is_read(checkout: Path) -> None:
    before = (checkout / store.FILE).read_bytes()
    store.write(store.read(checkout), checkout)
    assert (checkout / store.FILE).read_bytes() == before
    (checkout / store.FILE).write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        store.read(checkout)
    (checkout / store.FILE).unlink()
    with pytest.raises(InputError, match="run this in a clone"):
        store.read(checkout)


def test_markdown_of_the_explorer_is_the_documents(capsys: pytest.CaptureFixture[str]) -> None:
    table = tables.markdown(explorer.points(FIGURES))
    assert table in (ROOT / "docs" / "explore.md").read_text("utf-8")


# File and measurement.


def test_the_board_is_the_reports() -> None:
    board, report = boards.get(store.BOARD), lookup(FIGURES, "build")["clocks"]["core"]
    assert report["target_mhz"] == board.config.core_mhz
    assert report["proven"] and report["achieved_mhz"] >= board.config.core_mhz
    assert lookup(FIGURES, "build/seed") == board.seed


ELABORATES = pytest.mark.filterwarnings("ignore:Domain '.*' is used in:DeprecationWarning")
"""Amaranth 0.6 will want clock domains elsewhere; the design is for 0.5."""


@ELABORATES
def test_the_design_is_the_reports() -> None:
    if not build.same_tools(FIGURES):
        pytest.skip("the report was made with other versions of the tools")
    assert build.design() == FIGURES["build"]["needs"]["design"], (
        "the sources give another design; measure it: python -m sw.figures --only build --write")


@pytest.mark.slow
@ELABORATES
def test_another_design_has_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    board = boards.get(store.BOARD)
    other = dataclasses.replace(
        board, config=dataclasses.replace(board.config, fraction_bits=19))
    monkeypatch.setattr(boards, "get", lambda _: other)
    assert build.design() != FIGURES["build"]["needs"]["design"]


def test_places_in_the_sources_are_not_the_design() -> None:
    rtlil = 'attribute \\src "a.py:3"\n  attribute \\src "b.py:4"\n  wire \\src\n# Amaranth 0.5\n'
    assert build.without_comments(rtlil) == "  wire \\src\n"


def test_cells_by_part() -> None:
    def cell(kind: str, **bits: int) -> dict[str, Any]:
        return {"type": kind, "connections": {port: [bit] for port, bit in bits.items()},
                "port_directions": {port: "output" if port in "OQ" else "input" for port in bits}}

    netlist = {"modules": {"top": {"ports": {"out": {"bits": [4]}}, "cells": {
        "core.array.a_SB_LUT4_O": cell("SB_LUT4", I0=2, O=3),
        # Fed by a table of its own, by one that others use too, and by none.
        "core.array.a_SB_DFF_Q": cell("SB_DFF", D=3, Q=4),
        "\\core.drain.requantise_1.x_SB_LUT4_O": cell("SB_LUT4", I0=4, O=5),
        "\\core.drain.requantise_1.x_SB_DFFE_Q": cell("SB_DFFE", D=5, Q=6),
        "flash.y_SB_DFF_Q": cell("SB_DFF", D=5, Q=7),
        "z_SB_DFF_Q": cell("SB_DFF", D=7, Q=8),
        "core.array.dsp": cell("SB_MAC16", A=8, O=9),
    }}}}
    found = {part: n for part, n in build.cells_by_part(netlist).items() if n}
    assert found == {
        "two requantisers (17 fraction bits)": 2,
        "systolic array: operands, partial sums, accumulators, skew": 1,
        "flash reader and its pins": 1,
        "the rest": 1,
    }


def copy_of(name: str) -> Path | None:
    """Return a copy of a public network that is here and is the one of the figures."""
    folders = [SHARED / "models", cache.directory() / "models"]
    if "SEPARABLE_MODELS" in os.environ:
        folders.append(Path(os.environ["SEPARABLE_MODELS"]))
    names = (name, *published.NETWORKS[name].also)
    for path in (folder / f"{one}.tflite" for folder in folders for one in names):
        if path.is_file() and store.file_digest(path) == FIGURES["networks"]["needs"][name]:
            return path
    return None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "option"),
    [(name, option) for name, options in networks.CASES.items() for option in options])
def test_networks(name: str, option: str) -> None:
    """Predicted cycles and all that goes with them; those that ship are counted too."""
    path = networks.path_of(name) if name in networks.SHIPPED else copy_of(name)
    if path is None:
        pytest.skip(f"{name} is not here: python -m sw.models get {name}")
    graph, program, found = networks.predicted_figures(path, option)
    known = lookup(FIGURES, "networks")[name][option]
    assert list(store.differences(known, {**found, "counted": known["counted"]})) == []
    if name in networks.SHIPPED:
        assert networks.count(graph, program) == known["counted"] == found["cycles"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "request_", [request for arch in ARCHITECTURES for request in explorer.requests(arch)],
    ids=lambda request: f"{request.arch}-{request.alpha:g}-{request.size}")
def test_explorer(request_: Request) -> None:
    rows = lookup(FIGURES, f"explorer/{request_.arch}/rows")
    known = rows[f"{request_.alpha:g}/{request_.size}"]
    assert list(store.differences(known, explorer.row(request_))) == []


def test_accuracies_are_of_the_networks_that_ship() -> None:
    """Right counts on the images that ship are measured in test_default_network."""
    for topic in ("accuracy", "test_set"):
        assert FIGURES[topic]["needs"] == accuracy.needs()
    for network in shipped.NETWORKS.values():
        cycles = lookup(FIGURES, f"networks/{network.name}/default/cycles")
        assert lookup(FIGURES, f"accuracy/{network.name}/cycles") == [cycles]


def test_the_detector_is_the_one_that_ships() -> None:
    assert FIGURES["detector"]["needs"] == detector.needs()
    found = lookup(FIGURES, "detector")
    assert found["f1_simulated"] == found["f1_int8"] >= 0.85
    scenes = shipped.default_scenes(found["scenes"])
    assert found["garments"] == sum(len(one.garments) for one in scenes)


@pytest.mark.slow
def test_the_detector_finds_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """The golden model on all scenes, the simulated core on some."""
    graph = importer.load(shipped.default_detector())
    scenes = shipped.default_scenes(detector.SCENES)
    assert f1(scenes, golden_found(graph, scenes)) == lookup(FIGURES, "detector/f1_int8")
    monkeypatch.setattr(detector, "SCENES", 4)
    _, found = detector.measure_detector(lambda _: None)
    assert found["cycles"] == lookup(FIGURES, "detector/cycles")


def test_the_networks_are_the_public_ones() -> None:
    for name in PUBLIC:
        assert FIGURES["networks"]["needs"][name] == published.NETWORKS[name].sha256


# The command.


def test_command(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read, check, stale = store.read, documents.check, pictures.stale
    monkeypatch.setattr(command.store, "read", lambda: read(checkout))
    monkeypatch.setattr(command, "check", lambda figures: check(figures, checkout))
    monkeypatch.setattr(command.pictures, "stale", lambda figures: stale(figures, checkout))
    assert command.main(["--text"]) == 0
    assert capsys.readouterr().out.strip() == ""
    replace(checkout / "docs" / "bench.svg", "<svg", "<svg ")
    replace(checkout / "docs" / "input.md", "27,648", "27,649")
    assert command.main(["--text"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2
    assert printed[0].startswith("docs/input.md:") and "python -m sw.figures" in printed[1]

    def one(say: Any) -> Any:
        say("a measurement")
        return {}, {"v1": {}}

    monkeypatch.setitem(command.MEASURES, "explorer", ("how", one))
    assert command.main(["--only", "explorer"]) == 1
    assert "explorer/figures/v1/rows: docs/figures.json says" in capsys.readouterr().out


def test_bad_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--only", "test_set"]) == 2
    assert "--images" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["--text", "--only", "explorer"])
    assert "leave out --only" in capsys.readouterr().err
