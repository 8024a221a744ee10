"""What is said about serial ports that cannot be opened, or stay silent: always what to do."""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.places import REPOSITORY
from support.serial_board import BAUD, CONFIG

from sw.driver import DeviceBusy, DeviceError, open_device
from sw.driver.errors import DeviceSilent
from sw.driver.line import Line
from sw.driver.port import HardwarePort
from sw.driver.ports import PAGE, about_silence, refused
from sw.driver.serial import SerialTransport


def adapter(device: str, location: str | None, *, product: int = 0x6010) -> SimpleNamespace:
    return SimpleNamespace(
        device=device, location=location, vid=0x0403, pid=product, description="an adapter")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """Return the ports that pyserial finds; to be filled."""
    ports: list[SimpleNamespace] = []
    monkeypatch.setattr("sw.driver.ports._ports", lambda: ports)
    return ports


def test_the_page_has_what_the_driver_says() -> None:
    """Each message of its table is one of the driver's, or the system's reason in one."""
    table = (REPOSITORY / PAGE).read_text().split("## What the driver says\n")[1].split("\n## ")[0]
    sources = "".join(file.read_text() for file in sorted((REPOSITORY / "sw/driver").glob("*.py")))
    # Texts go over several lines.
    said = re.sub(r'"\s*\n\s*f?"', "", sources)
    messages = re.findall(r"`([^`]+)`", "".join(
        row.split("|")[1] for row in table.splitlines() if row.startswith("| `")))
    assert len(messages) > 10
    for message in messages:
        for part in re.split(r" ?\.\.\. ?|\(.*\)", message):
            assert part.strip() in said, message


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_port_that_may_not_be_used(number: int, found: list[SimpleNamespace]) -> None:
    error = refused("/dev/ttyUSB1", OSError(number, os.strerror(number)))
    assert "/dev/ttyUSB1: cannot be opened (" in str(error)
    assert "a udev rule or a group" in str(error) and PAGE in str(error)
    # As Windows says it.
    text = "could not open port 'COM5': PermissionError(13, 'Access is denied.', None, 5)"
    assert "a udev rule or a group" in str(refused("COM5", OSError(text)))


def test_a_port_that_is_not_there(found: list[SimpleNamespace]) -> None:
    gone = FileNotFoundError(errno.ENOENT, "No such file or directory")
    assert "this computer has no serial port: is the board plugged in" in str(
        refused("/dev/nothing", gone))
    found.append(adapter("/dev/ttyS0", None))
    assert "this computer has /dev/ttyS0, none of which looks like" in str(
        refused("/dev/nothing", gone))
    found += [adapter("/dev/ttyUSB0", "1-2:1.0"), adapter("/dev/ttyUSB1", "1-2:1.1")]
    text = str(refused("/dev/nothing", gone))
    assert "--backend is sim, sim:link, golden or the name of the board's serial port" in text
    assert "what looks like a board's line is /dev/ttyUSB1" in text


@pytest.mark.skipif(sys.platform != "linux", reason="other names elsewhere")
def test_files_are_no_ports(tmp_path: Path, found: list[SimpleNamespace]) -> None:
    file = tmp_path / "port"
    file.write_bytes(b"")
    for name in (file, tmp_path):
        with pytest.raises(DeviceError, match=rf"{name}: cannot be opened .*not a serial port"):
            HardwarePort(str(name), 1_500_000)


@pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals")
def test_a_port_that_another_driver_has() -> None:
    _, host = os.openpty()
    name = os.ttyname(host)
    port = HardwarePort(name, 1_500_000)
    with pytest.raises(DeviceBusy, match=f"{name}: another driver has this port; close it"):
        HardwarePort(name, 1_500_000)
    port.close()
    HardwarePort(name, 1_500_000).close()
    assert isinstance(refused(name, OSError(errno.EBUSY, "busy")), DeviceBusy)


@pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals")
def test_a_port_that_does_not_answer(
    found: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    board, host = os.openpty()
    # Nobody waits for the patience of a driver here.
    monkeypatch.setattr(Line, "break_off", lambda line: None)
    monkeypatch.setattr(Line, "barrier", lambda line: None)
    with pytest.raises(DeviceSilent, match=r"no answer; is this a Separable board's port"):
        open_device(os.ttyname(host), CONFIG, baud=BAUD)
    found.append(adapter(os.ttyname(host), "1-2:1.0"))
    with pytest.raises(DeviceSilent, match="first port of the board's adapter"):
        SerialTransport(os.ttyname(host), CONFIG, baud=BAUD)
    os.close(board)


def test_a_silent_port_is_explained(found: list[SimpleNamespace]) -> None:
    found += [
        adapter("/dev/ttyUSB0", "1-2:1.0"), adapter("/dev/ttyUSB1", "1-2:1.1"),
        adapter("COM4", "1-2:x.0"), adapter("COM5", "1-2:x.1"),
        adapter("/dev/ttyUSB7", "1-3", product=0x6001), adapter("/dev/cu.usbserial-A", "20-1"),
    ]
    for first in ("/dev/ttyUSB0", "COM4"):
        assert "first port of the board's adapter" in about_silence(first)
        assert "the line is the second one, /dev/ttyUSB1" in about_silence(first)
    for line in ("/dev/ttyUSB1", "COM5", "/dev/cu.usbserial-A", "/dev/pts/7"):
        assert "python -m hw.build --program" in about_silence(line)
    assert "It is an adapter, an iCEBreaker's is the second one" in about_silence("/dev/ttyUSB7")
    assert all(PAGE in about_silence(port.device) for port in found)
