"""The command ``separable``: every door by its name, at once, under any encoding."""

from __future__ import annotations

import importlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import BOARD, error_of
from support.doors import DOORS
from support.marks import slow
from support.places import REPOSITORY

from common import tool, verbosity
from separable.__main__ import COMMANDS, main, module_of
from sw.networks.shipped import default_model

HEAVY = (
    "ai_edge_litert", "amaranth", "amaranth_boards", "cocotb", "cv2", "matplotlib", "serial",
    "tflite_micro", "torch",
)
"""What no command needs to say how it is used."""

WRITERS = ("fuzz", "quantize", "ship")
"""Commands that write .tflite files, with the schema's hundreds of modules."""


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let commands have their own names again behind each test, and say as much as usual."""
    monkeypatch.setattr(tool, "names", {})
    yield
    verbosity.choose()


def run(arguments: list[str]) -> int:
    """Run the command; return its exit code, however it ends."""
    try:
        return main(arguments)
    except SystemExit as leaving:
        return int(leaving.code or 0)


def test_every_door_is_a_command() -> None:
    assert {module for module, _ in COMMANDS.values()} | {"separable.__main__"} == set(DOORS)


def test_the_document_lists_them() -> None:
    text = (REPOSITORY / "docs" / "command.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \| (.*) \|$", text, re.MULTILINE)
    assert rows == [(name, module_of(name), what) for name, (_, what) in COMMANDS.items()]


def test_help_names_commands_and_exit_codes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for name, (_, purpose) in COMMANDS.items():
        # A line each.
        assert re.search(rf"^    {name} +{re.escape(purpose)}$", text, re.MULTILINE), name
    for code in ("0", "1", "2", "130", "129", "143"):
        assert re.search(rf"\b{code}\b", text.split("exit codes:")[1])
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("line", [["--help", "run"], ["-q", "-h"], ["-v", "--version"]])
def test_what_is_said_at_once(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line) == 0
    assert re.match("usage: separable|Separable", capsys.readouterr().out)


def test_nothing_is_not_enough(capsys: pytest.CaptureFixture[str]) -> None:
    """A script whose variable is empty has not done what it was to do."""
    assert run([]) == tool.USER_ERROR
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rum"], "no command 'rum'; did you mean run?"),
        (["-v", "explode"], "no command 'explode'"),
        (["--nothing"], "separable itself has no option '--nothing'; those of a command stand"),
        (["--board", "icebreaker", "run"], "separable itself has no option '--board'"),
        (["-q"], "required: COMMAND"),
        (["run", "--nothing"], "unrecognized arguments: --nothing"),
        (["-q", "-v", "models", "list"], "not allowed with"),
        ([""], "an argument is empty"),
    ],
)
def test_errors(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == tool.USER_ERROR
    assert re.search(said, error_of(capsys))


@pytest.mark.parametrize("name", COMMANDS)
def test_usage_names_what_was_typed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(COMMANDS[name][0])
    with pytest.raises(SystemExit):
        module.main(["--help"])
    assert capsys.readouterr().out.startswith(f"usage: python -m {module_of(name)} ")
    assert run([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: separable {name} ")


def test_commands_of_a_command_have_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "get", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: separable models get ")


def test_options_in_front_are_the_commands(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEPARABLE_CACHE", str(tmp_path))
    for line in (["-q", "models", "list"], ["models", "list", "-q"]):
        verbosity.choose()
        assert run(line) == 0
        assert "vww_96_int8" in capsys.readouterr().out
        assert verbosity.is_quiet()


def wrapped(encoding: str, monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Put a terminal of an encoding in the place of standard output."""
    output = io.BytesIO()
    monkeypatch.setattr(
        sys, "stdout", io.TextIOWrapper(output, encoding=encoding, write_through=True)
    )
    return output


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_in_any_encoding(name: str, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = wrapped("utf-8", monkeypatch)
    assert run([name, "--help"]) == 0
    poor = wrapped(encoding, monkeypatch)
    assert run([name, "--help"]) == 0
    # Everything has something that stands for it.
    assert poor.getvalue().count(b"?") == plain.getvalue().count(b"?")


@pytest.mark.parametrize("encoding", ["ascii", slow("cp1252")])
@pytest.mark.parametrize(
    "line",
    [
        ["models", "list"],
        ["compile", *BOARD],
        ["run", "--backend", "golden", *BOARD],
        ["bench", str(default_model()), "--model", *BOARD],
        ["explore", "--arch", "v1", "--alphas", "0.25", "--sizes", "96", "--jobs", "1", *BOARD],
        ["run", "µ×\N{CAT}.tflite", *BOARD],
    ],
    ids=lambda line: line[0],
)
def test_output_in_any_encoding(
    line: list[str], encoding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEPARABLE_CACHE", str(tmp_path))
    output = wrapped(encoding, monkeypatch)
    errors = io.BytesIO()
    monkeypatch.setattr(
        sys, "stderr", io.TextIOWrapper(errors, encoding=encoding, write_through=True)
    )
    code = run(line)
    said = output.getvalue() + errors.getvalue()
    assert said and b"Traceback" not in said
    assert code == (tool.USER_ERROR if line[1].startswith("µ") else 0), said


def loaded(*arguments: str) -> set[str]:
    """Return the modules that a command has imported when it is over."""
    code = (
        "import sys\nfrom separable.__main__ import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=REPOSITORY, capture_output=True, text=True,
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_command_itself_imports_next_to_nothing(option: str) -> None:
    modules = loaded(option)
    assert not modules & {*HEAVY, "numpy", "PIL", "tflite", "multiprocessing", "argcomplete"}
    # Of ours: what all commands share.
    ours = {name.partition(".")[0] for name in modules} & {"boards", "hw", "sim", "sw"}
    assert not ours


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_help_imports_nothing_heavy(name: str) -> None:
    heavy = {*HEAVY} if name in WRITERS else {*HEAVY, "tflite"}
    assert not loaded(name, "--help") & heavy


def test_importing_the_package_imports_nothing() -> None:
    code = (
        "import sys\nbefore = set(sys.modules)\nimport separable\n"
        "assert {'separable'} == set(sys.modules) - before - {'__future__'}, sys.modules\n"
        "assert set(separable.__all__) <= set(dir(separable))\n"
        "separable.compile, separable.__version__\n"
        "try:\n    separable.nothing\n"
        "except AttributeError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )
    assert done.stdout == "module 'separable' has no attribute 'nothing'\n"


@pytest.mark.slow
def test_a_terminal_of_the_c_locale() -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    environment.pop("PYTHONIOENCODING", None)
    done = subprocess.run(
        [sys.executable, "-m", "separable", "compile", *BOARD], cwd=REPOSITORY,
        capture_output=True, env=environment, check=True,
    )
    assert done.stdout.isascii() and b"28x28x8" in done.stdout and not done.stderr
