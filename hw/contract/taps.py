"""Taps of the 3×3 window: when its words are fetched, and which step of the array sees which.

Everything that knows the schedule of the depthwise engine knows it from here: the hardware
(:mod:`hw.depthwise`), the functional model, the compiler and the tests.  ``docs/depthwise.md``
draws it.
"""

from hw.contract.modes import Mode

__all__ = ["FETCH_STEPS", "PROLOGUE_WORDS", "STRIDES", "Tap", "window_ages", "window_steps"]

Tap = tuple[int, int]
"""A word of the 3×3 window: (age of its column, kernel row)."""

STRIDES: dict[Mode, int] = {Mode.DEPTHWISE: 1, Mode.DEPTHWISE_STRIDE2: 2}
"""Columns of the input that a window reads, and is further than the one before."""

FETCH_STEPS: dict[Mode, tuple[int, ...]] = {
    Mode.DEPTHWISE: (1, 2, 3),
    Mode.DEPTHWISE_STRIDE2: (0, 1, 2, 3, 4, 5),
    Mode.ADD: (0, 1),
}
"""Steps of a window with each of which one of its new words comes from the activation memory."""

PROLOGUE_WORDS: dict[Mode, int] = {Mode.DEPTHWISE: 3, Mode.DEPTHWISE_STRIDE2: 3, Mode.ADD: 1}
"""Words that are read before the first step of a layer: a column, or a word of tensor 1."""

_DEPTHWISE: tuple[tuple[Tap, Tap], ...] = (
    ((2, 0), (1, 2)),
    ((2, 1), (0, 0)),
    ((2, 2), (0, 1)),
    ((1, 0), (0, 2)),
    ((1, 1), (0, 2)),
)
_DEPTHWISE_STRIDE2: tuple[tuple[Tap, Tap], ...] = (
    ((2, 0), (0, 0)),
    ((2, 1), (0, 1)),
    ((2, 2), (0, 2)),
    ((1, 0), (-1, 0)),
    ((1, 1), (-1, 1)),
    ((1, 2), (-1, 2)),
    ((0, 1), (-1, 2)),
    ((1, 1), (-1, 2)),
)
# By how often their weights are the largest: the middle of a window, its sides, its corners.
_DEPTHWISE_AGAIN: tuple[Tap, ...] = (
    (1, 1), (0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2),
)
_DEPTHWISE_STRIDE2_AGAIN: tuple[Tap, ...] = (
    (0, 0), (0, 2), (1, 0), (1, 2), (-1, 1), (2, 1), (-1, 0), (-1, 2), (2, 0), (2, 2),
    (0, 1), (1, 1),
)


def window_ages(mode: Mode, *, odd: bool) -> tuple[int, int, int]:
    """Return the ages of a window's left, middle and right column.

    Parameters
    ----------
    mode : Mode
        A depthwise one.
    odd : bool
        DEPTHWISE_STRIDE2: windows start at odd columns.
    """
    return (1, 0, -1) if mode == Mode.DEPTHWISE_STRIDE2 and not odd else (2, 1, 0)


def window_steps(mode: Mode) -> tuple[tuple[Tap, Tap], ...]:
    """Return what the two rows of the array see in each step of a depthwise mode.

    An entry is (tap of array row 0, tap of array row 1).  A tap is (age of the column, kernel
    row).  Column 0 is the one whose reading begins with the window, 1 the one read before it, 2
    the one before that; DEPTHWISE_STRIDE2 reads two columns a window, 0 and then -1.

    The first steps (5 or 8) are the ordinary ones; those of DEPTHWISE_STRIDE2 have room for a
    second visit of the middle of the window, which is (0, 1) or (1, 1).  The steps after them are
    optional (a descriptor's ``steps`` says how many are taken): array row 0 visits every tap once
    more, so that a weight beyond int8 can be split over two visits; array row 1 wants zero weights
    there.
    """
    base, again = {
        Mode.DEPTHWISE: (_DEPTHWISE, _DEPTHWISE_AGAIN),
        Mode.DEPTHWISE_STRIDE2: (_DEPTHWISE_STRIDE2, _DEPTHWISE_STRIDE2_AGAIN),
    }[mode]
    return base + tuple((tap, base[-1][1]) for tap in again)
