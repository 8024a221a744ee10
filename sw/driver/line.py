"""Line to a device: packets out, replies in, and where both sides are.

The protocol is in ``docs/protocol.md``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from hw.contract.link import FILLER, HEADER_BYTES, REPLY_BYTES, SAFE_RATE, SEQUENCES, Space, Status
from hw.contract.registers import Register
from sw.driver.errors import ConfigurationMismatch
from sw.driver.packets import Operation, Packet, Reply, find_reply, foreign_seed
from sw.driver.patience import Patience
from sw.driver.port import Port

__all__ = ["LONGEST_ANSWER", "READ_ITEMS", "TRIES", "DeviceRestarted", "Line"]

READ_ITEMS = 256
"""Items of one packet that reads."""

LONGEST_ANSWER = REPLY_BYTES + 2 * READ_ITEMS
"""Bytes."""

TRIES = 4
"""Times that a barrier is tried before the line is started anew, and that this is tried."""

SILENT_TRIES = 2
"""Barriers that get no answer at all, not even a damaged one, before the line is started anew."""

BARRIER_ITEMS = 5
"""Registers read by a barrier: no other request has a reply of this length."""

BREAK_RATIO = 12
"""A zero byte at so much less than the lowest rate is a break at every rate."""


class DeviceRestarted(Exception):
    """The device has lost what it was told: it was configured again, or is another one."""


class Line:
    """Line to a device, at one of its rates.

    Parameters
    ----------
    port : Port
    seed : int
        The digest of the configuration: :func:`hw.contract.link.digest`.
    baud : int
        The board's highest rate.
    explain : callable
        Returns a sentence about the seed of a device that has another configuration.

    Attributes
    ----------
    flight : deque of Packet
        Sent, and not known to be done.
    sequence : int
        Number of the next packet.
    gap : int
        Fillers that the next packet needs before it: the device answers meanwhile.
    session : bool
        The device has answered rightly; from now on a fresh one has lost what it was told.
    busy : bool
        What the device said last, in the reply to something that it got after a start.
    heard : bool
        Whether anything came since the last barrier was begun.
    rate : int
        The one in use; see :data:`hw.contract.link.RATES`.
    """

    def __init__(
        self, port: Port, *, seed: int, baud: int, explain: Callable[[int], str] = hex
    ) -> None:
        self.port = port
        self.flight: deque[Packet] = deque()
        self.sequence = 0
        self.gap = 0
        self.session = False
        self.busy = False
        self.heard = False
        self.rate = SAFE_RATE
        self._seed, self._baud, self._explain = seed, baud, explain
        self._buffer = bytearray()
        self._free = 0.0
        self._patience = Patience(port.grain)
        # When an answer came last, and seconds of requests that are not part of an operation and
        # have had none.
        self._progress = 0.0
        self._unanswered = 0.0

    @property
    def byte_seconds(self) -> float:
        """Time that a byte takes."""
        return 10 * (1 << self.rate) / self._baud

    def change_rate(self, rate: int) -> None:
        """Use another rate, as the device does already."""
        self.port.baud = self._baud >> rate
        self.rate = rate

    def transmit(self, packet: Packet, fillers: int) -> None:
        """Send a packet behind fillers; it gets the time at which its answer is due."""
        data = bytes([FILLER]) * fillers + packet.encode()
        self._free = max(self._free, self.port.now()) + len(data) * self.byte_seconds
        packet.due = self._free + packet.gap * self.byte_seconds
        packet.line = (len(data) + packet.gap) * self.byte_seconds
        self.gap = packet.gap
        self.port.write(data)

    def deadline(self, packet: Packet) -> float:
        """Return when the answer to a packet must have come."""
        return max(packet.due, self._progress + packet.line) + self._patience(packet.line)

    def receive(self, timeout: float) -> Iterator[Reply]:
        """Wait for bytes; yield the replies to what is under way that are complete with them."""
        self._buffer += self.port.receive(timeout)
        while (reply := find_reply(self._buffer, self._seed, self._sizes())) is not None:
            self._check_fresh(reply)
            yield reply
            self._progress = self.port.now()
        del self._buffer[:-LONGEST_ANSWER]

    def _sizes(self) -> dict[int, int]:
        return {(p.sequence + 1) % SEQUENCES: p.reply_bytes for p in self.flight}

    def _check_fresh(self, reply: Reply) -> None:
        if reply.fresh and self.session:
            self.session = False
            raise DeviceRestarted

    def learn(self, packet: Packet) -> None:
        """Take notice of how much later than on the line alone an answer came."""
        due = max(packet.due, self._progress + packet.line)
        self._patience.learn(packet.line, self.port.now() - due)

    def exchange(self, packet: Packet, *, fillers: int) -> tuple[Reply | None, bytearray]:
        """Send a packet past all others; return its reply, or the last one before it, and all
        bytes that came."""
        self._buffer.clear()
        self.transmit(packet, fillers)
        self._unanswered += packet.line
        patience = self._patience(self._unanswered + sum(p.line for p in self.flight))
        sizes = {(packet.sequence + 1) % SEQUENCES: packet.reply_bytes}
        received = bytearray()
        last: Reply | None = None
        while (wait := max(packet.due, self._progress) + patience - self.port.now()) > 0:
            data = self.port.receive(wait)
            self.heard |= bool(data)
            received += data
            self._buffer += data
            while (reply := find_reply(self._buffer, self._seed, sizes)) is not None:
                self._check_fresh(reply)
                last = reply
                if reply.status == Status.OK:
                    self.learn(packet)
                    self._unanswered = 0.0
                self._progress = self.port.now()
                if reply.status == Status.OK:
                    return reply, received
        return last, received

    def barrier(
        self, tried: set[int] | None = None, fillers: int = 2 * HEADER_BYTES
    ) -> int | None:
        """Make sure that nothing is under way; return the sequence number that was expected.

        It takes that number, by a request whose reply no other one can have.

        Parameters
        ----------
        tried : set of int, optional
            Numbers of barriers before it, since the last packet: they may have been taken, and
            only their answers lost.
        fillers : int
        """
        seeds: list[int] = []
        silent = 0
        tried = set() if tried is None else tried
        self.heard = False
        for _ in range(TRIES):
            tried.add(self.sequence)
            packet = self._barrier_packet()
            reply, received = self.exchange(packet, fillers=fillers)
            if reply is None:
                if not received:
                    silent += 1
                    if silent == SILENT_TRIES:
                        break
                # A device that has answered rightly has not become another one.
                seed = None if self.session else foreign_seed(bytes(received))
                if seed is not None and seed in seeds:
                    raise ConfigurationMismatch(f"{self.port.name}: {self._explain(seed)}")
                seeds += [] if seed is None else [seed]
            elif reply.status == Status.OK:
                self.sequence = reply.expected
                self.busy = reply.busy
                expected = packet.sequence
                while (expected - 1) % SEQUENCES in tried:
                    expected = (expected - 1) % SEQUENCES
                return expected
            else:
                self.sequence = reply.expected
        return None

    def _barrier_packet(self) -> Packet:
        status = Operation(
            space=Space.REGISTER, address=Register.STATUS, count=BARRIER_ITEMS, write=False
        )
        return Packet(operation=status, first=0, count=BARRIER_ITEMS, sequence=self.sequence)

    def break_off(self) -> None:
        """End whatever the device is doing with bytes; both sides are at the safe rate then."""
        safe = self._baud >> SAFE_RATE
        self.port.baud = safe // BREAK_RATIO
        self.port.write(b"\0\0")
        self.port.sleep(30 * BREAK_RATIO / safe)
        self.change_rate(SAFE_RATE)
        self.port.discard()
        self._free = 0.0
