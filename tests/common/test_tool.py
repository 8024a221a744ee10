"""What commands have in common: the version."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
from support.doors import DOORS
from support.places import REPOSITORY

from common import tool

VERSION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("installed", [True, False])
def test_every_command_has_a_version(
    door: str, installed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(name: str) -> str:
        if not installed:
            raise metadata.PackageNotFoundError(name)
        return VERSION

    if door == "sw.training.train":
        pytest.importorskip("torch")
    monkeypatch.setattr(metadata, "version", found)
    with pytest.raises(SystemExit) as exit_:
        importlib.import_module(door).main(["--version"])
    assert exit_.value.code == 0
    said = VERSION if installed else "unknown"
    assert capsys.readouterr().out == f"Separable {said}\n"


def test_the_version_is_the_packages() -> None:
    try:
        installed = metadata.version("separable")
    except metadata.PackageNotFoundError:
        pytest.skip("Separable is not installed")
    assert tool.version() == installed == VERSION


def test_when_nobody_reads_it_ends_without_a_word() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "sw.models", "list"], stdout=writer, stderr=subprocess.PIPE,
            cwd=REPOSITORY, check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (2, b"")
