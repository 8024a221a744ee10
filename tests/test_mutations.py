"""The list of deliberate mistakes fits the sources: each can still be made, and is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutations.run import REPOSITORY, Copy, Mutation, load

MUTATIONS = load()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_it_can_be_made(mutation: Mutation) -> None:
    text = (REPOSITORY / mutation.file).read_text()
    changed = mutation.apply(text)
    assert changed != text
    compile(changed, mutation.file, "exec")
    assert mutation.arguments
    for argument in mutation.arguments:
        path, _, function = argument.partition("::")
        source = (REPOSITORY / path).read_text()
        assert f"\ndef {function.partition('[')[0]}(" in source or not function


def test_names_are_unique() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(set(names)) == len(names)


def test_nearly_all_have_to_be_caught() -> None:
    assert sum(bool(mutation.equivalent) for mutation in MUTATIONS) <= 0.05 * len(MUTATIONS)


def test_a_mistake_is_caught_and_undone(tmp_path: Path) -> None:
    """In a copy of one small module and its test."""
    (tmp_path / "small.py").write_text("LIMIT = 3\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_small.py").write_text(
        "from small import LIMIT\n\n\ndef test_limit() -> None:\n    assert LIMIT < 4\n"
    )
    copy = Copy.__new__(Copy)
    copy.root = tmp_path
    fields = {"file": "small.py", "old": "3", "tests": "test_small.py"}
    assert copy.result(Mutation(name="greater", new="4", **fields)) == "caught"
    assert copy.result(Mutation(name="smaller", new="2", **fields)) == "survived"
    assert (tmp_path / "small.py").read_text() == "LIMIT = 3\n"
    with pytest.raises(ValueError, match="has 'x' 0 times"):
        copy.result(Mutation(name="nowhere", new="", **fields | {"old": "x"}))
