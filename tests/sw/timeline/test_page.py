"""Pages and pictures of inferences: well formed, alone, with the figures that were counted."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.command import BOARD, error_of
from support.divided import host_alone, host_between
from support.networks import small_model
from support.timelines import PLANS, plan

import sw.bench.__main__
import sw.compile
from common.errors import InputError
from sw.compiler.timing import predict
from sw.figures import store
from sw.figures.pictures import PICTURES
from sw.timeline.figure import LEFT, SPAN, Figure, layers_text
from sw.timeline.page import Inference, check_name, write
from sw.timeline.slices import ARRAY, CAUSES
from sw.timeline.tables import layer_figures

SVG = "{http://www.w3.org/2000/svg}"


class Tables(HTMLParser):
    """Reader of a page's tables; open tags that nobody closes are errors."""

    EMPTY = ("meta", "link", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.seen: set[str] = set()
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data


def number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.mark.parametrize("name", PLANS)
def test_page(name: str, tmp_path: Path) -> None:
    its = plan(name)
    path = tmp_path / "page.html"
    write(Inference(plan=its, mhz=39.0), str(path))
    text = path.read_text(encoding="utf-8")
    # All of it is in the file, and nothing runs.
    assert not re.findall(r"(?:src|href)=|url\(|@import|http(?!://www\.w3\.org/2000/svg)", text)
    page = Tables(text)
    assert "script" not in page.seen and "prefers-color-scheme: dark" in text
    assert len(page.tables) == 2 * len(its.programs)
    for program, table in zip(its.programs, page.tables[::2], strict=True):
        cycles, (head, *rows) = predict(program), table
        at = head.index("cycles")
        assert [number(row[at]) for row in rows] == [*cycles, sum(cycles)]
        parts = [head.index(words) for words in ARRAY.values()]
        for row in rows:
            # Two of them are rounded.
            assert abs(sum(number(row[part]) for part in parts) - number(row[at])) <= 1
    for program, table in zip(its.programs, page.tables[1::2], strict=True):
        first, *rows = table
        depth = program.config.memory_bytes / 1024
        assert all(0 <= float(r[4]) <= float(r[5]) <= depth for r in rows)
        assert rows[-1][1].startswith("ring") and first[3] == "KB"


@pytest.mark.parametrize("name", PLANS)
def test_picture(name: str, tmp_path: Path) -> None:
    its = plan(name)
    path = tmp_path / "picture.svg"
    write(Inference(plan=its, mhz=39.0), str(path))
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    words = [element.text or "" for element in root.iter(f"{SVG}text")]
    for program in its.programs:
        assert f"{sum(predict(program)):,}" in words
    assert words.count("array") == words.count("memory, KB") == len(its.programs)
    drawn = [e.text or "" for e in root.iter(f"{SVG}title")]
    for program in its.programs:
        for tensor in program.tensors.values():
            assert any(tensor.name in text for text in drawn)


def test_bars_are_as_long_as_their_cycles(tmp_path: Path) -> None:
    """The areas of all bars of the array are all cycles."""
    its = plan("rows")
    path = tmp_path / "picture.svg"
    write(Inference(plan=its, mhz=39.0, charts=("timeline",)), str(path))
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    figure = Figure(program=its.programs[0], mhz=39.0)
    shapes = [e for e in root.iter(f"{SVG}path") if e.get("class") == "paths"][: len(ARRAY)]
    area = 0.0
    for shape in shapes:
        for width, height in re.findall(r"h([\d.]+)v([\d.]+)", shape.get("d", "")):
            area += float(width) * float(height)
    assert area / 84 / SPAN == pytest.approx(1, rel=0.02)
    assert figure.x(0) == LEFT and figure.x(figure.cycles) == LEFT + SPAN


def test_figures_of_layers() -> None:
    (program,) = plan("rows").programs
    found = layer_figures(Figure(program=program, mhz=39.0))
    assert [sum(its[cause] for cause in CAUSES) for its in found] == predict(program)


def test_text_of_layers() -> None:
    assert layers_text([3]) == "3"
    assert layers_text([0, 1, 2, 5, 7, 8]) == "0–2, 5, 7–8"


@pytest.mark.parametrize("name", ["page.pdf", "page", "page.html.gz"])
def test_names(name: str) -> None:
    with pytest.raises(InputError, match="the name has to end in"):
        check_name(name)
    check_name("PAGE.HTML")
    check_name(None)


@pytest.mark.slow
def test_bench_draws_what_was_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, page = tmp_path / "net.tflite", tmp_path / "page.html"
    model.write_bytes(host_between())
    arguments = [str(model), *BOARD, "--timeline", str(page)]
    assert sw.bench.__main__.main([*arguments, "--model"]) == 0
    assert "cycle model predicts; python -m sw.bench without --model" in page.read_text()
    assert sw.bench.__main__.main(arguments) == 0
    assert "were counted by the core" in page.read_text()
    assert "transpose" in page.read_text()
    capsys.readouterr()


def test_compile_draws_the_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, picture = tmp_path / "net.tflite", tmp_path / "map.svg"
    model.write_bytes(small_model())
    assert sw.compile.main([str(model), *BOARD, "--memory-map", str(picture)]) == 0
    texts = [e.text for e in ElementTree.fromstring(picture.read_text()).iter(f"{SVG}text")]
    assert "memory, KB" in texts and "array" not in texts
    capsys.readouterr()


def test_the_picture_of_the_documents_is_drawn_so(tmp_path: Path) -> None:
    (picture,) = (p for p in PICTURES if p.path == "docs/timeline.svg")
    picture.make(store.read(), tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == (store.ROOT / picture.path).read_bytes()


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "net.tflite"
    model.write_bytes(small_model())
    bench, compile_ = sw.bench.__main__.main, sw.compile.main
    for main, option in ((bench, "--timeline"), (compile_, "--memory-map")):
        assert main([str(model), *BOARD, option, str(tmp_path / "x.png")]) == 2
        assert "the name has to end in .html" in error_of(capsys)
        assert main([str(model), *BOARD, option, str(tmp_path / "none" / "x.svg")]) == 2
        assert "its folder is missing" in error_of(capsys)
    with pytest.raises(SystemExit):
        bench([str(model), str(model), *BOARD, "--timeline", str(tmp_path / "x.svg")])
    assert "draws one network" in error_of(capsys)
    model.write_bytes(host_alone())
    assert compile_([str(model), *BOARD, "--memory-map", str(tmp_path / "x.svg")]) == 2
    assert "nothing of this network runs on the core" in capsys.readouterr().err
    assert not (tmp_path / "x.svg").exists()
