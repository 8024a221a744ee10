"""The page on tests of one's own: its files do what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import REPOSITORY

PAGE = (REPOSITORY / "docs" / "write-a-test.md").read_text(encoding="utf-8")


def write_files(folder: Path) -> list[str]:
    """Write the page's files, each of which begins with its name."""
    names = []
    for code in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        match = re.match(r"# (\w+\.py)\n", code)
        assert match is not None
        (folder / match[1]).write_text(code, encoding="utf-8")
        names.append(match[1])
    return names


def test_files(tmp_path: Path) -> None:
    names = write_files(tmp_path)
    assert names == ["my_tests.py", "run.py"]
    for name in names:
        compile((tmp_path / name).read_text(), name, "exec")


@pytest.mark.slow
def test_the_page_runs(tmp_path: Path) -> None:
    *_, door = write_files(tmp_path)
    done = subprocess.run([sys.executable, door], cwd=tmp_path, capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["2 tests, 0 failed"]), (
        done.stdout[-2000:] + done.stderr[-2000:])
    # A test that fails is a failure of the whole.
    code = (tmp_path / "my_tests.py").read_text()
    (tmp_path / "my_tests.py").write_text(code.replace("cycles == CYCLES", "cycles == 1"))
    done = subprocess.run([sys.executable, door], cwd=tmp_path, capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (1, ["2 tests, 1 failed"])
