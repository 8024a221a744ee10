"""The serial port, as the driver needs one; pyserial's, opened for one driver alone."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator
from typing import Any, Protocol

from sw.driver.errors import DeviceBusy, DeviceError, DeviceLost

__all__ = ["HardwarePort", "Port"]

WRITE_SECONDS = 5.0
"""Until a port that takes no bytes counts as dead."""

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
            if "exclusively lock" in str(error) or getattr(error, "errno", None) == 16:
                raise DeviceBusy(
                    f"{name}: another driver has this port; close it first"
                ) from None
            raise DeviceError(
                f"{name}: cannot be opened ({getattr(error, 'strerror', None) or error}); "
                "--backend is sim, sim:link, golden or the name of the board's serial port"
            ) from None
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
            place = self._port.fileno()
            if not select.select([place], [], [], max(timeout, 0))[0]:
                return b""
            data = os.read(place, RECEIVE_BYTES)
            if not data:
                raise OSError("it was unplugged")
            return data

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
