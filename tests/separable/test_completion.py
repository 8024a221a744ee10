"""Completion in the shell: the command answers, and bash and zsh take the answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import REPOSITORY

from separable.__main__ import COMMANDS

REGISTER = Path(sys.executable).with_name("register-python-argcomplete")


def completions(line: str, folder: Path) -> set[str]:
    """Return what could be typed at the end of a line."""
    answer = folder / "answer"
    subprocess.run(
        [sys.executable, "-m", "separable"], cwd=REPOSITORY, check=True,
        env={
            **os.environ, "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line,
            "COMP_POINT": str(len(line)), "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        },
    )
    return {word.strip() for word in answer.read_text().split("\n")}


def test_commands(tmp_path: Path) -> None:
    assert set(COMMANDS) <= completions("separable ", tmp_path)
    assert completions("separable qua", tmp_path) == {"quantize"}
    assert completions("separable -v qua", tmp_path) == {"quantize"}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("separable run --verif", {"--verify"}),
        ("separable -q run --verif", {"--verify"}),
        ("separable build --board icebreaker_", {"icebreaker_iq"}),
        ("separable models g", {"get"}),
        ("separable models get kws", {"kws_ref_model"}),
    ],
)
def test_options(line: str, found: set[str], tmp_path: Path) -> None:
    assert completions(line, tmp_path) == found


@pytest.mark.slow
def test_bash(tmp_path: Path) -> None:
    if not REGISTER.is_file() or shutil.which("bash") is None:
        pytest.skip("argcomplete's script and bash are needed")
    script = (
        f'eval "$({REGISTER} separable)"\n'
        "COMP_LINE='separable build --bo' COMP_POINT=20 COMP_TYPE=9\n"
        "COMP_WORDS=(separable build --bo) COMP_CWORD=2\n"
        "$(complete -p separable | sed 's/.*-F \\([^ ]*\\).*/\\1/') separable --bo build\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    assert said_by(["bash", "--norc", "-c", script], tmp_path) == "--board"


@pytest.mark.slow
def test_zsh(tmp_path: Path) -> None:
    if not REGISTER.is_file() or shutil.which("zsh") is None:
        pytest.skip("argcomplete's script and zsh are needed")
    # Its function asks the shell for the line, and gives it what it found.
    script = (
        "autoload -U compinit && compinit -u -D\n"
        f'eval "$({REGISTER} separable)"\n'
        "_describe() { print -rl -- ${completions} }\n"
        "words=(separable build --bo) CURSOR=20 BUFFER='separable build --bo'\n"
        "$_comps[separable] 2>/dev/null"
    )
    assert said_by(["zsh", "-f", "-c", script], tmp_path).split(":")[0].strip() == "--board"


def said_by(line: list[str], folder: Path) -> str:
    """Return what a shell prints that has a command ``separable``."""
    command = folder / "separable"
    command.write_text(f'#!/bin/sh\ncd {REPOSITORY}\nexec {sys.executable} -m separable "$@"\n')
    command.chmod(0o755)
    done = subprocess.run(
        line, capture_output=True, text=True, check=True,
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
    )
    return done.stdout.strip()
