"""Link to a device: operations are done in order, each exactly once.

Packets are under way together, acknowledged in order, and sent again when lost.  The protocol is
in ``docs/protocol.md``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hw.contract.link import CRC_BYTES, HEADER_BYTES, SEQUENCES, Space, Status
from sw.driver.errors import DeviceError, DeviceSilent
from sw.driver.line import LONGEST_ANSWER, READ_ITEMS, TRIES, DeviceRestarted, Line
from sw.driver.packets import Operation, Packet, Reply
from sw.driver.port import Port
from sw.driver.ports import about_silence
from sw.driver.rates import RATE_TRIES, Rates
from sw.driver.window import Window

__all__ = ["Link"]


class Link:
    """Link to a device behind a port.

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
    line : Line
    retries : int
        Packets sent again.
    """

    def __init__(
        self, port: Port, *, seed: int, baud: int, explain: Callable[[int], str] = hex
    ) -> None:
        self.port = port
        self.line = Line(port, seed=seed, baud=baud, explain=explain)
        self.retries = 0
        self._rates = Rates(self.line)
        self._window = Window()
        self._queue: deque[Operation] = deque()
        # Whether something was lost; answers to what was sent behind it that are still to come.
        self._trouble = False
        self._awaited = 0
        self._done = 0

    # -- what the transport calls ----------------------------------------------------------------

    def open(self) -> None:
        """Find the device and choose the rate.

        Raises
        ------
        ConfigurationMismatch
            If it was built from another configuration.
        DeviceSilent
            If there is none.
        """
        self.line.session = False
        self._rates.forget()
        self.clear()
        for _ in range(TRIES):
            self.line.break_off()
            if self.line.barrier() is not None:
                break
        else:
            raise DeviceSilent(f"{self.port.name}: no answer; {about_silence(self.port.name)}")
        self._negotiate()

    def clear(self) -> None:
        """Forget everything that is to be done."""
        self._queue.clear()
        self.line.flight.clear()
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
        flight = self.line.flight
        if not flight and not self._trouble:
            if timeout is not None:
                self.port.sleep(timeout)
            return
        if flight:
            wait = self._deadline() - self.port.now()
            for reply in self.line.receive(wait if timeout is None else min(wait, timeout)):
                self._handle(reply)
        if flight:
            over = self.port.now() >= self._deadline() or (self._trouble and self._awaited <= 0)
        else:
            # An answer to something older may have spoken of trouble that there was not.
            over = self._trouble
        if over:
            self._recover()

    def _deadline(self) -> float:
        """Return when the next answer, or in trouble the last one, must have come."""
        return self.line.deadline(self.line.flight[-1 if self._trouble else 0])

    @property
    def idle(self) -> bool:
        """Whether nothing is to be done."""
        return not self._queue and not self.line.flight

    @property
    def steady(self) -> bool:
        """Whether the last packets all got through."""
        return self._window.steady

    @property
    def busy(self) -> bool:
        """What the device said last, in the reply to something that it got after a start."""
        return self.line.busy

    @property
    def rate(self) -> int:
        """The one in use; see :data:`hw.contract.link.RATES`."""
        return self.line.rate

    @property
    def byte_seconds(self) -> float:
        """Time that a byte takes."""
        return self.line.byte_seconds

    def change_rate(self, rate: int) -> None:
        """Change to a rate, while nothing is under way.

        Raises
        ------
        DeviceError
            If it does not work.
        """
        if not any(self._rates.change(rate) for _ in range(RATE_TRIES)):
            raise DeviceError(f"{self.port.name}: the device does not answer at {rate=}")

    # -- sending ---------------------------------------------------------------------------------

    def _send(self) -> None:
        if self._trouble:
            return
        flight = self.line.flight
        under_way = sum(packet.count * packet.operation.item_bytes for packet in flight)
        answers = sum(packet.reply_bytes for packet in flight)
        while self._window.has_room(len(flight), under_way, answers + LONGEST_ANSWER):
            operation = next((o for o in self._queue if o.sent < o.count), None)
            if operation is None:
                return
            items = self._window.items
            most = items if operation.write else min(items, READ_ITEMS)
            count = min(most, operation.count - operation.sent)
            packet = Packet(
                operation=operation, first=operation.sent, count=count,
                sequence=self.line.sequence,
            )
            operation.sent += count
            self._transmit(packet)
            under_way += count * operation.item_bytes
            answers += packet.reply_bytes
            flight.append(packet)

    def _transmit(self, packet: Packet) -> None:
        operation, line = packet.operation, self.line
        if operation.began is None:
            operation.began = self.port.now()
        # The device answered what came before while these fillers passed.
        fillers = line.gap
        if packet.first == 0:
            fillers = max(fillers, int(operation.pause / self.byte_seconds) + 1)
        line.transmit(packet, fillers)
        line.sequence = (line.sequence + 1) % SEQUENCES

    # -- receiving -------------------------------------------------------------------------------

    def _handle(self, reply: Reply) -> None:
        flight = self.line.flight
        if reply.status != Status.OK:
            if not self._trouble:
                # Everything under way gets an answer of this kind; the first is this one.
                self._trouble, self._awaited = True, len(flight)
            self._awaited -= 1
            return
        last = None
        while flight:
            packet = flight.popleft()
            answered = (packet.sequence + 1) % SEQUENCES == reply.expected
            self._acknowledge(packet, reply.data if answered else None)
            if answered:
                last = packet
                break
        if last is None:
            return
        self.line.learn(last)
        self._window.grow()
        self._rates.carried += 1
        # The reply to a start itself may be older than what it has begun.
        starts = last.operation.space == Space.CONTROL
        self.line.busy = reply.busy or starts

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

    # -- trouble ---------------------------------------------------------------------------------

    def _recover(self) -> None:
        """After everything that is under way has come or is lost: find out what was done."""
        self._window.shrink()
        line, flight = self.line, self.line.flight
        before = flight[0].sequence if flight else line.sequence
        # Fillers end any packet of which something is missing.
        sizes = [p.count * p.operation.item_bytes for p in flight if p.operation.write]
        tried: set[int] = set()
        done = line.barrier(tried, 3 * HEADER_BYTES + 2 * CRC_BYTES + max(sizes, default=0))
        restarted = done is None
        if done is None:
            self._rates.failed()
            done = self._rates.restart(tried)
        count = (done - before) % SEQUENCES
        if count > len(flight):
            line.session = False
            raise DeviceRestarted
        for _ in range(count):
            self._acknowledge(flight.popleft(), None)
        self.retries += len(flight)
        for packet in flight:
            packet.operation.retries += 1
        flight.clear()
        self._trouble = False
        self._send_again()
        if restarted:
            self._negotiate()

    def _send_again(self) -> None:
        """Begin all operations again behind what is known to be done."""
        # What follows a part of a command that is not known to be done has no meaning.
        broken = any(o.fragile and o.sent != o.acknowledged for o in self._queue)
        for operation in list(self._queue):
            operation.sent = operation.acknowledged
            if operation.fragile and broken:
                operation.failed = True
                self._queue.remove(operation)

    def _negotiate(self) -> None:
        self._rates.negotiate()
        self._window.open()
