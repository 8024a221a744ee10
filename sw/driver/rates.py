"""Rates of a line: the highest that works, and starting anew at the lowest."""

from __future__ import annotations

from hw.contract.link import HEADER_BYTES, SAFE_RATE, Space, Status, control_address
from sw.driver.errors import DeviceLost
from sw.driver.line import TRIES, Line
from sw.driver.packets import Operation, Packet

__all__ = ["RATE_TRIES", "Rates"]

RATE_TRIES = 2
"""Times that a rate is asked for."""

LAST_TRIES = 16
"""Times that the lowest rate is asked for, and that a bad line is started anew."""

RATE_PROOFS = 3
"""Requests that a new rate has to carry."""

TRUSTED_PACKETS = 50
"""A rate that fails before so many packets is not tried again."""


class Rates:
    """Choice of a line's rate.

    Parameters
    ----------
    line : Line

    Attributes
    ----------
    carried : int
        Packets that got through since the rate was chosen.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._fastest = 0
        self.carried = 0

    def forget(self) -> None:
        """Try all rates again the next time."""
        self._fastest = 0

    def failed(self) -> None:
        """Take notice that the line had to be started anew."""
        if self.carried < TRUSTED_PACKETS:
            self._fastest = min(self._line.rate + 1, SAFE_RATE)

    def negotiate(self) -> None:
        """Choose the highest rate that works.

        Raises
        ------
        DeviceLost
            If none does.
        """
        for rate in range(self._fastest, SAFE_RATE + 1):
            # There is none below the lowest one.
            tries = RATE_TRIES if rate < SAFE_RATE else LAST_TRIES
            if any(self.change(rate) for _ in range(tries)):
                self._fastest = rate
                self._line.session = True
                return
        raise DeviceLost(
            f"{self._line.port.name}: too few answers get through at any rate; look at the cable"
        )

    def restart(self, tried: set[int] | None = None) -> int:
        """Begin anew at the safe rate; takes and returns what :meth:`Line.barrier` does.

        Raises
        ------
        DeviceLost
            If the device does not answer.
        """
        line = self._line
        tried = set() if tried is None else tried
        silent = 0
        for _ in range(LAST_TRIES):
            line.break_off()
            expected = line.barrier(tried)
            if expected is not None:
                return expected
            # A line that brings something is bad, but not dead.
            silent = 0 if line.heard else silent + 1
            if silent == TRIES:
                break
        raise DeviceLost(
            f"{line.port.name}: the device does not answer any more; is the board still powered?"
        )

    def change(self, rate: int) -> bool:
        """Ask for a rate, and see whether it works; otherwise both sides are at the safe one."""
        line = self._line
        # That it works is known then, and where the device is if it does not answer.
        same = rate == line.rate
        for _ in range(TRIES):
            reply, _ = line.exchange(self._request(rate), fillers=2 * HEADER_BYTES)
            if reply is None:
                if same:
                    continue
                break
            line.sequence = reply.expected
            if reply.status == Status.OK:
                line.change_rate(rate)
                self.carried = 0
                if same or all(line.barrier() is not None for _ in range(RATE_PROOFS)):
                    return True
                break
        self.restart()
        return False

    def _request(self, rate: int) -> Packet:
        ask = Operation(
            space=Space.CONTROL, address=control_address(rate), items=b"\0", count=1, write=True
        )
        return Packet(operation=ask, first=0, count=1, sequence=self._line.sequence)
