"""A board's clock is what a committed report shows of today's design."""

import shutil
from pathlib import Path

import pytest

import boards
import hw.build
from hw import bitstream, technology


@pytest.mark.parametrize("name", boards.board_names())
def test_a_report_shows_the_clock(name):
    board, report = boards.get(name), boards.report(name)
    assert report is not None, f"python -m hw.build --board {name} --report"
    core = report["clocks"]["core"]
    assert core["proven"] and core["target_mhz"] == board.config.core_mhz
    assert core["achieved_mhz"] >= board.config.core_mhz
    assert report["board"] == name and report["seed"] == board.seed
    assert all(check["slack_ns"] >= 0 for check in report["timing"]["checks"])
    assert all(used["used"] <= used["available"] for used in report["utilization"].values())
    # Every board's flash was looked at.
    assert any(check["what"].startswith("flash to") for check in report["timing"]["checks"])


@pytest.mark.filterwarnings("ignore:Domain .sync. is used in:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize("name", boards.board_names())
def test_the_report_is_of_todays_design(name, tmp_path):
    from hw.top import Top

    board, report = boards.get(name), boards.report(name)
    assert report is not None
    flow = technology.get(board.config.technology).flow
    flow.elaborate(board, Top(board), tmp_path)
    assert bitstream._digest(board, tmp_path) == report["design"], (
        f"python -m hw.build --board {name} --report")


def test_a_report_is_what_was_built(tmp_path, monkeypatch):
    known = boards.report("icebreaker")
    monkeypatch.setattr(boards, "REPORTS", tmp_path / "reports")
    assert boards.report("icebreaker") is None
    output = tmp_path / "out"
    output.mkdir()
    source = Path(hw.build.boards.__file__).parent / "reports" / "icebreaker.json"
    shutil.copy(source, output / "icebreaker.json")
    hw.build.report(boards.get("icebreaker"), output)
    assert boards.report("icebreaker") == known
