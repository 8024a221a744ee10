"""The host's serial port at a simulated board: what the driver needs of a port, in its time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from sim.board.simulated import SimulatedBoard

__all__ = ["Faults", "SimulatedSerialPort"]

ADAPTER_BYTES = 4096
"""Bytes that an FT2232H holds of a channel until the computer takes them (data sheet, 2.1)."""

RECEIVE_BYTES = 1 << 16
"""More than can arrive between two looks."""


@dataclass(kw_only=True)
class Faults:
    """Faults of a line; each probability is per byte.

    Attributes
    ----------
    flip, drop, duplicate, insert, delay : float
        A bit is inverted; the byte is lost; it comes twice; a random byte comes before it; there
        is a pause before it.
    delay_seconds : float
        The longest pause.
    seed : int
    """

    flip: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    insert: float = 0.0
    delay: float = 0.0
    delay_seconds: float = 0.0005
    seed: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.count = 0

    def spoil(self, data: bytes) -> list[tuple[bytes, float]]:
        """Return what becomes of bytes: pieces, each after a pause of so many seconds."""
        rng = self._random
        total = self.flip + self.drop + self.duplicate + self.insert + self.delay
        pieces: list[tuple[bytearray, float]] = [(bytearray(), 0.0)]
        for byte in data:
            event = rng.random()
            if event >= total:
                pieces[-1][0].append(byte)
                continue
            self.count += 1
            if (event := event - self.flip) < 0:
                pieces[-1][0].append(byte ^ 1 << rng.randrange(8))
            elif (event := event - self.drop) < 0:
                pass
            elif (event := event - self.duplicate) < 0:
                pieces[-1][0].extend((byte, byte))
            elif event - self.insert < 0:
                pieces[-1][0].extend((rng.randrange(256), byte))
            else:
                pieces.append((bytearray([byte]), rng.random() * self.delay_seconds))
        return [(bytes(piece), pause) for piece, pause in pieces]


class SimulatedSerialPort:
    """A port whose other end is the link of a simulated board; time passes while it is waited for.

    Parameters
    ----------
    board : SimulatedBoard
        With its serial link.
    latency : float
        Seconds that a byte takes from the program to the line, and from the line to the program:
        what USB adds.
    turn : float
        Seconds from one moment at which the computer takes what has arrived to the next; 0: it
        does so at once.

    Attributes
    ----------
    to_device, to_host : Faults
        What happens to bytes on their way.
    cut : bool
        Everything that is sent is lost, and nothing arrives.
    tap : callable, optional
        Called with everything that is sent.
    overrun : int
        Bytes that were lost because the adapter was full.
    """

    name = "simulated port"
    grain = 0.0005

    def __init__(
        self, board: SimulatedBoard, *, latency: float = 0.0, turn: float = 0.0
    ) -> None:
        self.board = board
        self._hertz = board.config.core_mhz * 1e6
        self._latency = int(latency * self._hertz)
        self._turn = int(turn * self._hertz)
        self.to_device, self.to_host = Faults(), Faults()
        self.cut = False
        self.tap: Callable[[bytes], None] | None = None
        self.sent = 0
        self.overrun = 0
        self._baud = 0
        self._late: list[tuple[int, bytes]] = []

    @property
    def baud(self) -> int:
        """The host's rate.  A change waits until everything is sent."""
        return self._baud

    @baud.setter
    def baud(self, baud: int) -> None:
        while not self.board.serial_idle:
            self.board.run(64)
        self._baud = baud
        self.board.serial_rate(baud)

    def now(self) -> float:
        """Return the board's time in seconds."""
        return self.board.cycle / self._hertz

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.board.run(int(seconds * self._hertz))

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.sent += len(data)
        if self.tap is not None:
            self.tap(data)
        start = self.board.cycle + self._latency
        for piece, pause in self.to_device.spoil(data):
            start += int(pause * self._hertz)
            if piece and not self.cut:
                self.board.serial_send(piece, start)

    def receive(self, timeout: float) -> bytes:
        """Return what has arrived; wait for something, but at most so many seconds."""
        # At least a cycle: who waits for a moment that is not quite there would wait for ever.
        deadline = self.board.cycle + int(timeout * self._hertz) + 1
        while True:
            if self._late and self._late[0][0] <= self.board.cycle:
                return self._late.pop(0)[1]
            until = min([deadline, *(due for due, _ in self._late[:1])])
            data = self._taken(until)
            if self.cut:
                data = b""
            due = self._late[-1][0] if self._late else self.board.cycle
            for piece, pause in self.to_host.spoil(data):
                due += int(pause * self._hertz)
                if piece:
                    self._late.append((due, piece))
            if not self._late and self.board.cycle >= deadline:
                return b""

    def _taken(self, until: int) -> bytes:
        """Let time pass until a cycle at most; return what the computer takes first."""
        board = self.board
        wait = until - board.cycle
        if self._turn:
            turn = self._turn - board.cycle % self._turn
            board.run(min(turn, wait))
            if turn > wait:
                return b""
            wait = 0
        data = board.serial_receive(RECEIVE_BYTES, wait, self._latency)
        self.overrun += len(data[ADAPTER_BYTES:])
        return data[:ADAPTER_BYTES]

    def discard(self) -> None:
        """Forget what has arrived."""
        self._late.clear()
        while self.board.serial_receive(RECEIVE_BYTES, 0):
            pass

    def close(self) -> None:
        """Free the simulation."""
        self.board.close()
