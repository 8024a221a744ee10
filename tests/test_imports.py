"""Who may import whom: the contracts of ``pyproject.toml``, and that they leave nothing out."""

from __future__ import annotations

import ast
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.doors import DOORS, SETTINGS, contract
from support.places import REPOSITORY

ROOTS = SETTINGS["root_packages"]


def has_main(path: Path) -> bool:
    """Whether a file does something when it is run."""
    return any(
        isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
        for node in ast.parse(path.read_text()).body
    )


def test_contracts() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; "
         "lint_imports_command()", "--no-cache"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_package_has_a_layer() -> None:
    layers = contract("layers")["layers"]
    layered = {name for layer in layers for name in re.split(r" [|:] ", layer)}
    for root in ROOTS:
        if root not in layered:
            for module in pkgutil.iter_modules([str(REPOSITORY / root)], f"{root}."):
                assert module.name in layered, f"{module.name} has no layer in pyproject.toml"


def test_doors_are_the_files_with_a_main() -> None:
    files = [path for root in ROOTS for path in (REPOSITORY / root).rglob("*.py")]
    doors = {
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for path in files if has_main(path)
    }
    assert doors == set(DOORS)


@pytest.mark.parametrize(
    "module", ["boards", "hw.contract", "sw.compiler", "sw.driver", "sw.golden"]
)
def test_nothing_shared_needs_amaranth(module: str) -> None:
    """With everything that is below the module."""
    code = (
        "import importlib, pkgutil, sys\n"
        "sys.modules['amaranth'] = sys.modules['amaranth_boards'] = None\n"
        f"package = importlib.import_module({module!r})\n"
        "for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(found.name)\n"
        "try:\n"
        "    import amaranth\n"
        "except ImportError:\n"
        "    print('without')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )
    assert (result.stdout, result.stderr) == ("without\n", "")
