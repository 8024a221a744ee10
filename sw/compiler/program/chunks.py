"""Inputs that do not fit into memory as a whole: what the host brings while the core runs."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["InputChunk"]


@dataclass(frozen=True, kw_only=True)
class InputChunk:
    """A part of an input that the host writes when the core has got so far.

    Attributes
    ----------
    after_descriptor : int
        Descriptors that must have made their last step: they read what was at that place.  0:
        it can be written before the start.
    before_descriptor : int
        Number of the first descriptor that reads it; the core is held before that until it is
        there.  At least ``after_descriptor``.
    address : int
        Word address.
    first_word, words : int
        Which of the words that the input's layout makes.
    input : int
        Position in the program's ``inputs``.
    """

    after_descriptor: int
    before_descriptor: int
    address: int
    first_word: int
    words: int
    input: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.after_descriptor <= self.before_descriptor:
            raise ValueError(
                f"after_descriptor must be 0 to before_descriptor ({self.before_descriptor}), not "
                f"{self.after_descriptor!r}: the core would be held for ever"
            )
        if self.words < 1 or self.first_word < 0:
            raise ValueError(
                f"a chunk must have words, not {self.words!r} from {self.first_word!r} on"
            )
