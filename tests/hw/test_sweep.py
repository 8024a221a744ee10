"""Sweeps over seeds: what is kept, what is reported, and interrupts."""

import dataclasses
import json
import threading

import pytest

import boards
import hw.bitstream
import hw.build
from hw.flow.report import BuildResult, Clock, Sweep, Usage
from hw.flow.tools import BuildError
from hw.technology.ice40 import flow as ice40_flow

ICEBREAKER = boards.get("icebreaker")
SPEEDS = {3: 38.0, 4: 41.5, 5: 40.0, 6: 39.0}


def result(seed: int, mhz: float) -> BuildResult:
    return BuildResult(
        board="icebreaker", seed=seed, utilization={"LC": Usage(used=4900 + seed, available=5280)},
        clocks={"core": Clock(target_mhz=39.75, reported_mhz=mhz + 1, achieved_mhz=mhz,
                              proven=True)})


@pytest.fixture
def flow(monkeypatch):
    """A flow that is quick; returns the seeds it was asked for."""
    asked = []

    def place_and_route(board, folder, *, seed):
        asked.append(seed)
        for name in (f"seed{seed}.log", f"seed{seed}.bin", "yosys.log"):
            (folder / name).write_text(str(seed) if name != "yosys.log" else "")
        return result(seed, SPEEDS[seed])

    monkeypatch.setattr(ice40_flow, "elaborate", lambda *arguments: None)
    monkeypatch.setattr(ice40_flow, "synthesize", lambda folder: None)
    monkeypatch.setattr(ice40_flow, "place_and_route", place_and_route)
    monkeypatch.setattr("hw.top.Top", lambda board: None)
    return asked


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_best_is_kept(tmp_path, flow, capsys, jobs):
    report = tmp_path / "report.json"
    code = hw.build.main(["--board", "icebreaker", "--output", str(tmp_path / "out"), "--sweep",
                          "4", "--first-seed", "3", "--jobs", jobs, "--json", str(report)])
    assert code == 0 and sorted(flow) == [3, 4, 5, 6]
    data = json.loads(report.read_text())
    assert data["seed"] == 4 and data["clocks"]["core"]["achieved_mhz"] == 41.5
    assert (tmp_path / "out" / "icebreaker.bin").read_text() == "4"
    sweep = data["sweep"]
    assert [row["seed"] for row in sweep["seeds"]] == [3, 4, 5, 6]
    assert [row["lc"] for row in sweep["seeds"]] == [4903, 4904, 4905, 4906]
    assert sweep["seeds"][0]["clocks"]["core"] == {
        "reported_mhz": 39.0, "achieved_mhz": 38.0, "proven": True}
    assert sweep["wanted"] == 4
    assert sweep["achieved_mhz"] == {"core": {"min": 38.0, "median": 39.5, "max": 41.5}}
    printed = capsys.readouterr().out
    assert "4/4: seed" in printed and "best so far: seed 4" in printed and "median" in printed


def test_one_seed_is_no_sweep(tmp_path, flow):
    best = hw.bitstream.build(ICEBREAKER, None, output=tmp_path / "out", seeds=(4,))
    assert best.sweep is None and "sweep" not in best.json()


def test_an_interrupt_keeps_the_best_so_far(tmp_path, flow, monkeypatch, capsys):
    quick = ice40_flow.place_and_route
    reported = threading.Event()

    def place_and_route(board, folder, *, seed):
        if seed == 6:
            assert reported.wait(30)
            raise BuildError("nextpnr-ice40 failed: no reason given")
        return quick(board, folder, seed=seed)

    def say_so_far(result, done, wanted):
        if len(done) == 3:
            reported.set()
            raise KeyboardInterrupt

    monkeypatch.setattr(ice40_flow, "place_and_route", place_and_route)
    monkeypatch.setattr(hw.bitstream, "_say_so_far", say_so_far)
    best = hw.bitstream.build(ICEBREAKER, None, output=tmp_path / "out", seeds=range(3, 7), jobs=1)
    assert best.seed == 4 and best.sweep is not None
    assert [r.seed for r in best.sweep.results] == [3, 4, 5] and best.sweep.wanted == 4
    assert "interrupted after 3 of 4 seeds" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "icebreaker.json").read_text())["sweep"]["wanted"] == 4


def test_an_interrupt_before_the_first_seed(tmp_path, flow, monkeypatch):
    def interrupted(board, folder, *, seed):
        raise KeyboardInterrupt

    monkeypatch.setattr(ice40_flow, "place_and_route", interrupted)
    with pytest.raises(KeyboardInterrupt):
        hw.bitstream.build(ICEBREAKER, None, output=tmp_path / "out", seeds=(3, 4))
    assert not list(tmp_path.iterdir())


def test_nothing_fits(flow):
    full = dataclasses.replace(result(3, 1.0), clocks={}, utilization={})
    assert Sweep(results=(full,), wanted=1).json() == {
        "wanted": 1, "achieved_mhz": {},
        "seeds": [{"seed": 3, "fits": True, "lc": None, "clocks": {}}]}


@pytest.mark.parametrize(("arguments", "message"), [
    (["--jobs", "0"], "--jobs must be at least 1, not 0"),
    (["--first-seed", "3"], "--first-seed is for --sweep"),
    (["--first-seed", "3", "--seed", "3", "--sweep", "2"], "--first-seed is for --sweep"),
])
def test_bad_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        hw.build.main(["--board", "icebreaker", *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
