"""The serial port, as the driver needs one; pyserial's, opened for one driver alone."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator
from typing import Any, Protocol

from sw.driver.errors import DeviceLost
from sw.driver.ports import refused

__all__ = ["HardwarePort", "Port"]

WRITE_SECONDS = 5.0
"""Until a port that takes no bytes counts as dead."""

POLL_SECONDS = 0.001
"""Between two looks, where nothing else can be done: what the adapter waits, at best."""

RECEIVE_BYTES = 1 << 16
"""Of answers that are taken at once."""


class Port(Protocol):
    """A serial port: what is sent arrives in order, or not at all, or damaged.

    Attributes
    ----------
    name : str
    grain : float
        Seconds by which moments at this port are uncertain.
    baud : int
        The rate of both directions.  A change comes after everything that was written.
    """

    name: str
    grain: float
    baud: int

    def now(self) -> float:
        """Return seconds of the clock that goes with the port."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""

    def write(self, data: bytes) -> None:
        """Send bytes; returns when they are underway."""

    def receive(self, timeout: float) -> bytes:
        """Return what has arrived; wait for something, but at most so many seconds."""

    def discard(self) -> None:
        """Forget what has arrived."""

    def close(self) -> None:
        """Close the port."""


class HardwarePort:
    """A port of the operating system: a board's, or a pseudo-terminal.

    Parameters
    ----------
    name : str
        Such as ``/dev/ttyUSB1``.
    baud : int

    Raises
    ------
    DeviceBusy
        If another driver has it.
    DeviceError
        If it cannot be opened.
    """

    grain = 0.02
    """USB adapters deliver what they have after 1 to 16 ms; processes wait for each other."""

    def __init__(self, name: str, baud: int) -> None:
        import serial

        self.name = name
        try:
            # Locked for as long as it is open; the lock goes with the process.
            # Its timeout stays as it is: pyserial sets the line anew with every other one, which on
            # an FT2232H is a transfer on USB each time.
            self._port: Any = serial.Serial(
                name, baud, timeout=0, write_timeout=WRITE_SECONDS, exclusive=True
            )
        except (OSError, ValueError) as error:
            raise refused(name, error) from None
        with contextlib.suppress(OSError, ValueError, AttributeError, NotImplementedError):
            # Not everywhere: without it, an answer may take 16 ms.
            self._port.set_low_latency_mode(True)

    @property
    def baud(self) -> int:
        return int(self._port.baudrate)

    @baud.setter
    def baud(self, baud: int) -> None:
        with self._lost():
            self._port.flush()
            # What flushing does not know of: the adapter's own buffer, the other side's reading.
            time.sleep(self.grain)
            self._port.baudrate = baud

    def now(self) -> float:
        """Return seconds of the computer's clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        with self._lost():
            self._port.write(data)

    def receive(self, timeout: float) -> bytes:
        """Return what has arrived; wait for something, but at most so many seconds."""
        with self._lost():
            if os.name == "nt":
                return self._polled(timeout)
            place = self._port.fileno()
            if not select.select([place], [], [], max(timeout, 0))[0]:
                return b""
            data = os.read(place, RECEIVE_BYTES)
            if not data:
                raise OSError("it was unplugged")
            return data

    def _polled(self, timeout: float) -> bytes:
        """Return what has arrived, where ports cannot be waited for together with a time."""
        deadline = self.now() + timeout
        while not (count := self._port.in_waiting) and (left := deadline - self.now()) > 0:
            self.sleep(min(POLL_SECONDS, left))
        return bytes(self._port.read(count)) if count else b""

    def discard(self) -> None:
        """Forget what has arrived."""
        with self._lost():
            self._port.reset_input_buffer()

    def close(self) -> None:
        """Close the port, also if it is not there any more."""
        with contextlib.suppress(Exception):
            self._port.close()

    @contextlib.contextmanager
    def _lost(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # OSError, SerialException (one of them), termios.error (not one), TypeError of
            # pyserial's closed ports: whatever it is, the port is gone.
            raise DeviceLost(
                f"{self.name}: the line is gone ({getattr(error, 'strerror', None) or error}); "
                "plug the board in and open it again"
            ) from None
