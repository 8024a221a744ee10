"""Where the cycles of an inference go, measured by the device's own counter.

The core has one cycle counter, which can be told what to count and can be stopped before any
layer.  Time depends on nothing but the program, so one counter is enough: the program is run again
and again, for each cause and up to each layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw.command import HOLD_NEVER, Cause, Register
from sw.compiler import Program
from sw.driver.device import Device
from sw.driver.errors import DeviceError, DeviceTimeout

__all__ = ["LayerProfile", "profile"]

Array = npt.NDArray[np.integer]

POLLS = 64
"""Times the device is asked whether it has got to a layer, a sixteenth of the way apart."""

CAUSES = (Cause.STEPS, Cause.WEIGHTS, Cause.INPUT, Cause.REQUANTISE, Cause.FILL)


@dataclass(frozen=True, kw_only=True)
class LayerProfile:
    """What a layer's cycles were spent on; the causes are those of :class:`hw.command.Cause`.

    Attributes
    ----------
    name : str
    steps, weights, input, requantise, fill : int
        Cycles.
    """

    name: str
    steps: int
    weights: int
    input: int
    requantise: int
    fill: int

    @property
    def cycles(self) -> int:
        """All of them."""
        return self.steps + self.weights + self.input + self.requantise + self.fill


def profile(
    device: Device, program: Program, frame: Array | Sequence[Array] | Mapping[int, Array]
) -> list[LayerProfile]:
    """Measure every layer of a program.

    Takes five runs per layer, about half an inference each on average.

    Parameters
    ----------
    device : Device
        Afterwards it is as :meth:`~sw.driver.Device.load` leaves it.
    program : Program
    frame : ndarray, sequence or mapping
        The network's inputs, as for :func:`sw.golden.run`; cycles do not depend on it.

    Returns
    -------
    list of LayerProfile
        By layer of the program.

    Raises
    ------
    DeviceTimeout
        If the core does not get to a layer.
    DeviceError
        If the program wants input while it runs (what the layers then take depends on the host),
        or the device fails.
    """
    device.load(program)
    total = device.infer(frame).cycles
    ends = device.last_descriptors()
    predicted = [sum(program.cycles()[: n + 1]) for n in range(len(ends))]
    counts = np.zeros((len(CAUSES), len(ends) + 1), np.int64)
    try:
        for row, cause in enumerate(CAUSES):
            device.transport.write_register(Register.PROFILE, cause)
            for layer, last in enumerate(ends):
                before = HOLD_NEVER if layer == len(ends) - 1 else last + 1
                counts[row, layer + 1] = _count(device, before, predicted[layer])
    finally:
        device.transport.write_register(Register.HOLD, HOLD_NEVER)
        device.transport.write_register(Register.PROFILE, Cause.ALL)
    if counts[:, -1].sum() != total:
        raise DeviceError(
            f"the causes of {counts[:, -1].sum()} cycles were counted, of an inference of {total}; "
            "something else reaches for the device's memory"
        )
    return [
        LayerProfile(
            name=layer.name,
            **dict(zip((cause.name.lower() for cause in CAUSES), map(int, column), strict=True)),
        )
        for layer, column in zip(program.layers, np.diff(counts).T, strict=True)
    ]


def _count(device: Device, before: int, predicted: int) -> int:
    """Run up to descriptor ``before``, which takes about so many cycles; return the count."""
    transport = device.transport
    transport.write_register(Register.HOLD, before)
    transport.write_register(Register.START, 1)
    transport.pause(predicted)
    for _ in range(POLLS):
        status = transport.read_register(Register.STATUS)
        if status >> 3 & 1 or not status & 1:
            return device.cycles()
        transport.pause(predicted // 16 + 100)
    raise DeviceTimeout(f"the device does not get to descriptor {before}")
