"""Window of a link: how much is sent before anything is acknowledged."""

from __future__ import annotations

from hw.contract.link import MAX_ITEMS

__all__ = ["Window"]

WINDOW_BYTES = 20_000
"""Bytes under way at most: 16 ms of the highest rate, the longest that USB adapters wait."""

ANSWER_BYTES = 4096
"""Bytes of answers under way at most: what an FT2232H holds of a channel until the computer takes
it (data sheet, 2.1).  Nothing stops the device from sending more, which would be lost."""

WINDOW_PACKETS = 100
"""Fewer than half of the sequence numbers."""

LEAST_ITEMS = 8

STEADY_PACKETS = 20
"""A line that carried so many packets, one after the other, counts as good."""


class Window:
    """Size of packets, and how many are under way, by what becomes of them.

    Attributes
    ----------
    items : int
        Of a packet, at most.
    """

    def __init__(self) -> None:
        self.items = MAX_ITEMS
        self._bytes = WINDOW_BYTES
        self._good = 0

    def open(self) -> None:
        """Begin with the largest packets."""
        self.items, self._bytes = MAX_ITEMS, WINDOW_BYTES

    def has_room(self, packets: int, size: int, answers: int) -> bool:
        """Whether another packet may follow so many that have so many bytes.

        Parameters
        ----------
        packets : int
        size : int
            Bytes of what they write and read.
        answers : int
            Bytes of their answers, and of the longest that another packet may have.
        """
        return size < self._bytes and packets < WINDOW_PACKETS and answers <= ANSWER_BYTES

    @property
    def steady(self) -> bool:
        """Whether the last packets all got through."""
        return self._good >= STEADY_PACKETS

    def grow(self) -> None:
        """Take notice of a packet that got through."""
        self._good += 1
        self._bytes = min(self._bytes + 2 * self.items, WINDOW_BYTES)
        if self._good % 8 == 0:
            self.items = min(2 * self.items, MAX_ITEMS)

    def shrink(self) -> None:
        """Take notice of trouble."""
        self._good = 0
        self.items = max(self.items // 2, LEAST_ITEMS)
        self._bytes = 4 * self.items
