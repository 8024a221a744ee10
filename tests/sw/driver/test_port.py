"""The port of the operating system, at a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import serial.serialposix as posix

from sw.driver import DeviceLost
from sw.driver.port import HardwarePort

if sys.platform != "linux":
    pytest.skip("rates of pseudo-terminals are Linux's", allow_module_level=True)


@pytest.fixture
def ends() -> Iterator[tuple[int, HardwarePort]]:
    """Yield the board's end, and the driver's port."""
    board, host = os.openpty()
    port = HardwarePort(os.ttyname(host), 1_500_000)
    os.close(host)
    yield board, port
    port.close()
    with contextlib.suppress(OSError):
        os.close(board)


class Counting:
    """A module whose functions count their calls."""

    def __init__(self, module: Any, calls: Counter[str]) -> None:
        self._module, self._calls = module, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if not callable(found):
            return found

        def counted(*arguments: Any) -> Any:
            self._calls[name] += 1
            return found(*arguments)

        return counted


@pytest.mark.parametrize("baud", [1_500_000, 12_000_000])
def test_no_setting_of_the_line_for_an_answer(
    ends: tuple[int, HardwarePort], baud: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would be a transfer on USB, whose answer is waited for."""
    board, port = ends
    calls: Counter[str] = Counter()
    for name in ("fcntl", "termios"):
        monkeypatch.setattr(posix, name, Counting(getattr(posix, name), calls))
    port.baud = 3_000_000
    port.baud = baud
    assert calls["tcsetattr"] + calls["ioctl"] > 0, "the settings are counted"
    calls.clear()
    for number in range(1000):
        port.write(b"?")
        assert os.read(board, 10) == b"?"
        os.write(board, bytes([number & 0xFF]) * 3)
        assert port.receive(number / 1000) == bytes([number & 0xFF]) * 3
        assert port.receive(0) == b""
    assert not calls
    # What is rare may cost something, but not much.
    port.discard()
    assert calls == {"tcflush": 1}
    calls.clear()
    port.baud = baud
    assert calls["tcdrain"] == 1 and sum(calls.values()) <= 6


def test_where_a_port_cannot_be_waited_for(
    ends: tuple[int, HardwarePort], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows: what is there comes at once, the rest within the time."""
    board, port = ends
    began = time.monotonic()
    assert port._polled(0.05) == b"" and port._polled(-1) == b""
    assert time.monotonic() - began >= 0.05
    os.write(board, b"there")
    assert port._polled(1.0) == b"there"
    sleep = port.sleep
    monkeypatch.setattr(port, "sleep", lambda seconds: (sleep(seconds), os.write(board, b"late")))
    assert port._polled(1.0)[:4] == b"late"


def test_waits_no_longer_than_asked(ends: tuple[int, HardwarePort]) -> None:
    _, port = ends
    began = time.monotonic()
    assert port.receive(0.05) == b"" and port.receive(-1) == b""
    assert time.monotonic() - began >= 0.05


def test_a_board_that_is_unplugged(ends: tuple[int, HardwarePort]) -> None:
    board, port = ends
    os.close(board)
    with pytest.raises(DeviceLost, match="the line is gone"):
        port.receive(1.0)
