"""A board on a serial port, through the link of :mod:`hw.link`."""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np

from hw.command import Register
from hw.config import CoreConfig
from hw.link.protocol import MAX_ITEMS, Space, Status, crc16, opcode
from sw.driver.errors import DeviceError, DeviceTimeout
from sw.driver.spi_flash import SpiFlash
from sw.driver.transport import Halfwords, LayerObserver, Progress, Transport

__all__ = ["Port", "SerialTransport"]

TRIES = 4
"""How often a request is sent before the line counts as dead."""
REPLY_SECONDS = 0.5
BREAK_SECONDS = 0.002
PAUSE_SECONDS = 0.001


class Port(Protocol):
    """What is needed of :class:`serial.Serial`."""

    timeout: float | None

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, or fewer after the time-out."""

    def write(self, data: bytes) -> int | None:
        """Send bytes."""

    def send_break(self, duration: float) -> None:
        """Hold the line low."""

    def reset_input_buffer(self) -> None:
        """Forget what was received."""

    def close(self) -> None:
        """Close the port."""


class _Damaged(Exception):
    """A request has to be repeated; the message says why."""


class SerialTransport(Transport):
    """A board on a serial port.

    Parameters
    ----------
    port : str or Port
        Its name, such as ``/dev/ttyUSB1``; or an open one.
    config : CoreConfig
    baud : int

    Raises
    ------
    DeviceError
        If the port cannot be opened.
    """

    def __init__(self, port: str | Port, config: CoreConfig, *, baud: int = 1_000_000) -> None:
        self.config = config
        self.name = port if isinstance(port, str) else "port"
        self._port = _open(port, baud) if isinstance(port, str) else port
        self._port.timeout = REPLY_SECONDS
        self._recover()

    def write_memory(self, address: int, halfwords: Halfwords) -> None:
        data = np.ascontiguousarray(halfwords, "<u2").tobytes()
        for at in range(0, len(data), 2 * MAX_ITEMS):
            part = data[at : at + 2 * MAX_ITEMS]
            self._write(Space.MEMORY, address + at // 2, part, len(part) // 2)

    def read_memory(self, address: int, count: int) -> Halfwords:
        data = b"".join(
            self._read(Space.MEMORY, address + at, min(MAX_ITEMS, count - at))
            for at in range(0, count, MAX_ITEMS)
        )
        return np.frombuffer(data, "<u2").astype(np.uint16)

    def write_register(self, register: Register, value: int) -> None:
        self._write(Space.REGISTER, register, value.to_bytes(2, "little"), 1)

    def read_register(self, register: Register) -> int:
        return int.from_bytes(self._read(Space.REGISTER, register, 1), "little")

    def exchange(self, sent: bytes, received: int = 0) -> bytes:
        """Send bytes to the flash, then take bytes from it, as one command."""
        for at in range(0, len(sent), MAX_ITEMS):
            part = sent[at : at + MAX_ITEMS]
            more = received > 0 or at + len(part) < len(sent)
            # Not repeated when damaged: the flash has acted on it.
            self._write(Space.FLASH, int(more), part, len(part), tries=1)
        result = b""
        while len(result) < received:
            count = min(MAX_ITEMS, received - len(result))
            more = len(result) + count < received
            result += self._read(Space.FLASH, int(more), count, tries=1)
        return result

    def program_flash(self, address: int, data: bytes, progress: Progress | None = None) -> None:
        SpiFlash(self.exchange).store(address, data)

    def now(self) -> float:
        return time.monotonic()

    def pause(self) -> None:
        time.sleep(PAUSE_SECONDS)

    def wait_idle(self, limit: int, on_layer: LayerObserver | None = None) -> None:
        if on_layer is not None:
            raise DeviceError(f"{self.name}: a board does not show its layers")
        seconds = limit / (self.config.clock_mhz * 1e6) + REPLY_SECONDS
        end = time.monotonic() + seconds
        while self.read_register(Register.STATUS) & 1:
            if time.monotonic() > end:
                raise DeviceTimeout(f"{self.name}: still busy after {seconds:.1f} s")

    def close(self) -> None:
        self._port.close()

    # -- requests --------------------------------------------------------------------------------

    def _write(
        self, space: Space, address: int, items: bytes, count: int, tries: int = TRIES
    ) -> None:
        body = items + crc16(items).to_bytes(2, "little")
        self._request(True, space, address, count, body, 0, tries)

    def _read(self, space: Space, address: int, count: int, tries: int = TRIES) -> bytes:
        size = count * (1 if space == Space.FLASH else 2)
        return self._request(False, space, address, count, b"", size, tries)

    def _request(
        self,
        write: bool,
        space: Space,
        address: int,
        count: int,
        body: bytes,
        size: int,
        tries: int,
    ) -> bytes:
        head = bytes(
            [
                opcode(write=write, space=space),
                *address.to_bytes(2, "little"),
                count % MAX_ITEMS,
            ]
        )
        message = head + crc16(head).to_bytes(2, "little") + body
        reason = ""
        for _ in range(tries):
            try:
                return self._once(message, size)
            except _Damaged as error:
                reason = str(error)
                self._recover()
            except OSError as error:
                # pyserial's SerialException is one: the cable was pulled.
                raise DeviceError(f"{self.name}: {error}") from None
        what = f"{'write' if write else 'read'} {space.name.lower()}"
        raise DeviceError(f"{self.name}: {what}: {reason}; is this a Separable board's port?")

    def _once(self, message: bytes, size: int) -> bytes:
        self._port.write(message)
        status = self._port.read(1)
        if not status:
            raise _Damaged("no answer")
        if status[0] != Status.OK:
            known = {s.value: s.name for s in Status}
            raise _Damaged(known.get(status[0], f"strange answer {status[0]:02x}"))
        rest = self._port.read(size + 2)
        if len(rest) != size + 2:
            raise _Damaged("the answer is too short")
        if crc16(status + rest[:size]) != int.from_bytes(rest[size:], "little"):
            raise _Damaged("the answer is damaged")
        return rest[:size]

    def _recover(self) -> None:
        """End whatever is under way on the other side."""
        try:
            self._port.send_break(BREAK_SECONDS)
            self._port.reset_input_buffer()
        except OSError as error:
            raise DeviceError(f"{self.name}: {error}") from None


def _open(name: str, baud: int) -> Any:
    import serial

    try:
        return serial.Serial(name, baud, timeout=REPLY_SECONDS, write_timeout=10)
    except (OSError, ValueError) as error:
        raise DeviceError(
            f"{name}: cannot be opened ({getattr(error, 'strerror', None) or error}); --backend "
            "is sim, golden or the name of the board's serial port"
        ) from None
