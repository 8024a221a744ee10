"""What the README says of operators, commands and files is true."""

import re
from pathlib import Path

import boards

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_commands_and_folders_exist():
    modules = set(re.findall(r"python -m ((?:hw|sw|sim)(?:\.\w+)+)", README))
    assert modules
    for module in modules:
        path = ROOT / module.replace(".", "/")
        files = (path.with_suffix(".py"), path / "__main__.py")
        assert any(file.is_file() for file in files), module
    for path in re.findall(r"^\| `([^|]*)\|", README.split("## Layout")[1], flags=re.M):
        for name in re.findall(r"[\w/.]+", path.replace("`", "")):
            assert (ROOT / name).exists(), name


def test_boards_exist():
    for name in re.findall(r"--board (\w+)", README):
        assert name in boards.board_names()
