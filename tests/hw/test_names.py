"""Names of signals are the same under every Python, and with them the placement of the design."""

import ast

import pytest
from support.places import REPOSITORY

SOURCES = sorted((REPOSITORY / "hw").rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_what_is_made_has_a_statement_of_its_own(path):
    """Amaranth reads names from the bytecode, where some Pythons have none for ``a, b = …``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Tuple):
            continue
        if isinstance(node.value, ast.Tuple):
            made = [value for value in node.value.elts if isinstance(value, ast.Call)]
            assert not made, f"{path.name}:{node.lineno}"
