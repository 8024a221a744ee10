"""Frames in, records out: the device, and the comparison with the golden model."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from common.errors import SeparableError
from sw import golden
from sw.driver import StreamResult
from sw.ir import Graph
from sw.outputs.classes import classify
from sw.outputs.detections import THRESHOLD, detector_of
from sw.stream.prefetch import Prefetch
from sw.stream.records import Record
from sw.stream.sources import Frame
from sw.verify import Difference, check

__all__ = ["Engine", "Streams"]

Array = npt.NDArray[np.integer]


class Streams(Protocol):
    """Part of :class:`sw.driver.Device` that is needed."""

    def stream(self, frames: Iterable[Any], /) -> Iterator[StreamResult]:
        """Run the network on one frame after the other."""


class Engine:
    """Runs frames.

    Parameters
    ----------
    graph : Graph
    device : Device or GoldenDevice
        With the network's program loaded.
    clock_mhz : float
        The board's.
    labels : sequence of str
        Names of the classes, as far as there are any.
    verify : bool
        Compare what the device gives with the golden model.
    link : bool
        There is a line to the device whose times mean something; otherwise they are left out.
    threshold : float
        Of a detector: the least score of what counts as found, 0 to 1.
    """

    def __init__(
        self,
        graph: Graph,
        device: Streams,
        *,
        clock_mhz: float,
        labels: Sequence[str] = (),
        verify: bool = False,
        link: bool = True,
        threshold: float = THRESHOLD,
    ) -> None:
        self._graph = graph
        self._device = device
        self._clock_hz = clock_mhz * 1e6
        self._labels = labels
        self._verify = verify
        self._link = link
        self._detector = detector_of(graph)
        self._threshold = threshold

    def run(self, source: Prefetch) -> Iterator[Record]:
        """Run what a source gives.

        Parameters
        ----------
        source : Prefetch

        Yields
        ------
        Record
            One for each frame, in order.

        Raises
        ------
        DeviceLost
            If the line to the device is dead.
        """
        while (frame := source.take()) is not None:
            yield from self._burst(frame, source)

    def _burst(self, first: Frame, source: Prefetch) -> Iterator[Record]:
        """Run frames as long as they come without a pause.

        A device takes frames ahead of the results it gives.  If it waited for a frame that has
        not come yet, a result that is there would be shown late: with a slow source by seconds.
        So the device's stream ends with the frames, and a new one begins.
        """
        taken: deque[Frame] = deque()

        def inputs() -> Iterator[Array]:
            frame: Frame | None = first
            while frame is not None:
                taken.append(frame)
                if frame.x is not None:
                    yield frame.x
                frame = source.take(wait=False)

        def unusable() -> Iterator[Record]:
            while taken and taken[0].x is None:
                frame = taken.popleft()
                yield Record(number=frame.number, name=frame.name, error=frame.error)

        for result in self._device.stream(inputs()):
            yield from unusable()
            yield self._record(taken.popleft(), result)
        yield from unusable()

    def _record(self, frame: Frame, result: StreamResult) -> Record:
        common: dict[str, Any] = {
            "number": frame.number,
            "name": frame.name,
            "truth": frame.truth,
            "prepare_seconds": frame.seconds,
            "retries": result.retries,
            "picture": frame.picture,
            "x": frame.x,
        }
        if result.error is not None:
            return Record(error=str(result.error), **common)
        outputs = [result.tensors[index] for index in self._graph.outputs]
        exact, difference = self._compared(frame, result) if self._verify else (None, "")
        return Record(
            outputs=outputs,
            **self._read(outputs),
            cycles=result.cycles,
            board_seconds=result.cycles / self._clock_hz if result.cycles is not None else None,
            upload_seconds=result.upload_seconds if self._link else None,
            compute_seconds=result.compute_seconds,
            download_seconds=result.link_seconds if self._link else None,
            finished=result.finished if self._link else None,
            host_seconds=result.host_seconds,
            exact=exact,
            error=difference,
            **common,
        )

    def _read(self, outputs: Sequence[Array]) -> dict[str, Any]:
        """Return the record's fields of what the outputs say."""
        if self._detector is None:
            return {"top": classify(self._graph, outputs[0], self._labels)}
        return {"found": self._detector.found(outputs, self._labels, self._threshold)}

    def _compared(self, frame: Frame, result: StreamResult) -> tuple[bool, str]:
        """Compare every tensor that the host has with the golden model's."""
        assert frame.x is not None
        try:
            expected = golden.run(self._graph, frame.x)
            for index, value in result.tensors.items():
                check(self._graph.tensors[index], value, expected[index])
        except Difference as error:
            return False, str(error)
        except SeparableError as error:
            return False, f"the golden model: {error}"
        return True, ""
