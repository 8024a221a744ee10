"""A device with all programs of a network, and the host between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from common.closing import Closing
from common.errors import SeparableError
from sw.compiler import Plan
from sw.driver.device import Device, Frame, TensorObserver
from sw.driver.errors import DeviceLost
from sw.driver.results import Result, StreamResult
from sw.driver.transport import Progress

__all__ = ["NetworkDevice"]

Array = npt.NDArray[np.integer]

SUMS = ("upload_seconds", "compute_seconds", "link_seconds", "host_seconds", "retries")


class NetworkDevice(Closing):
    """Device that runs a network, in one program or several.

    Networks whose programs do not lie in each other's place can share a device: each is loaded
    once, and runs when it is asked.

    Parameters
    ----------
    device : Device
        Closed with this one.
    plan : Plan
        With one program at least.
    """

    def __init__(self, device: Device, plan: Plan) -> None:
        self.device = device
        self.plan = plan

    @property
    def observes_layers(self) -> bool:
        """Whether :meth:`infer` can report every layer's tensor."""
        return self.device.observes_layers

    def load(self, progress: Progress | None = None) -> None:
        """Store all programs in the device's flash; see :meth:`Device.load`."""
        total, before = self.plan.flash_bytes, 0

        def show(done: int, of_program: int) -> None:
            if progress is not None:
                progress(before + done, total)

        for program in self.plan.programs:
            self.device.store(program, show)
            before += len(program.flash)
        self.device.select(self.plan.programs[0])

    def infer(self, inputs: Frame, observe: TensorObserver | None = None) -> Result:
        """Run the network once; see :meth:`Device.infer`."""
        if len(self.plan.programs) == 1:
            self._select()
            return self.device.infer(inputs, observe)
        tensors = self.plan.given(inputs)
        results: list[Result] = []
        layers = 0
        for program in self.plan.programs:
            self.device.select(program)
            first = layers

            def shifted(number: int, value: Array, first: int = first) -> None:
                assert observe is not None
                observe(first + number, value)

            given = {index: tensors[index] for index in program.network.inputs}
            result = self.device.infer(given, None if observe is None else shifted)
            results.append(result)
            tensors |= result.tensors
            layers += len(program.layers)
        return Result(
            tensors={i: value for i, value in tensors.items() if i not in self._known},
            **_sum(results),
        )

    def stream(self, frames: Iterable[Frame]) -> Iterator[StreamResult]:
        """Run the network on one frame after the other; see :meth:`Device.stream`.

        Frames of several programs do not overlap.
        """
        if len(self.plan.programs) == 1:
            self._select()
            yield from self.device.stream(frames)
            return
        for index, frame in enumerate(frames):
            try:
                result = self.infer(frame)
            except DeviceLost:
                raise
            except SeparableError as error:
                yield StreamResult(index=index, finished=self.device.transport.now(), error=error)
            else:
                yield StreamResult(
                    index=index, finished=self.device.transport.now(), **vars(result)
                )

    def _select(self) -> None:
        """Make the first program the device's: another network may share the device."""
        if self.device.program is not self.plan.programs[0]:
            self.device.select(self.plan.programs[0])

    @property
    def _known(self) -> set[int]:
        """Tensors that nothing computes and the network does not give."""
        network = self.plan.network
        return set(network.inputs) - set(network.outputs)

    def close(self) -> None:
        """Let go of the device."""
        self.device.close()


def _sum(results: Sequence[Result]) -> dict[str, Any]:
    """Return the fields of the result of programs that ran one after the other."""
    cycles = [result.cycles for result in results]
    layers = [result.layer_cycles for result in results]
    return {
        "cycles": None if None in cycles else sum(c for c in cycles if c is not None),
        "layer_cycles": None
        if None in layers
        else [count for found in layers if found is not None for count in found],
        **{name: sum(getattr(result, name) for result in results) for name in SUMS},
    }
