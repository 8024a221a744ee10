"""``-q`` and ``-v`` of all commands."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import cache, process, tool, verbosity
from common.parallel import parallel


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """Let all be said as usual, before and behind a test."""
    verbosity.choose()
    yield
    verbosity.choose()


def work(arguments: list[str]) -> None:
    """Do what a command may do: parse, remark, use the cache twice, run a tool."""
    tool.Parser(prog="python -m x").parse_args(arguments)
    tool.remark("something is odd")
    for _ in range(2):
        cache.entry("kind", "name", lambda folder: None)
    process.run([sys.executable, "-c", "print('printed')\nprint('more')", "--option"])
    logging.getLogger("common.cache").warning("a disk is full")
    logging.getLogger("others").warning("not ours")


@pytest.mark.parametrize("arguments", [[], ["-q"], ["--verbose"], ["-vv"], ["-v", "--verbose"]])
def test_what_is_said(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SEPARABLE_CACHE", str(tmp_path))
    work(arguments)
    output, errors = capsys.readouterr()
    assert not output
    quiet = arguments == ["-q"]
    verbose = 0 if quiet else sum(2 if arg == "-vv" else 1 for arg in arguments)
    assert verbosity.is_quiet() == quiet
    assert ("note: something is odd\n" in errors) is not quiet
    assert ("warning: a disk is full\n" in errors) is not quiet
    entry = tmp_path / "kind" / "name"
    assert (f"cache: {entry} is made\ncache: {entry} is used\n" in errors) is (verbose > 0)
    # Programs that are given as text are not repeated.
    name = Path(sys.executable).name
    assert (f"{name} begins: -c … --option\n" in errors) is (verbose > 0)
    assert (f"{name} ended with code 0 after " in errors) is (verbose > 0)
    assert ("printed\nmore\n" in errors) is (verbose > 1)
    assert "not ours" not in errors or not quiet


def test_each_command_begins_as_usual(capsys: pytest.CaptureFixture[str]) -> None:
    parser = tool.Parser(prog="x")
    parser.parse_args(["-q"])
    assert verbosity.is_quiet()
    parser.parse_args([])
    assert not verbosity.is_quiet()


def chosen(_: int) -> tuple[bool, int]:
    """Work of another process."""
    return verbosity.chosen()


@pytest.mark.parametrize("choice", [{"quiet": True}, {"verbose": 2}])
def test_other_processes_say_as_much(choice: dict[str, int]) -> None:
    verbosity.choose(**choice)
    found = dict(parallel(chosen, range(2), jobs=2))
    assert found == dict.fromkeys(range(2), verbosity.chosen())
    assert verbosity.chosen() != (False, 0)


def test_what_others_print_is_no_command_to_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    verbosity.choose(verbose=1)
    logging.getLogger("common.process").info("%s", "a\x1b[2J\nb")
    assert capsys.readouterr().err == "a\N{REPLACEMENT CHARACTER}[2J\nb\n"


def test_options_behind_a_commands_command() -> None:
    parser = tool.Parser(prog="x")
    commands = parser.add_subparsers(parser_class=tool.Parser)
    commands.add_parser("list")
    for line in (["-q", "list"], ["list", "-q"]):
        parser.parse_args(line)
        assert verbosity.is_quiet(), line
