"""A board as its link shows it, in Python: what a byte does to it, and when; for many seeds."""

from __future__ import annotations

import random
from collections import deque

import numpy as np

from hw.contract.link import (
    BUSY,
    CRC_BYTES,
    FILLER,
    FRESH,
    HEADER_BYTES,
    MARK,
    REPLY_MARK,
    SAFE_RATE,
    SEQUENCES,
    Space,
    Status,
    crc32,
)
from hw.contract.registers import IDENTITY, Register
from sim.board.serial_port import Faults

INPUT, RESULT = 0, 1000
"""Addresses of what the core takes and makes."""
SIZE = 32


def computed(data: np.ndarray) -> np.ndarray:
    """Return what the core makes of an input: every halfword depends on all of it."""
    return np.cumsum(data[::-1], dtype=np.uint16) * np.uint16(31) + np.uint16(7)


class ModelBoard:
    """The engine of :mod:`hw.link.engine`, byte by byte, with a core of one function."""

    def __init__(self, seed: int, baud: int) -> None:
        self.seed, self.baud = seed, baud
        self.rate = SAFE_RATE
        self.memory = np.zeros(1 << 16, np.uint16)
        self.packet = bytearray()
        self.expected = 0
        self.fresh = FRESH
        self.deaf_until = self.started = self.busy_until = 0.0
        self.starts = 0
        self.compute_seconds, self.hertz = 0.0005, 39e6
        self.random = random.Random(1)

    def take(self, byte: int, time: float, baud: float) -> bytes:
        """Receive a byte that is over at a time; return an answer, which begins then."""
        if time - 10 / baud < self.deaf_until:
            return b""
        own = self.baud >> self.rate
        if baud != own:
            if byte == 0 and baud < own:
                self.rate = SAFE_RATE
                self.packet.clear()
            elif byte != FILLER:
                self._byte(self.random.randrange(256))
            return b""
        answer = self._byte(byte, time)
        self.deaf_until = time + len(answer) * 10 / own
        return answer

    def _byte(self, byte: int, time: float = 0.0) -> bytes:
        packet = self.packet
        if not packet and byte != MARK:
            return b""
        packet.append(byte)
        if len(packet) < HEADER_BYTES:
            return b""
        if len(packet) == HEADER_BYTES and crc32(packet[1:]):
            packet.clear()
            return b""
        flags = packet[2] | packet[3] << 8
        address, count = packet[4] | packet[5] << 8, (flags & 2047) + 1
        write, space = bool(flags >> 11 & 1), Space(flags >> 12 & 3)
        width = 2 if space < Space.FLASH else 1
        matches = packet[1] == self.expected
        size = HEADER_BYTES + write * (count * width + CRC_BYTES)
        if len(packet) < size:
            items, half = divmod(len(packet) - HEADER_BYTES, width)
            if write and matches and space == Space.MEMORY and 0 < items <= count and not half:
                # Before anyone knows whether it is right.
                self.memory[address + items - 1] = packet[-2] | packet[-1] << 8
            return b""
        wrong = bool(write and crc32(packet[HEADER_BYTES:]))
        packet.clear()
        status = Status.SEQUENCE if not matches else Status.DAMAGED if wrong else Status.OK
        busy = BUSY * (time < self.busy_until)
        body = b""
        if status == Status.OK:
            self.expected = (self.expected + 1) % SEQUENCES
            if not write:
                body = self._read(space, address, count, time)
        head = bytes([REPLY_MARK | status | busy | self.fresh, self.expected])
        if status == Status.OK and space == Space.CONTROL:
            self._control(address, time)
        return head + body + crc32(head + body, self.seed).to_bytes(4, "little")

    def _read(self, space: Space, address: int, count: int, time: float) -> bytes:
        cycles = int((min(time, self.busy_until) - self.started) * self.hertz)
        registers = {
            Register.STATUS: IDENTITY << 8 | 2 | (time < self.busy_until),
            Register.CYCLES_LOW: cycles & 0xFFFF,
            Register.CYCLES_HIGH: cycles >> 16,
        }
        items = (
            self.memory[address : address + count]
            if space == Space.MEMORY
            else [registers.get(Register(address + i), 0) for i in range(count)]
        )
        return np.array(items, "<u2").tobytes()

    def _control(self, address: int, time: float) -> None:
        if address >> 8 & 1:
            self.rate, self.fresh = address >> 9, 0
        else:
            self.starts += 1
            self.started, self.busy_until = time, time + self.compute_seconds
            data = self.memory[INPUT : INPUT + SIZE]
            self.memory[RESULT : RESULT + SIZE] = computed(data)


class ModelPort:
    """A port with a :class:`ModelBoard`; time passes only while it is waited for."""

    name = "model port"
    grain = 0.0005

    def __init__(self, seed: int, baud: int) -> None:
        self.board = ModelBoard(seed, baud)
        self.baud = 0
        self.time = self._line = self._back = 0.0
        self.to_device, self.to_host = Faults(), Faults()
        self._late: deque[tuple[float, int]] = deque()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def write(self, data: bytes) -> None:
        self._line = max(self._line, self.time)
        for piece, pause in self.to_device.spoil(data):
            self._line += pause
            for byte in piece:
                self._line += 10 / self.baud
                reply = self.board.take(byte, self._line, self.baud)
                if reply:
                    self._answer(reply, self._line)

    def _answer(self, reply: bytes, time: float) -> None:
        for piece, pause in self.to_host.spoil(reply):
            time += pause
            for byte in piece:
                time = max(time + 10 / self.baud, self._back)
                self._back = time
                self._late.append((time, byte))

    def receive(self, timeout: float) -> bytes:
        deadline = self.time + max(timeout, 0) + 1e-7
        self.time = min(deadline, max(self.time, self._late[0][0] if self._late else deadline))
        data = bytearray()
        while self._late and self._late[0][0] <= self.time:
            data.append(self._late.popleft()[1])
        return bytes(data)

    def discard(self) -> None:
        while self._late and self._late[0][0] <= self.time:
            self._late.popleft()

    def close(self) -> None: ...
