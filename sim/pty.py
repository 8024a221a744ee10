"""The simulated board as a serial port: a pseudo-terminal that drivers open like a board's.

Behind it are the link, the core and the flash, cycle by cycle.  Time passes in the simulation while
there is something to do, tens of times slower than on a board, and stands still otherwise.
Baud rates count: what is sent at a rate that the board does not listen at arrives as garbage.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import select
import struct
import sys
import threading
import tty
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import boards
from common import door, files
from common.closing import Closing
from common.door import INTERRUPTED
from common.tool import Parser, command
from common.verbosity import is_quiet
from sim.board.simulated import SimulatedBoard
from sim.errors import SimulationError

__all__ = ["PseudoTerminal", "main"]

CHUNK = 2000
"""Cycles at a time; between them bytes go to and come from the pseudo-terminal."""

SETTLE = 100_000
"""Cycles that pass after the last sign of life: a flash may be busy, a driver may be thinking."""

BACKLOG = 1 << 16
"""Bytes from the host that may wait for the simulation before the host has to wait."""

TCGETS2 = 0x802C542A
TERMIOS2 = struct.Struct("4I20B2I")
"""Linux's ``termios2``; its last field is the rate of what the host sends, in bits a second."""


class PseudoTerminal(Closing):
    """A board with a serial link, on a pseudo-terminal of its own.

    Parameters
    ----------
    board : SimulatedBoard
        With its serial link.  It belongs to the thread in :meth:`serve` while that runs.

    Attributes
    ----------
    name : str
        What a driver opens.

    Raises
    ------
    SimulationError
        If the operating system gives no pseudo-terminal.
    """

    def __init__(self, board: SimulatedBoard) -> None:
        if sys.platform != "linux":
            raise SimulationError(
                "baud rates of pseudo-terminals can be seen on Linux only; use --backend sim"
            )
        self.board = board
        try:
            # Both ends stay open: drivers come and go.
            self._master, self._slave = os.openpty()
        except OSError as error:
            raise SimulationError(f"no pseudo-terminal: {error.strerror}") from None
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.name = os.ttyname(self._slave)
        self._rate = 0
        self._active_until = 0
        self._replies = bytearray()
        # From the reader: bytes, and the rate at which they were sent.
        self._requests: deque[tuple[int, bytes]] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._serving = threading.Lock()
        self._wake = os.pipe()
        self._reader = threading.Thread(target=self._read, name="pty reader", daemon=True)
        self._reader.start()

    # -- what the host sends ---------------------------------------------------------------------

    @property
    def host_rate(self) -> int:
        """The rate at which the host sends, as it was set last; 0 if it hung up."""
        data = fcntl.ioctl(self._master, TCGETS2, bytes(TERMIOS2.size))
        return int(TERMIOS2.unpack(data)[-1])

    def _read(self) -> None:
        """Take bytes as soon as they are sent, for the host may change its rate afterwards."""
        while True:
            ready, _, _ = select.select([self._master, self._wake[0]], [], [])
            if self._wake[0] in ready:
                return
            rate = self.host_rate
            try:
                data = os.read(self._master, BACKLOG)
            except OSError:
                continue
            with self._changed:
                # A host that sends at no rate sends nothing.
                if rate:
                    self._requests.append((rate, data))
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stopped or self._backlog < BACKLOG)

    @property
    def _backlog(self) -> int:
        return sum(len(data) for _, data in self._requests)

    def _take_requests(self) -> None:
        """Put on the line what has come, at the rate at which it was sent."""
        board = self.board
        with self._changed:
            while self._requests:
                rate, data = self._requests[0]
                if rate != self._rate and not self._change_rate(rate):
                    return
                self._requests.popleft()
                board.serial_send(data, board.cycle)
                self._active_until = board.cycle + SETTLE
            self._changed.notify_all()
            rate = self.host_rate
        if rate and rate != self._rate:
            self._change_rate(rate)

    def _change_rate(self, rate: int) -> bool:
        """Change the line's rate, unless something is still being sent at the old one."""
        if not self.board.serial_idle:
            return False
        self._rate = rate
        self.board.serial_rate(rate)
        return True

    # -- time ------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Let the board run while there is something to do, until :meth:`stop` is called."""
        with self._serving:
            while not self._stopped:
                self._take_requests()
                if self.board.busy or not self.board.serial_idle:
                    self._active_until = self.board.cycle + SETTLE
                if self.board.cycle < self._active_until:
                    self._step()
                else:
                    self._wait()
                self._give_replies()

    def _wait(self) -> None:
        with self._changed:
            # Not for ever: the host may be slow to take what was sent.
            self._changed.wait_for(
                lambda: self._stopped or bool(self._requests), 0.01 if self._replies else None
            )

    def _step(self) -> None:
        try:
            self.board.run(CHUNK)
        except SimulationError as error:
            # A board would go on: its flash has ignored something.
            print(f"simulated board: {error}", file=sys.stderr, flush=True)
        data = self.board.serial_receive(1 << 16, 0)
        if data:
            self._active_until = self.board.cycle + SETTLE
        self._replies += data

    def _give_replies(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._replies:
                del self._replies[: os.write(self._master, self._replies)]
        # Nobody has been listening for a long time.
        del self._replies[:-BACKLOG]

    def stop(self) -> None:
        """Make :meth:`serve` return, from any thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def close(self) -> None:
        """Take the pseudo-terminal away: to a driver it looks like a cable that was pulled.

        The board stays.
        """
        self.stop()
        with self._serving:
            if self._reader.is_alive():
                os.write(self._wake[1], b"x")
                self._reader.join()
                for end in (self._master, self._slave, *self._wake):
                    os.close(end)


def _contents(path: Path | None, room: int) -> bytes:
    """Return what the flash begins with."""
    if path is None or not path.exists():
        return b""
    data = path.read_bytes()
    if len(data) > room:
        raise SimulationError(f"{path}: {len(data)} bytes, and the flash has {room}")
    return data


def _store_flash(board: SimulatedBoard, path: Path | None) -> None:
    """Write the flash's contents, but for what is erased at its end."""
    if path is not None:
        files.write_bytes(path, board.read_flash(0, board.flash_size).rstrip(b"\xff"))


def _say(text: str) -> None:
    if not is_quiet():
        print(text, file=sys.stderr, flush=True)


def _serve(options: argparse.Namespace) -> None:
    kind = boards.get(options.board)
    if options.flash is not None:
        files.check_outputs([str(options.flash)])
    contents = _contents(options.flash, kind.flash.size)
    with SimulatedBoard(kind.config, seed=options.seed, link_baud=kind.baud,
                        flash=kind.flash) as board:
        board.write_flash(0, contents)
        try:
            with PseudoTerminal(board) as terminal:
                _say(f"ready: give the other commands --backend {terminal.name}; Ctrl-C ends this")
                # Scripts wait for this.
                print(terminal.name, flush=True)
                terminal.serve()
        finally:
            _store_flash(board, options.flash)


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    parser = Parser(prog="python -m sim.pty", description=__doc__)
    boards.add_option(parser)
    parser.add_argument(
        "--flash", metavar="FILE", type=Path,
        help="what is in the flash: read from the file, if there is one, and written to it at the "
        "end (default: erased)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=0, help="of what the memories hold at power-on (default: 0)"
    )
    options = parser.parse_args(arguments)
    try:
        _serve(options)
    except KeyboardInterrupt:
        # It is how one ends it: nothing has to be said.
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    door.run(main)
