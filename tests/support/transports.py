"""Devices that are none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hw.contract.registers import Register
from sw.driver import Transport
from sw.driver.transport import Feed, Halfwords, LayerObserver, Progress


class Dummy(Transport):
    """A device of which only the registers exist."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.closed = False

    def write_memory(self, address: int, halfwords: Halfwords) -> None: ...

    def read_memory(self, address: int, count: int) -> Halfwords:
        return np.zeros(count, np.uint16)

    def write_register(self, register: Register, value: int) -> None: ...

    def read_register(self, register: Register) -> int:
        return self.status if register == Register.STATUS else 0

    def program_flash(
        self, address: int, data: bytes, progress: Progress | None = None, *, trust: bool = True
    ) -> None: ...

    def pause(self, cycles: int = 64) -> None: ...

    def wait_idle(
        self, limit: int, on_layer: LayerObserver | None = None, feeds: Sequence[Feed] = ()
    ) -> None: ...

    def now(self) -> float:
        return 0.0

    def close(self) -> None:
        self.closed = True
