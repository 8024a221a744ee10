"""Work in several processes."""

from __future__ import annotations

from common.parallel import under_way


def test_what_is_under_way() -> None:
    names = ["a", "b", "c", "d"]
    assert under_way(names, set(), 2) == "a, b"
    assert under_way(names, {0, 2}, 2) == "b, d"
    assert under_way(names, {0, 1, 2, 3}, 2) == ""
