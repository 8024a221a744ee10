"""A board with the self-test's bitstream."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from hw.contract import link
from hw.contract.config import CoreConfig
from hw.contract.link import Space
from hw.contract.selftest import Element, Test, TestRegister, TestStatus, digest
from sw.driver import packets
from sw.driver.errors import DeviceTimeout
from sw.driver.port import Port
from sw.driver.serial import SerialTransport
from sw.driver.spi_flash import Command

__all__ = ["Result", "SelfTestDevice"]

SECONDS = 5.0
"""More than any test takes: the longest is 65,536 sections of 514 bytes, a byte a cycle."""

RESULTS = (TestRegister.RESULT_LOW, 5)


class Result:
    """Result of a test; :class:`hw.contract.selftest.TestRegister` says what is what.

    Attributes
    ----------
    value, bad, mask, first : int
    """

    def __init__(self, words: Iterable[int]) -> None:
        low, high, self.bad, self.mask, self.first = (int(word) for word in words)
        self.value = low | high << 16


class SelfTestDevice(SerialTransport):
    """A board with the self-test's bitstream on a serial port.

    Parameters
    ----------
    port : str or Port
    config : CoreConfig
        Of the board's core.
    baud : int
        The board's highest rate.

    Raises
    ------
    DeviceError
        As :class:`sw.driver.serial.SerialTransport` does.
    """

    def __init__(self, port: str | Port, config: CoreConfig, *, baud: int) -> None:
        self.seed = digest(config, baud)
        super().__init__(port, config, baud=baud, seed=self.seed)

    def _explain(self, seed: int) -> str:
        if seed == link.digest(self.config, self._baud):
            return ("the bitstream on the board is the core's, not the self-test's: --program "
                    "writes it, and the core's back")
        return super()._explain(seed)

    @property
    def highest_baud(self) -> int:
        """The board's highest rate."""
        return self._baud

    @property
    def port(self) -> Port:
        """The port."""
        return self._port

    # -- registers -------------------------------------------------------------------------------

    def peek(self, register: TestRegister, count: int = 1) -> npt.NDArray[np.uint16]:
        """Return consecutive registers."""
        operation = packets.read(Space.REGISTER, register, count)
        self._run(operation)
        return packets.halfwords(operation)

    def poke(self, *values: tuple[TestRegister, int]) -> None:
        """Write registers, one after the other."""
        self._run(*(
            packets.write(register, value.to_bytes(2, "little"), 1, space=Space.REGISTER)
            for register, value in values
        ))

    def status(self) -> TestStatus:
        """Return the bits of STATUS."""
        return TestStatus(int(self.peek(TestRegister.STATUS)[0]) & 3)

    def test(self, test: Test, *values: tuple[TestRegister, int]) -> Result:
        """Carry a test out after registers were written.

        Raises
        ------
        DeviceTimeout
            If it does not end.
        """
        self.poke(*values, (TestRegister.START, test))
        end = self.now() + SECONDS
        while TestStatus.BUSY in self.status():
            if self.now() > end:
                raise DeviceTimeout(f"{self.name}: the test of {test.name.lower()} does not end")
        return Result(self.peek(*RESULTS))

    def march(self, unit: int, element: Element, background: int) -> Result:
        """Carry out one element of a march through a memory."""
        return self.test(
            Test.MARCH, (TestRegister.UNIT, unit), (TestRegister.ELEMENT, element),
            (TestRegister.BACKGROUND, background),
        )

    # -- the flash -------------------------------------------------------------------------------

    def commands(self, commands: list[Command]) -> list[bytes]:
        """Carry commands out that change nothing for long; return what each of them gave."""
        with self._flash() as flash:
            return flash.carry_out(commands)
