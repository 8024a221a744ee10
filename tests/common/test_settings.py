"""The file ``separable.toml``: found here or above, read or refused in a sentence."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

import boards
from boards import BoardError
from common import settings
from common.errors import InputError
from common.settings import NAME


def test_nobody_has_to_have_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings.settings() == settings.Settings()
    assert boards.default().name == boards.DEFAULT


def test_the_nearest_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / NAME).write_text("board = 'far'")
    (tmp_path / "a" / NAME).write_text("\ufeff# comment\r\nboard = 'near'\r\n")
    monkeypatch.chdir(inner)
    assert settings.settings() == settings.Settings(path=tmp_path / "a" / NAME, board="near")
    (tmp_path / "a" / NAME).write_text("")
    assert settings.settings().board is None


def test_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert settings.settings() == settings.Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"board = icebreaker", "not TOML"),
        (b"board = 3", "board is the name of one"),
        (b"board = ''", "board is the name of one"),
        (b"bord = 'icebreaker'", "says 'bord', and the only setting is 'board'"),
        (b"\xff", "not a text file in UTF-8"),
        (b"a = " + b"[" * 10_000, "not TOML"),
    ],
)
def test_what_is_wrong_is_said(
    text: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME).write_bytes(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said) as error:
        boards.default()
    assert str(tmp_path / NAME) in str(error.value) and "\n" not in str(error.value)


def test_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / NAME).mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        boards.default()


def test_a_board_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / NAME).write_text('board = "icebraker"')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BoardError, match=f"{NAME}: there is no board 'icebraker'; did you mean"):
        boards.default()


def test_the_option_looks_only_if_nothing_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME).write_text("board = 3")
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    boards.add_option(parser)
    assert parser.parse_args(["--board", "any"]).board == "any"
    with pytest.raises(InputError):
        parser.parse_args([])
    (tmp_path / NAME).write_text("board = 'icebreaker'")
    assert parser.parse_args([]).board == "icebreaker"
