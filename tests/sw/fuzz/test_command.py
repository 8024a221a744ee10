"""The fuzzer's command: what it resumes, keeps, reports, and how processes that end are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import boards
from common.errors import SeparableError
from sw.fuzz import __main__ as tool
from sw.fuzz import campaign, judge, workers
from sw.fuzz.campaign import Campaign
from sw.fuzz.mutants import Mutant
from sw.fuzz.options import Options
from sw.fuzz.trial import Trial
from sw.fuzz.verdict import FAILURES, Examiner, Outcome, Verdict
from sw.fuzz.workers import Task, Worker

HEADER = {"campaign": "mutants", "board": "icebreaker"}


class Planted:
    """A worker without a process; what it finds is decided here."""

    outcome = Outcome.EQUAL
    given: list[int] = []  # noqa: RUF012

    def __init__(self, board: str) -> None:
        pass

    def close(self) -> None:
        pass

    def examine(self, trial: Trial) -> Verdict:
        return Verdict(outcome=self.outcome, stage="core", reason="planted")


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> type[Planted]:
    class Here(Planted):
        given: list[int] = []  # noqa: RUF012

    def examine_all(name: str, numbers: Any, found: list[Here], each: Any) -> None:
        for number in numbers:
            Here.given.append(number)
            each(found[0], number, found[0].examine(workers.CAMPAIGNS[name](number)))

    monkeypatch.setattr(campaign, "Worker", Here)
    monkeypatch.setattr(campaign, "examine_all", examine_all)
    return Here


def run(*arguments: object) -> int:
    return tool.main(["mutants", *map(str, arguments)])


def test_state_is_resumed(tmp_path: Path, planted: type[Planted]) -> None:
    state = tmp_path / "missing" / "state.jsonl"
    assert run("--count", 3, "--state", state) == 0
    # The last line of a run that was killed.
    state.write_text(state.read_text()[:-20])
    assert run("--count", 5, "--state", state) == 0
    assert planted.given == [0, 1, 2, 2, 3, 4]
    assert run("--count", 5, "--state", state) == 0
    assert len(planted.given) == 6


@pytest.mark.parametrize("change", [{"campaign": "networks"}, {"board": "other"}])
def test_another_state_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    state = tmp_path / "state.jsonl"
    state.write_text(json.dumps(HEADER | change) + "\n")
    wanted = Campaign(name="mutants", first=0, count=1, board="icebreaker", state=state)
    with pytest.raises(SeparableError, match="is the state of another campaign"):
        wanted.run(1)


@pytest.mark.parametrize("outcome", sorted(FAILURES))
def test_failures_are_kept(tmp_path: Path, planted: type[Planted], outcome: Outcome) -> None:
    planted.outcome = outcome
    report, keep = tmp_path / "report.json", tmp_path / "kept"
    assert run("--seed", 7, "--count", 1, "--keep", keep, "--json", report) == 1
    names = {"mutants-7.json", "mutants-7.tflite", "mutants-7.small.tflite"}
    assert {path.name for path in keep.iterdir()} == names
    entry = json.loads((keep / "mutants-7.json").read_text())
    small = Trial.from_json(entry["small"])
    assert (keep / "mutants-7.small.tflite").read_bytes() == small.subject.build()
    data = json.loads(report.read_text())
    assert data["outcomes"] == [{"outcome": outcome, "stage": "core", "count": 1}]
    assert data["failures"] == [entry]


def test_wrong_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--count", 0) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.slow
def test_interrupted(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    command = [sys.executable, "-m", "sw.fuzz", "mutants", "--count", "100000", "--state", state]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # What a shell begins in the background ignores Ctrl-C, and so would what it begins.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    end = time.monotonic() + 60
    while time.monotonic() < end and not (state.exists() and state.read_text().count("\n") > 2):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; the same command goes on" in err


def test_no_litert_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    assert run("--count", 1) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "the judge is not installed" in lines[0]


def ends(connection: Connection, board: str, seconds: float) -> None:
    """A worker that is killed by its first task."""
    connection.recv()
    connection.send("compiler")
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(connection: Connection, board: str, seconds: float) -> None:
    """A worker that never answers."""
    connection.recv()
    time.sleep(600)


TASK: Task = ("mutants", 0)


def test_killed_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_serve", ends)
    worker = Worker("icebreaker")
    found = worker.examine(TASK)
    worker.close()
    assert (found.outcome, found.stage, found.reason) == (Outcome.CRASH, "compiler", "SIGKILL")


def test_worker_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_serve", hangs)
    worker = Worker("icebreaker", seconds=0.1)
    found = worker.examine(TASK)
    worker.close()
    assert (found.outcome, found.reason) == (Outcome.HANG, "stuck outside Python")


def judge_ends(connection: Connection) -> None:
    """A judge that is killed by its first file."""
    connection.recv()
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_judge_that_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file still goes on to the core; what LiteRT would have said is not known."""
    monkeypatch.setattr(judge, "_serve", judge_ends)
    examiner = Examiner(boards.get("icebreaker").config)
    trial = Trial(subject=Mutant(base="host", dtype="int8", changes=()), options=Options())
    found = examiner.examine(trial.subject.build(), trial.options)
    examiner.close()
    assert (found.outcome, found.reason) == (Outcome.JUDGE_CRASH, "SIGKILL")
