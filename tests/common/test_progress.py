"""Progress: stages are seen while they last, whoever looks on, and nothing of them is left."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest
from support.places import REPOSITORY
from support.recorder import Recording, record

from common import progress, verbosity
from common.progress import Stage


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Seconds that have passed: they do when a test says so."""
    now = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    yield now


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[progress._Display]:
    """A display of plain lines whose thread does nothing by itself."""
    monkeypatch.setenv(progress.VARIABLE, "yes")
    monkeypatch.setattr(progress._Display, "_run", lambda self: None)
    with progress.shown():
        assert progress._display is not None
        yield progress._display


def test_what_a_stage_says(clock: list[float]) -> None:
    stage = Stage(what="building", note="once", unit="seeds", total=8)
    stage.at("routing")
    assert stage.name() == "building: routing (once)"
    assert stage.figures() == "0 of 8 seeds, 0:00" and stage.left is None
    clock[0] = 65
    stage.reached(2)
    assert stage.figures() == "2 of 8 seeds, 1:05, about 3:15 left"
    clock[0] = 4000
    stage.reached(8)
    assert stage.figures() == "8 of 8 seeds, 1:06:40"


def test_what_was_done_before_says_nothing_of_the_rate(clock: list[float]) -> None:
    stage = Stage(what="examining", unit="files", total=100, done=60)
    clock[0] = 10
    assert stage.left is None
    stage.reached(70)
    assert stage.left == 30


def test_parts_without_a_unit_are_per_cent(clock: list[float]) -> None:
    stage = Stage(what="running", total=1000)
    stage.reached(340)
    clock[0] = 34
    assert stage.figures() == "34%, 0:34, about 1:06 left"
    assert Stage(what="running", unit="inputs", total=1).figures() == "0:00"


def test_names_of_others_are_no_commands() -> None:
    stage = Stage(what="compiling \x1b[2J", note="\n")
    stage.at("\r")
    assert stage.name().isprintable()


def test_plain_lines(
    clock: list[float], display: progress._Display, capsys: pytest.CaptureFixture[str]
) -> None:
    def said() -> list[str]:
        display.tell()
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err.splitlines()

    with progress.stage("compiling", note="once") as stage:
        assert said() == []
        clock[0] = 2
        assert said() == ["compiling (once) ..."]
        clock[0] = 9
        assert said() == []
        stage.at("C++")
        clock[0] = 13
        assert said() == ["compiling: C++ (once), 0:13"]
        clock[0] = 1000
        assert len(said()) == 1
        # The longer it has taken, the more seldom it says so.
        clock[0] = 1050
        assert said() == []
    assert capsys.readouterr().err == "compiling: 1050.0 s\n"


def test_short_stages_say_nothing(
    clock: list[float], display: progress._Display, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.stage("compiling"):
        display.tell()
    assert capsys.readouterr().err == ""
    with progress.stage("synthesis", kept=True):
        clock[0] = 0.5
    assert capsys.readouterr().err == "synthesis: 0.5 s\n"
    with pytest.raises(KeyError), progress.stage("synthesis", kept=True):
        raise KeyError
    assert capsys.readouterr().err == "" and display.stages == []


def test_what_is_counted_is_not_told_one_by_one(
    clock: list[float], display: progress._Display, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in progress.each(range(3), "running", total=3, unit="inputs", name=str):
        with progress.stage("inference"):
            clock[0] += 20
            display.tell()
        with progress.stage("compiling", note="once"):
            clock[0] += 20
            display.tell()
        assert display.stages[0].done == number
    assert capsys.readouterr().err.splitlines() == [
        "running: 0 ...",
        "running: 0, 0 of 3 inputs, 0:40", "compiling (once) ...", "compiling: 20.0 s",
        "running: 1, 1 of 3 inputs, 1:00, about 2:00 left",
        "running: 1, 1 of 3 inputs, 1:20, about 2:40 left",
        "compiling (once) ...", "compiling: 20.0 s",
        "running: 2, 2 of 3 inputs, 1:40, about 0:50 left",
        "running: 2, 2 of 3 inputs, 2:00, about 1:00 left",
        "compiling (once) ...", "compiling: 20.0 s",
        "running: 120.0 s",
    ]


def test_who_only_works_inside_another(
    clock: list[float], display: progress._Display, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.stage("preparing"), progress.stage("compiling"):
        clock[0] = 20
        display.tell()
        assert capsys.readouterr().err == "compiling ...\n"
        progress.at("C++")
        progress.reached(1, 4)
        assert progress.now() == "compiling: C++, 25%, 0:20, about 1:00 left"


def test_threads_have_stages_of_their_own(display: progress._Display) -> None:
    with progress.stage("all") as every:
        def work() -> None:
            progress.at("nobody's")
            with progress.stage("seed"):
                progress.at("routing")
                assert [stage.what for stage in display._telling()] == ["all", "seed"]

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert every.detail == "" and display.stages == [every]


def test_without_a_command_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.stage("compiling", kept=True):
        progress.at("C++")
        assert progress.now() == ""
    progress.at("nothing")
    progress.reached(3)
    with progress.shown(), progress.stage("compiling", kept=True):
        # The tests' own wish.
        assert progress._display is None
    assert capsys.readouterr().err == ""


TOOL = """
import sys, time
from common import progress, tool
from common.terminal import console

@tool.command
def main(arguments):
    with progress.stage("compiling a network with a name that is longer than lines are",
                        total=5, unit="layers") as stage:
        for number in range(5):
            stage.reached(number)
            time.sleep(0.25)
            console().print(f"result {number}")
        if arguments:
            raise KeyboardInterrupt
    return 0

sys.exit(main(sys.argv[1:]))
"""


def run(*arguments: str, piped: bool = False, **env: str) -> Recording:
    return record([sys.executable, "-c", TOOL, *arguments], piped=piped,
                  env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", **env})


@pytest.mark.slow
def test_on_a_terminal() -> None:
    done = run()
    assert done.code == 0
    # The thread draws although the work says nothing, and takes away what it has drawn.
    drawn = [line for line in done.text.splitlines() if "of 5 layers" in line]
    assert len(drawn) > 5 and max(map(len, drawn)) < 80
    assert any("4 of 5 layers" in line and "left" in line for line in drawn)
    assert [line for line in done.text.splitlines() if line.startswith("result")] == [
        f"result {number}" for number in range(5)
    ]
    # The cursor is there again, and nothing is left below the results.
    assert done.output.count("\x1b[?25l") == done.output.count("\x1b[?25h") > 0
    assert done.output.rstrip().endswith("result 4") or "\x1b[2K" in done.output


@pytest.mark.slow
@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "ascii"}, {"TERM": "dumb"}, {}])
def test_other_terminals_and_pipes(env: dict[str, str]) -> None:
    done = run(piped=True, **env)
    assert done.code == 0
    assert done.stdout == "".join(f"result {number}\n" for number in range(5))
    assert "\\u" not in done.output
    if env.get("TERM") == "dumb":
        assert "\x1b" not in done.output
    if env:
        assert done.output.isascii()


@pytest.mark.slow
def test_an_interrupt_leaves_a_terminal_as_it_was() -> None:
    done = run("interrupted")
    assert done.code == 130
    assert done.output.count("\x1b[?25l") == done.output.count("\x1b[?25h") > 0
    assert done.text.rstrip().endswith("error: interrupted")


def test_the_variable(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress.VARIABLE, "no")
    with progress.shown():
        assert progress._display is None
    monkeypatch.delenv(progress.VARIABLE)
    with progress.shown():
        assert progress._display is not None
        with progress.shown():
            assert progress._display is not None
        assert progress._display is not None
    assert progress._display is None


def test_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A command learns only from its arguments that it shall be quiet."""
    monkeypatch.delenv(progress.VARIABLE)
    with progress.shown():
        with progress.stage("compiling", kept=True):
            pass
        assert "compiling" in capsys.readouterr().err
        verbosity.choose(quiet=True)
        try:
            with progress.stage("compiling", kept=True) as stage:
                progress.at("C++")
                assert stage.detail == "C++"
        finally:
            verbosity.choose()
        assert capsys.readouterr().err == ""
