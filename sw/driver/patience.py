"""Patience: the time that an answer may take, learned from those that came."""

from __future__ import annotations

import math

__all__ = ["FIRST_GRAINS", "Patience"]

FIRST_GRAINS = 50
"""Grains of the port's time that an answer may take while it is not known how long one takes."""

MARGIN = 4
"""An answer may be so many times as late as the latest ones were."""

FADING = 0.9
"""What is left of an answer's lateness with each later one."""


class Patience:
    """Lateness of answers beyond the time on the line, by how long they are.

    A USB adapter is late by a time that is always the same, a simulated board by one that grows
    with the bytes: what is known of one length is not believed of a longer one.

    Parameters
    ----------
    grain : float
        Seconds by which moments at the port are uncertain.
    """

    def __init__(self, grain: float) -> None:
        self._grain = grain
        self._late: dict[int, float] = {}

    def learn(self, line: float, late: float) -> None:
        """Take notice of an answer.

        Parameters
        ----------
        line : float
            Seconds that request and answer take on the line.
        late : float
            Seconds by which the answer came later.
        """
        size = _size(line)
        self._late[size] = max(late, FADING * self._late.get(size, 0.0), 0.0)

    def __call__(self, line: float) -> float:
        """Return by how many seconds an answer may be late before it counts as lost."""
        first = FIRST_GRAINS * self._grain
        if not self._late:
            return first
        size = _size(line)
        known = max((other for other in self._late if other <= size), default=min(self._late))
        learned = self._grain + MARGIN * self._late[known]
        if size <= known:
            return learned
        # Nothing is known of longer ones but that they may be later in proportion.
        return max(learned, min(learned * 2.0 ** (size - known), first))


def _size(line: float) -> int:
    return math.ceil(math.log2(line))
