"""Serial ports of this computer: what to say about one that cannot be opened, or stays silent."""

from __future__ import annotations

import errno
import os
import re
from typing import Any

from sw.driver.errors import DeviceBusy, DeviceError

__all__ = ["PAGE", "about_silence", "refused"]

PAGE = "docs/first-board.md"
"""Where people find what to do."""

FT2232H = (0x0403, 0x6010)
"""Vendor and product of the iCEBreaker's USB adapter, and of many others'."""

FLASH, LINE = 0, 1
"""Interfaces of the adapter: the first one is the programmer's, the second one the line."""

PORT_LIST = "python -m serial.tools.list_ports -v"


def _ports() -> list[Any]:
    """Return what pyserial finds."""
    from serial.tools import list_ports

    return sorted(list_ports.comports(include_links=True))


def _interface(port: Any) -> int | None:
    """Return the interface of an FT2232H that a port is; None for other ports."""
    if (port.vid, port.pid) != FT2232H:
        return None
    # "1-2:1.1" on Linux, "1-2:x.1" on Windows; where it says nothing, the names are in order.
    found = re.search(r":\w+\.(\d+)$", port.location or "")
    return int(found[1]) if found else None


def _lines() -> list[str]:
    """Return the names of the ports that may be boards' lines."""
    return [port.device for port in _ports() if _interface(port) == LINE]


def _candidates() -> str:
    """Return a sentence about the ports that there are."""
    lines, others = _lines(), [port.device for port in _ports()]
    if lines:
        return f"what looks like a board's line is {' or '.join(lines)}"
    if others:
        return f"this computer has {', '.join(others)}, none of which looks like a board's line"
    return "this computer has no serial port: is the board plugged in, with a cable that has data?"


def refused(name: str, error: BaseException) -> DeviceError:
    """Return the error of a port that the operating system does not open.

    Parameters
    ----------
    name : str
    error : BaseException
        What pyserial or the system raised.
    """
    number = getattr(error, "errno", None)
    text = str(error)
    if "exclusively lock" in text or number == errno.EBUSY:
        return DeviceBusy(
            f"{name}: another driver has this port; close it first (a terminal program, another "
            "run, a modem manager)"
        )
    reason = getattr(error, "strerror", None) or text
    what = f"{name}: cannot be opened ({reason}); "
    if number in (errno.EACCES, errno.EPERM) or "PermissionError" in text:
        return DeviceError(
            f"{what}your user may not use it, or another program has it: a udev rule or a group "
            f"changes the first ({PAGE})"
        )
    if os.path.exists(name):
        return DeviceError(f"{what}it is not a serial port; {_candidates()} ({PAGE})")
    return DeviceError(
        f"{what}--backend is sim, sim:link, golden or the name of the board's serial port; "
        f"{_candidates()} ({PAGE})"
    )


def about_silence(name: str) -> str:
    """Return what to say about a port that was opened and gives no answer."""
    place = os.path.realpath(name)
    port = next((p for p in _ports() if os.path.realpath(p.device) == place), None)
    interface = None if port is None else _interface(port)
    if interface == FLASH:
        lines = _lines()
        return (
            f"it is the first port of the board's adapter, which goes to the flash; the line is "
            f"the second one{f', {lines[0]}' if lines else ''} ({PAGE})"
        )
    if interface is None and port is not None and (port.vid, port.pid) != FT2232H:
        return (
            f"is this a Separable board's port? It is {port.description}, an iCEBreaker's is the "
            f"second one of an FT2232H; {_candidates()} ({PAGE})"
        )
    return (
        "is this a Separable board's port, and the bitstream of this version on the board? "
        f"Program it (python -m hw.build --program), unplug it, plug it in again ({PAGE})"
    )
