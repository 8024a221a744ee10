"""The host's serial port at a simulated board: a stand-in for ``serial.Serial``."""

from __future__ import annotations

from hw.config import CoreConfig
from sim.board import SimulatedBoard

__all__ = ["SimulatedSerialPort"]


class SimulatedSerialPort:
    """A port whose other end is the link of a simulated board; time passes while it is read.

    Parameters
    ----------
    config : CoreConfig
    divisor : float
        Cycles per bit.
    board : SimulatedBoard, optional
        One that was made for this rate; otherwise it is the usual one.

    Attributes
    ----------
    board : SimulatedBoard
    timeout : float or None
        Seconds of the simulated board's time that :meth:`read` waits.
    """

    def __init__(
        self, config: CoreConfig, *, divisor: float, board: SimulatedBoard | None = None
    ) -> None:
        self.board = board or SimulatedBoard(config, link_divisor=round(divisor))
        self.timeout: float | None = None
        self._hertz = config.clock_mhz * 1e6
        self._divisor = divisor
        # Damage for tests: positions of sent bytes to invert, counted from now on.
        self.damage: set[int] = set()
        self._sent = 0

    def write(self, data: bytes) -> int:
        """Send bytes."""
        spoiled = bytes(
            byte ^ 0x10 if self._sent + i in self.damage else byte for i, byte in enumerate(data)
        )
        self._sent += len(data)
        self.board.serial_send(spoiled)
        return len(data)

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, or fewer after the time-out."""
        # What is still to be sent takes its time first; the limit is for the answer.
        seconds = 1.0 if self.timeout is None else self.timeout
        return self.board.serial_receive(size, int(seconds * self._hertz))

    def send_break(self, duration: float) -> None:
        """Hold the line low."""
        self.board.serial_break(max(1, int(duration * self._hertz / self._divisor)))

    def reset_input_buffer(self) -> None:
        """Forget what was received."""
        self.board.serial_receive(0, int(self._hertz))
        self.board.serial_clear()

    def close(self) -> None:
        """Free the simulation."""
        self.board.close()
