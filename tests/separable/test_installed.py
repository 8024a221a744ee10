"""What is installed from a wheel works without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.places import REPOSITORY

FOLDERS = ("boards", "common", "hw", "separable", "sim", "sw")
FILES = ("LICENSE", "README.md", "pyproject.toml")


@pytest.mark.slow
def test_a_wheel(tmp_path: Path) -> None:
    # A copy: what is built lies beside what it is built from.
    source = tmp_path / "source"
    for folder in FOLDERS:
        shutil.copytree(
            REPOSITORY / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in FILES:
        shutil.copy(REPOSITORY / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "-q", "--no-deps", source, "-w", tmp_path], check=True)
    (wheel,) = tmp_path.glob("separable-*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
        (entry,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert b"separable = separable.__main__:script" in archive.read(entry)
    for folder in FOLDERS:
        assert (installed / folder / "py.typed").is_file(), folder
    shutil.rmtree(source)
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    line = [sys.executable, "-m", "separable", "-v", "run", "--board", "icebreaker"]
    done = subprocess.run(
        [*line, "--backend", "golden"], cwd=empty, env=environment, capture_output=True,
        text=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "5 of 5 test images classified rightly" in done.stdout
    where = subprocess.run(
        [sys.executable, "-c", "import separable, sim; print(separable.__file__, sim.__file__)"],
        cwd=empty, env=environment, capture_output=True, text=True, check=True,
    )
    assert where.stdout.count(str(installed)) == 2
