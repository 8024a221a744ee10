"""``hw.boards``: the list of boards, and what runs how fast on them."""

import dataclasses
import json

import pytest

import boards
import hw.boards
from hw.contract.board import Flash


@pytest.mark.slow
def test_the_list_is_of_all_boards_and_from_the_model(tmp_path, capsys):
    path = tmp_path / "boards.json"
    assert hw.boards.main(["--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    listed = json.loads(path.read_text())["boards"]
    assert [board["board"] for board in listed] == boards.board_names()
    for found in listed:
        board = boards.get(found["board"])
        assert found["board"] in printed
        assert found["program_bytes"] == board.flash.size - board.flash.program_base
        assert len(found["networks"]) == 3
        for run in found["networks"]:
            assert f"{run['cycles']:,}" in printed and run["fits"]
            if found["report"] is not None:
                rate = board.config.core_mhz * 1e6 / run["cycles"]
                assert run["inferences_per_second"] == pytest.approx(rate)


def test_no_rate_without_a_report_that_shows_the_clock():
    board = boards.get("icebreaker")
    shown = {"clocks": {"core": {"achieved_mhz": board.config.core_mhz}}}
    slower = {"clocks": {"core": {"achieved_mhz": board.config.core_mhz - 0.01}}}
    assert hw.boards._clock(board, shown) == board.config.core_mhz
    assert hw.boards._clock(board, slower) is None
    assert hw.boards._clock(board, None) is None


def test_no_rate_without_room(monkeypatch):
    board = dataclasses.replace(
        boards.get("pico_ice"), flash=Flash(size=2 << 20, program_base=(2 << 20) - 4096, dtr=False))

    class Plan:
        flash_bytes = 4097
        flash_end = (2 << 20) + 1

    monkeypatch.setattr(hw.boards, "_plans", lambda *_: {"net": Plan()})
    monkeypatch.setattr(hw.boards, "predict_plan", lambda _: [10])
    monkeypatch.setattr(boards, "report",
                        lambda _: {"clocks": {"core": {"achieved_mhz": 40.0}}})
    (run,) = hw.boards._runs([board])["pico_ice"]
    assert not run.fits and run.per_second is None and run.json()["cycles"] == 10


def test_a_build_that_fails_ends_it(monkeypatch, capsys):
    class Done:
        returncode = 2

    lines = []
    monkeypatch.setattr(hw.boards.subprocess, "run",
                        lambda line, check: (lines.append(line), Done())[1])
    assert hw.boards.main(["--build"]) == 2
    assert "icebreaker was not built" in capsys.readouterr().err
    assert len(lines) == 1 and lines[0][2:] == [
        "hw.build", "--board", "icebreaker", "--report"]
