"""The host's side of the link: packets under way, acknowledged in order, sent again when lost.

The protocol is in ``docs/protocol.md``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hw.contract.link import (
    CRC_BYTES,
    FILLER,
    HEADER_BYTES,
    MAX_ITEMS,
    REPLY_BYTES,
    SAFE_RATE,
    SEQUENCES,
    Space,
    Status,
    control_address,
)
from hw.contract.registers import Register
from sw.driver.errors import ConfigurationMismatch, DeviceError, DeviceLost
from sw.driver.packets import Operation, Packet, Reply, find_reply, foreign_seed
from sw.driver.patience import Patience
from sw.driver.port import Port

__all__ = ["DeviceRestarted", "Link"]

WINDOW_BYTES = 20_000
"""Bytes under way at most: 16 ms of the highest rate, the longest that USB adapters wait."""

WINDOW_PACKETS = 100
"""Fewer than half of the sequence numbers."""

READ_ITEMS = 256
"""Items of one packet that reads."""

LEAST_ITEMS = 8

TRIES = 4
"""Times that a barrier is tried before the line is started anew, and that this is tried."""

SILENT_TRIES = 2
"""Barriers that get no answer at all, not even a damaged one, before the line is started anew."""

BARRIER_ITEMS = 5
"""Registers read by a barrier: no other request has a reply of this length."""

RATE_TRIES = 2
"""Times that a rate is asked for."""

LAST_TRIES = 16
"""Times that the lowest rate is asked for, and that a bad line is started anew."""

RATE_PROOFS = 3
"""Requests that a new rate has to carry."""

TRUSTED_PACKETS = 50
"""A rate that fails before so many packets is not tried again."""

STEADY_PACKETS = 20
"""A line that carried so many packets, one after the other, counts as good."""

BREAK_RATIO = 12
"""A zero byte at so much less than the lowest rate is a break at every rate."""


class DeviceRestarted(Exception):
    """The device has lost what it was told: it was configured again, or is another one."""


class Link:
    """A device behind a port: operations are done in order, each exactly once.

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
    busy : bool
        What the device said last, in the reply to something that it got after a start.
    retries : int
        Packets sent again.
    rate : int
        The one in use; see :data:`hw.contract.link.RATES`.
    """

    def __init__(
        self, port: Port, *, seed: int, baud: int, explain: Callable[[int], str] = hex
    ) -> None:
        self.port = port
        self.retries = 0
        self.busy = False
        self.rate = SAFE_RATE
        self._seed, self._baud, self._explain = seed, baud, explain
        self._queue: deque[Operation] = deque()
        self._flight: deque[Packet] = deque()
        self._buffer = bytearray()
        self._sequence = 0
        self._items = MAX_ITEMS
        self._window = WINDOW_BYTES
        self._gap = 0
        self._good = 0
        self._since = 0
        self._free = 0.0
        self._patience = Patience(port.grain)
        # When an answer came last, and seconds of requests that are not part of an operation and
        # have had none.
        self._progress = 0.0
        self._unanswered = 0.0
        self._session = False
        self._trouble = False
        self._awaited = 0
        self._done = 0
        # Whether anything came since the last barrier was begun.
        self._heard = False
        self._fastest = 0

    # -- what the transport calls ----------------------------------------------------------------

    def open(self) -> None:
        """Find the device and choose the rate.

        Raises
        ------
        ConfigurationMismatch
            If it was built from another configuration.
        DeviceError
            If there is none.
        """
        self._session = False
        self._fastest = 0
        self.clear()
        for _ in range(TRIES):
            self._break()
            if self._barrier() is not None:
                break
        else:
            raise DeviceError(
                f"{self.port.name}: no answer; is this a Separable board's port, and the bitstream "
                "of this version on the board?"
            )
        self._negotiate()

    def clear(self) -> None:
        """Forget everything that is to be done."""
        self._queue.clear()
        self._flight.clear()
        self._trouble = False

    def submit(self, operation: Operation, *, urgent: bool = False) -> Operation:
        """Put an operation behind all others, or before whatever is not sent yet."""
        if urgent:
            self._queue.appendleft(operation)
        else:
            self._queue.append(operation)
        return operation

    def run(self, *operations: Operation) -> None:
        """Submit operations and wait until they are done, or have failed."""
        for operation in operations:
            self.submit(operation)
        while not all(operation.done or operation.failed for operation in operations):
            self.pump()

    def pump(self, timeout: float | None = None) -> None:
        """Send what may be sent, and take what comes, until something has come.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most; without it, until an answer is late.
        """
        self._send()
        if not self._flight and not self._trouble:
            if timeout is not None:
                self.port.sleep(timeout)
            return
        if self._flight:
            wait = self._deadline() - self.port.now()
            self._take(self.port.receive(wait if timeout is None else min(wait, timeout)))
        if self._flight:
            over = self.port.now() >= self._deadline() or (self._trouble and self._awaited <= 0)
        else:
            # An answer to something older may have spoken of trouble that there was not.
            over = self._trouble
        if over:
            self._recover()

    def _deadline(self) -> float:
        """Return when the next answer, or in trouble the last one, must have come."""
        packet = self._flight[-1 if self._trouble else 0]
        return max(packet.due, self._progress + packet.line) + self._patience(packet.line)

    @property
    def idle(self) -> bool:
        """Whether nothing is to be done."""
        return not self._queue and not self._flight

    @property
    def steady(self) -> bool:
        """Whether the last packets all got through."""
        return self._good >= STEADY_PACKETS

    @property
    def byte_seconds(self) -> float:
        """Time that a byte takes."""
        return 10 * (1 << self.rate) / self._baud

    def change_rate(self, rate: int) -> None:
        """Change to a rate, while nothing is under way.

        Raises
        ------
        DeviceError
            If it does not work.
        """
        if not any(self._change_rate(rate) for _ in range(RATE_TRIES)):
            raise DeviceError(f"{self.port.name}: the device does not answer at {rate=}")

    # -- sending ---------------------------------------------------------------------------------

    def _send(self) -> None:
        if self._trouble:
            return
        under_way = sum(packet.count * packet.operation.item_bytes for packet in self._flight)
        while under_way < self._window and len(self._flight) < WINDOW_PACKETS:
            operation = next((o for o in self._queue if o.sent < o.count), None)
            if operation is None:
                return
            most = self._items if operation.write else min(self._items, READ_ITEMS)
            count = min(most, operation.count - operation.sent)
            packet = Packet(
                operation=operation, first=operation.sent, count=count, sequence=self._sequence
            )
            operation.sent += count
            self._transmit(packet)
            under_way += count * operation.item_bytes
            self._flight.append(packet)

    def _transmit(self, packet: Packet) -> None:
        operation = packet.operation
        now = self.port.now()
        if operation.began is None:
            operation.began = now
        # The device answered what came before while these fillers passed.
        fillers = self._gap
        if packet.first == 0:
            fillers = max(fillers, int(operation.pause / self.byte_seconds) + 1)
        data = bytes([FILLER]) * fillers + packet.encode()
        self._free = max(self._free, now) + len(data) * self.byte_seconds
        packet.due = self._free + packet.gap * self.byte_seconds
        packet.line = (len(data) + packet.gap) * self.byte_seconds
        self._gap = packet.gap
        self._sequence = (self._sequence + 1) % SEQUENCES
        self.port.write(data)

    # -- receiving -------------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        self._buffer += data
        while (reply := find_reply(self._buffer, self._seed, self._sizes())) is not None:
            self._check_fresh(reply)
            self._handle(reply)
            self._progress = self.port.now()
        del self._buffer[: -(REPLY_BYTES + 2 * READ_ITEMS)]

    def _sizes(self) -> dict[int, int]:
        return {(p.sequence + 1) % SEQUENCES: p.reply_bytes for p in self._flight}

    def _check_fresh(self, reply: Reply) -> None:
        if reply.fresh and self._session:
            self._session = False
            raise DeviceRestarted

    def _handle(self, reply: Reply) -> None:
        if reply.status != Status.OK:
            if not self._trouble:
                # Everything under way gets an answer of this kind; the first is this one.
                self._trouble, self._awaited = True, len(self._flight)
            self._awaited -= 1
            return
        last = None
        while self._flight:
            packet = self._flight.popleft()
            answered = (packet.sequence + 1) % SEQUENCES == reply.expected
            self._acknowledge(packet, reply.data if answered else None)
            if answered:
                last = packet
                break
        if last is None:
            return
        self._learn(last)
        self._adapt(good=True)
        # The reply to a start itself may be older than what it has begun.
        starts = last.operation.space == Space.CONTROL
        self.busy = reply.busy or starts

    def _learn(self, packet: Packet) -> None:
        """Take notice of how much later than on the line alone an answer came."""
        due = max(packet.due, self._progress + packet.line)
        self._patience.learn(packet.line, self.port.now() - due)

    def _acknowledge(self, packet: Packet, data: bytes | None) -> None:
        operation = packet.operation
        if packet.first != operation.acknowledged:
            return
        if not operation.write:
            if data is None:
                # Done, but the answer is lost: ask again.
                self._trouble, self._awaited = True, 0
                return
            operation.data += data
        operation.acknowledged += packet.count
        if operation.done:
            operation.ended = self.port.now()
            self._done += 1
            operation.order = self._done
            if operation in self._queue:
                self._queue.remove(operation)

    def _adapt(self, *, good: bool) -> None:
        """Choose the size of packets, and how many are under way, by what becomes of them."""
        if good:
            self._good += 1
            self._since += 1
            self._window = min(self._window + 2 * self._items, WINDOW_BYTES)
            if self._good % 8 == 0:
                self._items = min(2 * self._items, MAX_ITEMS)
        else:
            self._good = 0
            self._items = max(self._items // 2, LEAST_ITEMS)
            self._window = 4 * self._items

    # -- trouble ---------------------------------------------------------------------------------

    def _recover(self) -> None:
        """After everything that is under way has come or is lost: find out what was done."""
        self._adapt(good=False)
        flight = self._flight
        before = flight[0].sequence if flight else self._sequence
        # Fillers end any packet of which something is missing.
        sizes = [p.count * p.operation.item_bytes for p in flight if p.operation.write]
        tried: set[int] = set()
        done = self._barrier(tried, 3 * HEADER_BYTES + 2 * CRC_BYTES + max(sizes, default=0))
        restarted = done is None
        if done is None:
            if self._since < TRUSTED_PACKETS:
                self._fastest = min(self.rate + 1, SAFE_RATE)
            done = self._restart_line(tried)
        count = (done - before) % SEQUENCES
        if count > len(flight):
            self._session = False
            raise DeviceRestarted
        for _ in range(count):
            self._acknowledge(flight.popleft(), None)
        self.retries += len(flight)
        for packet in flight:
            packet.operation.retries += 1
        flight.clear()
        self._trouble = False
        # What follows a part of a command that is not known to be done has no meaning.
        broken = any(o.fragile and o.sent != o.acknowledged for o in self._queue)
        for operation in list(self._queue):
            operation.sent = operation.acknowledged
            if operation.fragile and broken:
                operation.failed = True
                self._queue.remove(operation)
        if restarted:
            self._negotiate()

    def _barrier(
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
        self._heard = False
        for _ in range(TRIES):
            tried.add(self._sequence)
            packet = Packet(
                operation=Operation(
                    space=Space.REGISTER, address=Register.STATUS, count=BARRIER_ITEMS, write=False
                ),
                first=0,
                count=BARRIER_ITEMS,
                sequence=self._sequence,
            )
            reply, received = self._exchange(packet, fillers=fillers)
            if reply is None:
                if not received:
                    silent += 1
                    if silent == SILENT_TRIES:
                        break
                # A device that has answered rightly has not become another one.
                seed = None if self._session else foreign_seed(bytes(received))
                if seed is not None and seed in seeds:
                    raise ConfigurationMismatch(f"{self.port.name}: {self._explain(seed)}")
                seeds += [] if seed is None else [seed]
            elif reply.status == Status.OK:
                self._sequence = reply.expected
                self.busy = reply.busy
                expected = packet.sequence
                while (expected - 1) % SEQUENCES in tried:
                    expected = (expected - 1) % SEQUENCES
                return expected
            else:
                self._sequence = reply.expected
        return None

    def _exchange(self, packet: Packet, *, fillers: int) -> tuple[Reply | None, bytearray]:
        """Send a packet past the queue; return its reply, or the last one before it, and all
        bytes that came."""
        self._buffer.clear()
        data = bytes([FILLER]) * fillers + packet.encode()
        self._free = max(self._free, self.port.now()) + len(data) * self.byte_seconds
        packet.due = self._free + packet.gap * self.byte_seconds
        packet.line = (len(data) + packet.gap) * self.byte_seconds
        self._unanswered += packet.line
        patience = self._patience(self._unanswered + sum(p.line for p in self._flight))
        self._gap = packet.gap
        self.port.write(data)
        sizes = {(packet.sequence + 1) % SEQUENCES: packet.reply_bytes}
        received = bytearray()
        last: Reply | None = None
        while (wait := max(packet.due, self._progress) + patience - self.port.now()) > 0:
            data = self.port.receive(wait)
            self._heard |= bool(data)
            received += data
            self._buffer += data
            while (reply := find_reply(self._buffer, self._seed, sizes)) is not None:
                self._check_fresh(reply)
                last = reply
                if reply.status == Status.OK:
                    self._learn(packet)
                    self._unanswered = 0.0
                self._progress = self.port.now()
                if reply.status == Status.OK:
                    return reply, received
        return last, received

    # -- rates -----------------------------------------------------------------------------------

    def _break(self) -> None:
        """End whatever the device is doing with bytes; both sides are at the safe rate then."""
        safe = self._baud >> SAFE_RATE
        self.port.baud = safe // BREAK_RATIO
        self.port.write(b"\0\0")
        self.port.sleep(30 * BREAK_RATIO / safe)
        self.port.baud = safe
        self.rate = SAFE_RATE
        self.port.discard()
        self._free = 0.0

    def _restart_line(self, tried: set[int] | None = None) -> int:
        """Begin anew at the safe rate; takes and returns what :meth:`_barrier` does."""
        tried = set() if tried is None else tried
        silent = 0
        for _ in range(LAST_TRIES):
            self._break()
            expected = self._barrier(tried)
            if expected is not None:
                return expected
            # A line that brings something is bad, but not dead.
            silent = 0 if self._heard else silent + 1
            if silent == TRIES:
                break
        raise DeviceLost(
            f"{self.port.name}: the device does not answer any more; is the board still powered?"
        )

    def _negotiate(self) -> None:
        """Choose the highest rate that works."""
        for rate in range(self._fastest, SAFE_RATE + 1):
            # There is none below the lowest one.
            tries = RATE_TRIES if rate < SAFE_RATE else LAST_TRIES
            if any(self._change_rate(rate) for _ in range(tries)):
                self._fastest = rate
                self._session = True
                self._items, self._window = MAX_ITEMS, WINDOW_BYTES
                return
        raise DeviceLost(
            f"{self.port.name}: too few answers get through at any rate; look at the cable"
        )

    def _change_rate(self, rate: int) -> bool:
        """Ask for a rate, and see whether it works; otherwise both sides are at the safe one."""
        # That it works is known then, and where the device is if it does not answer.
        same = rate == self.rate
        for _ in range(TRIES):
            packet = Packet(
                operation=Operation(
                    space=Space.CONTROL,
                    address=control_address(rate),
                    items=b"\0",
                    count=1,
                    write=True,
                ),
                first=0,
                count=1,
                sequence=self._sequence,
            )
            reply, _ = self._exchange(packet, fillers=2 * HEADER_BYTES)
            if reply is None:
                if same:
                    continue
                break
            self._sequence = reply.expected
            if reply.status == Status.OK:
                self.port.baud = self._baud >> rate
                self.rate = rate
                self._since = 0
                if same or all(self._barrier() is not None for _ in range(RATE_PROOFS)):
                    return True
                break
        self._restart_line()
        return False
