"""Frames whose class is known, and clocks that are not a board's, are labelled as what they are."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace

import pytest
from rich.console import Console
from support.command import BOARD
from support.streams import ABOUT, GOOD, NOW

from sw.driver import backends
from sw.outputs.classes import Top
from sw.stream.__main__ import main
from sw.stream.records import Record, Statistics
from sw.stream.view import LiveView, PlainLines

WRONG = replace(GOOD, truth=GOOD.top[0].number + 1)
RIGHT = replace(GOOD, truth=GOOD.top[0].number)


def test_right_and_wrong() -> None:
    assert (GOOD.right, RIGHT.right, WRONG.right) == (None, True, False)
    assert replace(RIGHT, top=[]).right is None
    assert WRONG.json()["right"] is False and WRONG.json()["truth"] == WRONG.truth
    assert GOOD.json()["right"] is None


def test_they_are_counted() -> None:
    statistics = Statistics()
    for record in (GOOD, RIGHT, WRONG, RIGHT):
        now = statistics.add(record)
    assert (now.known, now.right) == (3, 2)
    assert "2 of 3 labels right" in statistics.summary(39.0)
    assert "labels right" not in Statistics().summary(39.0)


def test_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for record, marked in ((WRONG, True), (RIGHT, False), (GOOD, False)):
        console = Console(file=io.StringIO(), force_terminal=True, width=100)
        view = LiveView(ABOUT, console)
        view.show(record, replace(NOW, known=3, right=2))
        console.print(view.render())
        assert isinstance(console.file, io.StringIO)
        text = console.file.getvalue()
        assert ("wrong label" in text) is marked and "2 of 3 labels right" in text
        PlainLines().show(record, NOW)
        assert ("WRONG LABEL" in capsys.readouterr().out) is marked


def test_the_images_that_ship(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*BOARD, "--backend", "golden", "--limit", "20", "--json-lines"]) == 0
    captured = capsys.readouterr()
    records = [json.loads(line) for line in captured.out.splitlines()]
    assert all(record["right"] is (record["top"][0]["class"] == record["truth"])
               for record in records)
    right = sum(record["right"] for record in records)
    assert f"{right} of 20 labels right" in captured.err


def test_a_pseudo_terminal_is_no_board() -> None:
    master, slave = os.openpty()
    try:
        name = os.ttyname(slave)
        assert backends.find(name).clock == "the wall clock, of a simulation"
        about = replace(ABOUT, backend=name)
        assert about.where == f"{ABOUT.board}, simulated, on {name}"
    finally:
        os.close(master)
        os.close(slave)
    assert backends.find("/dev/ttyUSB1").clock == "the wall clock"
    assert [backends.find(name).clock for name in ("sim", "sim:link", "golden")] == [""] * 3


def test_rates_by_the_wall_clock(capsys: pytest.CaptureFixture[str]) -> None:
    record = Record(
        number=0, name="x", outputs=GOOD.outputs, top=[Top(number=0, label="a", score=1.0)],
        upload_seconds=0.5, compute_seconds=0.5, download_seconds=0.0, finished=1.0,
    )
    statistics = Statistics()
    statistics.add(replace(record, finished=2.0))
    assert "by the board's clock" in statistics.summary(39.0)
    wall = "the wall clock, of a simulation"
    assert statistics.summary(39.0, clock=wall).count(f"frames/s with the line, by {wall}") == 1
    PlainLines(clock=wall).show(record, NOW)
    assert f"/s with the line ({wall})" in capsys.readouterr().out
    PlainLines().show(record, NOW)
    assert "wall clock" not in capsys.readouterr().out
