"""The golden model in the place of a device."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from common.closing import Closing
from sw import golden
from sw.driver.device import Frame, TensorObserver
from sw.driver.results import Result, StreamResult
from sw.ir import Graph

__all__ = ["GoldenDevice"]


class GoldenDevice(Closing):
    """Device that computes with the golden model: it needs no program and counts no cycles.

    Parameters
    ----------
    graph : Graph
    """

    observes_layers = False

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def infer(self, inputs: Frame, observe: TensorObserver | None = None) -> Result:
        """Run the network once; see :meth:`sw.driver.Device.infer`."""
        began = time.perf_counter()
        tensors = golden.run(self._graph, inputs)
        return Result(
            tensors=tensors, cycles=None, layer_cycles=None,
            host_seconds=time.perf_counter() - began,
        )

    def stream(self, frames: Iterable[Frame]) -> Iterator[StreamResult]:
        """Run the network on one frame after the other; see :meth:`sw.driver.Device.stream`."""
        for index, x in enumerate(frames):
            began = time.perf_counter()
            tensors = golden.run(self._graph, x)
            ended = time.perf_counter()
            yield StreamResult(
                index=index, tensors=tensors, compute_seconds=ended - began, finished=ended
            )

    def close(self) -> None:
        """There is nothing to let go of."""
