"""The simulated board as a pseudo-terminal, with the driver as it is at its other end."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import serial
from support.networks import frame, small_network
from support.serial_board import BAUD, BOARD, CONFIG, check

import sim.pty
from hw.contract.link import FILLER, HEADER_BYTES, REPLY_BYTES, SAFE_RATE, Space, crc32, digest
from hw.contract.link import header as request_header
from hw.contract.registers import Register
from sim.board.simulated import SimulatedBoard
from sim.errors import SimulationError
from sim.pty import PseudoTerminal
from sw import importer
from sw.compiler import Program, compile_graph
from sw.compiler.timing import predict
from sw.driver import DeviceBusy, DeviceError, DeviceLost, open_device
from sw.driver.spi_flash import record
from sw.ir import Graph
from sw.networks import shipped

LONG = 300
"""Seconds that a subprocess may take on a busy computer."""


@contextmanager
def served(board: SimulatedBoard) -> Iterator[PseudoTerminal]:
    with PseudoTerminal(board) as terminal:
        thread = threading.Thread(target=terminal.serve)
        thread.start()
        yield terminal
        terminal.stop()
        thread.join()


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with SimulatedBoard(CONFIG, link_baud=BAUD) as board:
        yield board


@pytest.fixture(scope="module")
def graph() -> Graph:
    return small_network()


@pytest.fixture(scope="module")
def program(graph: Graph) -> Program:
    return compile_graph(graph, CONFIG, flash_address=BOARD.flash.program_base)


@pytest.mark.slow
def test_a_network(board: SimulatedBoard, graph: Graph, program: Program) -> None:
    with served(board) as terminal:
        with open_device(terminal.name, CONFIG, baud=BAUD) as device:
            assert device.transport.baud == BAUD
            device.load(program)
            assert board.read_flash(program.flash_address, len(program.flash)) == program.flash
            x = frame(graph, 1)
            check(graph, x, device.infer(x).tensors)
            frames = [frame(graph, seed) for seed in range(4)]
            for x, result in zip(frames, device.stream(frames), strict=True):
                assert result.error is None
                check(graph, x, result.tensors)
                assert result.cycles == sum(predict(program))
            # One driver at a time.
            with pytest.raises(DeviceBusy, match="another driver has this port"):
                open_device(terminal.name, CONFIG, baud=BAUD)
            check(graph, x, device.infer(x).tensors)
        with open_device(terminal.name, CONFIG, baud=BAUD) as device:
            device.load(program)
            check(graph, x, device.infer(x).tensors)


@pytest.mark.slow
def test_a_pulled_cable(board: SimulatedBoard, graph: Graph, program: Program) -> None:
    with served(board) as terminal:
        device = open_device(terminal.name, CONFIG, baud=BAUD)
        device.load(program)

        def frames() -> Iterator[np.ndarray]:
            for seed in range(6):
                if seed == 3:
                    terminal.close()
                yield frame(graph, seed)

        results = []
        with pytest.raises(DeviceLost, match="the line is gone"):
            for result in device.stream(frames()):
                results.append(result)
        assert len(results) <= 3
        device.close()
    for seed, result in enumerate(results):
        check(graph, frame(graph, seed), result.tensors)
    with pytest.raises(DeviceError, match="cannot be opened"):
        open_device(terminal.name, CONFIG, baud=BAUD)
    # In the middle of a request.
    with served(board) as terminal:
        port = serial.Serial(terminal.name, BAUD >> SAFE_RATE)
        port.write(status_request()[: HEADER_BYTES + 4])
        wait_until_idle(board)
        port.close()
    with served(board) as terminal, open_device(terminal.name, CONFIG, baud=BAUD) as device:
        device.load(program)
        check(graph, frame(graph, 9), device.infer(frame(graph, 9)).tensors)


def status_request() -> bytes:
    return bytes([FILLER]) * HEADER_BYTES + request_header(
        sequence=0, write=False, space=Space.REGISTER, address=Register.STATUS, count=1
    )


def wait_until_idle(board: SimulatedBoard) -> None:
    """Wait until simulated time stands still."""
    cycle = -1
    while board.cycle != cycle:
        cycle = board.cycle
        time.sleep(0.2)


@pytest.mark.slow
def test_rates_count(board: SimulatedBoard) -> None:
    seed = digest(CONFIG, BAUD)
    with served(board) as terminal:
        for rate, right in ((BAUD >> SAFE_RATE, True), (BAUD, False), (1_300_000, False)):
            with serial.Serial(terminal.name, rate, timeout=0) as port:
                port.write(status_request())
                wait_until_idle(board)
                reply = port.read(1000)
                assert (len(reply) == REPLY_BYTES + 2 and crc32(reply, seed) == 0) == right
                if right:
                    # Once more, and listen at another rate: what comes is not an answer.
                    request = status_request()
                    port.write(request)
                    port.baudrate = 3 * rate
                    wait_until_idle(board)
                    assert crc32(port.read(1000), seed) != 0


@pytest.mark.slow
def test_no_time_passes_without_a_reason(board: SimulatedBoard) -> None:
    with served(board):
        wait_until_idle(board)
        cycle, processor = board.cycle, time.process_time()
        time.sleep(0.5)
        assert board.cycle == cycle
        assert time.process_time() - processor < 0.1


@contextmanager
def command(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sim.pty", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # What a shell begins in the background ignores Ctrl-C, and so would what it begins.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def device_name(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], LONG)
    assert ready, "no device"
    return process.stdout.readline().strip()


@pytest.mark.slow
def test_a_stream_over_the_command(tmp_path: Path) -> None:
    """With the network that ships, which is in the flash: writing it would take a minute."""
    program = compile_graph(
        importer.load(shipped.default_model()), CONFIG, board=BOARD.name,
        flash_address=BOARD.flash.program_base, compact_input=True,
    )  # fmt: skip
    flash = tmp_path / "flash.bin"
    image = program.flash + b"\xff" * (-len(program.flash) % 256) + record(program.flash)
    flash.write_bytes(b"\xff" * program.flash_address + image)
    before = flash.read_bytes()
    with command("--flash", str(flash)) as process:
        done = subprocess.run(
            [
                sys.executable, "-m", "sw.stream", "--board", BOARD.name, "--limit", "2",
                "--json-lines", "--verify", "--backend", device_name(process),
            ],
            capture_output=True, text=True, timeout=LONG, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        records = [json.loads(line) for line in done.stdout.splitlines()]
        assert [entry["frame"] for entry in records] == [0, 1]
        for entry in records:
            assert entry["exact"] is True and entry["error"] is None
            assert entry["cycles"] == sum(predict(program))
            assert entry["upload_ms"] > 0 and entry["download_ms"] > 0
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=LONG)
        assert process.returncode == 143
        assert "Traceback" not in errors
    assert flash.read_bytes() == before.rstrip(b"\xff")


@pytest.mark.slow
def test_the_command_ends_with_ctrl_c(tmp_path: Path) -> None:
    flash = tmp_path / "new.bin"
    with command("--flash", str(flash)) as process:
        name = device_name(process)
        assert os.path.exists(name)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LONG)
        assert process.returncode == 130
        assert f"--backend {name}" in errors and "Traceback" not in errors
    assert flash.read_bytes() == b""


def test_bad_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sim.pty.main(["--board", "icebraker"]) == 2
    assert "icebreaker" in capsys.readouterr().err
    big = tmp_path / "big.bin"
    big.write_bytes(bytes((1 << 24) + 1))
    assert sim.pty.main(["--flash", str(big)]) == 2
    assert "the flash has 16777216" in capsys.readouterr().err
    assert sim.pty.main(["--flash", str(tmp_path)]) == 2
    assert "it is a folder" in capsys.readouterr().err
    assert sim.pty.main(["--flash", str(tmp_path / "missing" / "flash")]) == 2
    assert "its folder is missing" in capsys.readouterr().err


def test_other_systems(board: SimulatedBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SimulationError, match="on Linux only; use --backend sim"):
        PseudoTerminal(board)
