"""A compiled network of one program or several, with the host between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Array
from hw.contract.config import CoreConfig
from sw import golden, ir
from sw.compiler.program.program import Frame, Program, ProgramLayer

__all__ = ["FLASH_BYTES", "SECTOR", "HostOperator", "Plan", "program_end"]


FLASH_BYTES = 1 << 24
"""As far as the flash reader's addresses go."""

SECTOR = 1 << 12
"""Programs begin at sectors of the flash, so that each can be written by itself."""

RECORD = 1 << 9
"""Bytes behind a program at most in which the flash says that it is there."""


def program_end(address: int, size: int) -> int:
    """Return the first byte address behind a program where another one may begin."""
    end = address + size + RECORD
    return end + -end % SECTOR


@dataclass(frozen=True, kw_only=True)
class HostOperator:
    """Operator that the host runs.

    Attributes
    ----------
    name, kind : str
    macs : int
        Multiplications, as the network defines them.
    rule : str
        Why it is not the device's.
    """

    name: str
    kind: str
    macs: int
    rule: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """A compiled network.

    Programs run one after the other.  Each has a network of its own, the host's operators in
    front of it among them and those at the end in the last, and they hand each other tensors by
    their numbers.

    Attributes
    ----------
    network : Graph
        The whole network as it was before it was compiled.
    board : str
    config : CoreConfig
        The core that it was compiled for.
    programs : tuple of Program
        In order; none if the host runs everything.
    host : tuple of HostOperator
        In the order of the network.
    """

    network: ir.Graph
    board: str
    config: CoreConfig
    programs: tuple[Program, ...]
    host: tuple[HostOperator, ...]

    @property
    def model(self) -> str:
        """Name of the network."""
        return self.network.name

    @property
    def layers(self) -> tuple[ProgramLayer, ...]:
        """The layers of all programs."""
        return tuple(layer for program in self.programs for layer in program.layers)

    @property
    def device_macs(self) -> int:
        """Multiplications that the device does for an inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiplications of an inference, the host's among them."""
        return self.device_macs + sum(op.macs for op in self.host)

    @property
    def flash_bytes(self) -> int:
        """Size of all programs."""
        return sum(len(program.flash) for program in self.programs)

    def given(self, inputs: Frame) -> dict[int, Array]:
        """Return the network's inputs, and constants that it gives, by tensor number.

        Parameters
        ----------
        inputs : ndarray, sequence or mapping
            As for :func:`sw.golden.run`.

        Raises
        ------
        InputError
            If an input is missing or does not fit.
        """
        tensors = self.network.tensors
        constants = {
            index: np.asarray(tensors[index].data)
            for index in self.network.outputs
            if tensors[index].is_constant
        }
        return {**constants, **golden.inputs_of(self.network, inputs)}

    @property
    def flash_end(self) -> int:
        """The first byte address of the flash where another network's programs may begin."""
        if not self.programs:
            return 0
        last = self.programs[-1]
        return program_end(last.flash_address, len(last.flash))

    @property
    def carried_bytes(self) -> int:
        """Bytes that the host reads from the device and writes to it between programs."""
        read = sum(p.tensors[i].words for p in self.programs[:-1] for i in p.outputs)
        written = sum(p.sent_words for p in self.programs[1:])
        return (read + written) * self.config.word_bytes
