"""Help of all doors: plain words, and defaults in one style."""

from __future__ import annotations

import importlib
import re

import pytest
from support.doors import DOORS


def print_help(door: str, *command: str) -> None:
    """Let a door print its help."""
    module = importlib.import_module(door)
    with pytest.raises(SystemExit) as left:
        module.main([*command, "--help"])
    assert left.value.code == 0


LINES = [[door] for door in DOORS] + [["sw.models", "list"], ["sw.models", "get"]]


@pytest.mark.parametrize("line", LINES, ids="-".join)
def test_help(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    print_help(*line)
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("usage: ")
    # Neither of reStructuredText nor of Markdown.
    assert "`" not in text and "**" not in text and not re.search(r":(mod|func|class|data):", text)
    for found in re.finditer(r"default", text):
        assert text[: found.start()].endswith("(") and text[found.end() :].startswith(": "), (
            text[max(0, found.start() - 40) : found.end() + 40]
        )
    # A number alone is no sentence.
    assert not re.search(r"[^:] \([0-9.]+\)", text)


@pytest.mark.parametrize("line", LINES, ids="-".join)
def test_all_arguments_are_explained(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    print_help(*line)
    text = capsys.readouterr().out
    for entry in re.findall(r"^  (?=\S)(.*(?:\n(?!  \S|\n).*)*)", text.partition("\n\n")[2],
                            re.MULTILINE):
        assert re.search(r"\s{2,}\S|\n\s+\S", entry), entry
