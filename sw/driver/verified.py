"""An inference of which every tensor that a device shows is compared with the golden model's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from sw.compiler import Plan
from sw.driver.device import Frame
from sw.driver.errors import DeviceError
from sw.driver.golden import GoldenDevice
from sw.driver.network import NetworkDevice
from sw.driver.results import Result
from sw.verify import check

__all__ = ["infer_verified"]

Array = npt.NDArray[np.integer]


def infer_verified(
    plan: Plan,
    device: NetworkDevice | GoldenDevice,
    inputs: Frame,
    expected: Mapping[int, Array],
    layers: dict[int, bool],
    take: Callable[[Result], None] | None = None,
) -> Result:
    """Run a network once, and compare every layer that the device shows, and every output.

    Parameters
    ----------
    plan : Plan
        The one that is loaded into the device.
    device : NetworkDevice or GoldenDevice
    inputs : ndarray, sequence or mapping
        As for :func:`sw.golden.run`.
    expected : mapping
        What that returned for them.
    layers : dict
        Gets, by number, whether each layer was equal, up to the first that was not.
    take : callable, optional
        Given the result before its outputs are compared.

    Raises
    ------
    Difference
        At the first tensor that is not the golden model's.
    DeviceError
        If the device fails, or does not show every layer although it can.
    """
    tensors, all_layers = plan.network.tensors, plan.layers

    def observe(number: int, value: Array) -> None:
        index = all_layers[number].output
        layers[number] = False
        check(tensors[index], value, expected[index])
        layers[number] = True

    result = device.infer(inputs, observe if device.observes_layers else None)
    if take is not None:
        take(result)
    for index, value in result.tensors.items():
        check(tensors[index], np.asarray(value), expected[index])
    if device.observes_layers and len(layers) < len(all_layers):
        raise DeviceError("not every layer was seen at its end; nothing is said of them")
    return result
