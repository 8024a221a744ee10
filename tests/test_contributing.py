"""What CONTRIBUTING and the glossary name is there, and the code in them runs."""

from __future__ import annotations

import contextlib
import io
import re

import pytest
from support.places import REPOSITORY

TEXTS = {name: (REPOSITORY / name).read_text() for name in ("CONTRIBUTING.md", "docs/glossary.md")}


@pytest.mark.parametrize("name", TEXTS)
def test_files_exist(name: str) -> None:
    paths = re.findall(r"`((?:boards|hw|sim|sw|tests|docs)/[\w/.]+)`", TEXTS[name])
    assert len(paths) > 20
    # Those that are still to be written have a NAME.
    assert not [path for path in paths if "NAME" not in path and not (REPOSITORY / path).exists()]


def test_a_layer_is_followed() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXTS["CONTRIBUTING.md"], flags=re.DOTALL)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "CONTRIBUTING.md", "exec"), {})
    lines = said.getvalue().splitlines()
    assert "DepthwiseConv2D" in lines[0] and "Mode.DEPTHWISE" in said.getvalue()
