"""The tests mirror the sources, and none of them imports another."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from support.places import REPOSITORY

TESTS = REPOSITORY / "tests"
MODULES = sorted(TESTS.rglob("*.py"))
DOCUMENTS = sorted([REPOSITORY / "README.md", *REPOSITORY.glob("docs/**/*.md")])
OTHERS = {"mutations", "support"}
"""Folders of tests that no folder of sources belongs to."""


def imported(path: Path) -> set[str]:
    """Return the modules that a file names in its imports, wherever they stand."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_test_imports_a_test(path: Path) -> None:
    tests = {module.stem for module in MODULES if module.stem.startswith("test_")}
    # `support.x` is a helper; `test_x` alone, or behind folders of tests, is a test.
    assert not {name for name in imported(path) if name.split(".")[-1] in tests | {"conftest"}}


def test_folders_are_those_of_the_sources() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    for folder in folders:
        assert folder.parts[:1] in {(name,) for name in OTHERS} or (REPOSITORY / folder).is_dir()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_tests_that_exist(path: Path) -> None:
    for name in re.findall(r"`(tests/[\w/.]+)`", path.read_text()):
        assert (REPOSITORY / name).exists(), name
