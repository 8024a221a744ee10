"""Work in several processes."""

from collections.abc import Callable

import pytest

from common import progress
from common.parallel import largest_first


class Stage:
    """Takes down what a bar is told."""

    def __init__(self) -> None:
        self.said: list[str | int] = []

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self.said.append("end")

    def at(self, what: str) -> None:
        self.said.append(what)

    def reached(self, done: int) -> None:
        self.said.append(done)


def run(work: Callable[[str], int]) -> list[int]:
    return largest_first(work, ["bb", "dddd", "a", "ccc"], size=len, name=str.upper, jobs=1,
                         doing="counting", unit="words")


def test_largest_first_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    monkeypatch.setattr(progress, "stage", lambda *_, **__: stage)
    begun: list[str] = []
    assert run(lambda word: begun.append(word) or len(word)) == [2, 4, 1, 3]
    assert begun == ["dddd", "ccc", "bb", "a"]
    assert stage.said == ["DDDD", 1, "CCC", 2, "BB", 3, "A", 4, "", "end"]


def test_largest_first_ends_the_bar_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    monkeypatch.setattr(progress, "stage", lambda *_, **__: stage)
    with pytest.raises(ZeroDivisionError):
        run(lambda word: 1 // (len(word) - 3))
    assert stage.said == ["DDDD", 1, "CCC", "end"]
