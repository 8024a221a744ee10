"""The notebook runs, and what it shows is what it gave."""

from __future__ import annotations

from typing import Any

import pytest
from support.places import REPOSITORY

NOTEBOOK = REPOSITORY / "docs" / "api.ipynb"

AGAIN = "run it again with: jupyter execute --inplace docs/api.ipynb"


def shown(notebook: Any) -> list[list[str]]:
    """Return what each cell of code shows, as text."""
    return [
        [output.get("text") or output.data["text/plain"] for output in cell.outputs]
        for cell in notebook.cells if cell.cell_type == "code"
    ]


@pytest.mark.slow
# Jupyter's own.
@pytest.mark.filterwarnings("ignore")
def test_notebook() -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    before = shown(notebook)
    assert all(before[:4]), AGAIN
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(REPOSITORY)}}
    )
    client.execute()
    assert shown(notebook) == before, AGAIN
