"""Profile of an inference: where its cycles go, measured by the device's own counter.

The core has one cycle counter, which can be told what to count and can be stopped before any
layer.  Time depends on nothing but the program, so one counter is enough: the program is run again
and again, for each cause and up to each layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from common import progress
from hw.contract.registers import HOLD_NEVER, Cause, Register
from sw.compiler import Program
from sw.compiler.timing import descriptor_timings
from sw.driver.device import Device
from sw.driver.errors import DeviceError, DeviceTimeout

__all__ = ["LayerProfile", "profile"]

Array = npt.NDArray[np.integer]

POLLS = 64
"""Times the device is asked whether it has got to a layer, a sixteenth of the way apart."""

CAUSES = (Cause.STEPS, Cause.WEIGHTS, Cause.INPUT, Cause.REQUANTISE, Cause.FILL)


@dataclass(frozen=True, kw_only=True)
class LayerProfile:
    """Profile of a layer: what its cycles were spent on.

    The causes are those of :class:`hw.contract.registers.Cause`.

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

    Takes five runs per layer, about half an inference each on average; where layers take turns,
    row by row, five for each turn.

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
    if program.chunks:
        raise DeviceError(
            f"{program.model}: what its layers take depends on when the host brings the input, so "
            "there is nothing to measure; the cycle model says what they take if it is early"
        )
    device.load(program)
    total = device.infer(frame).cycles
    stretches = _stretches(program)
    timings = descriptor_timings(program)
    counts = np.zeros((len(CAUSES), len(stretches) + 1), np.int64)
    every = len(CAUSES) * sum(timings[end - 1].end for _, end in stretches)
    try:
        with progress.stage(f"{program.model}: counting", total=every) as stage:
            for row, cause in enumerate(CAUSES):
                device.transport.write_register(Register.PROFILE, cause)
                for number, (layer, end) in enumerate(stretches, start=1):
                    stage.at(f"{cause.name.lower()}, layer {layer + 1} of {len(program.layers)}")
                    before = HOLD_NEVER if end == len(program.work) else end
                    counts[row, number] = _count(device, before, timings[end - 1].end)
                    stage.reached(stage.done + timings[end - 1].end)
    finally:
        device.transport.write_register(Register.HOLD, HOLD_NEVER)
        device.transport.write_register(Register.PROFILE, Cause.ALL)
    if counts[:, -1].sum() != total:
        raise DeviceError(
            f"the causes of {counts[:, -1].sum()} cycles were counted, of an inference of {total}; "
            "something else reaches for the device's memory"
        )
    spent = np.zeros((len(program.layers), len(CAUSES)), np.int64)
    np.add.at(spent, [layer for layer, _ in stretches], np.diff(counts).T)
    names = [cause.name.lower() for cause in CAUSES]
    return [
        LayerProfile(name=layer.name, **dict(zip(names, map(int, row), strict=True)))
        for layer, row in zip(program.layers, spent, strict=True)
    ]


def _stretches(program: Program) -> list[tuple[int, int]]:
    """Return (layer, end) of descriptors that follow each other and belong to one layer."""
    numbers = range(len(program.work))
    return [
        (layer, list(run)[-1] + 1)
        for layer, run in groupby(numbers, key=lambda n: program.work[n].layer)
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
            return device.transport.read_cycles()
        transport.pause(predicted // 16 + 100)
    raise DeviceTimeout(f"the device does not get to descriptor {before}")
