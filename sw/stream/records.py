"""Records of frames, and statistics of the stream so far."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sw.outputs.classes import Top
from sw.outputs.detections import Found

__all__ = ["Record", "Snapshot", "Statistics"]

Array = npt.NDArray[np.integer]

SOME_OF_THE_TIME = 0.1
"""Part of the core's time from which the host's is worth a word."""

WINDOW_FRAMES = 32
WINDOW_SECONDS = 5.0
"""The rate is measured over the frames that are in both."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One frame, and what became of it.

    Attributes
    ----------
    number : int
        From 0.
    name : str
    outputs : list of ndarray
        The network's; empty if there is an error.
    top : list of Top
        Best first; empty if the network is a detector.
    found : list of Found or None
        Best first; None if the network is no detector.
    cycles : int or None
        Counted by the core.
    board_seconds : float or None
        ``cycles`` at the board's clock.
    prepare_seconds : float
        Decoding, cutting and resizing, in a thread of its own.
    upload_seconds, compute_seconds, download_seconds : float or None
        By the device's clock, which is a simulated one in a simulation: writing the input;
        from the start until the core is seen to be idle; reading the result.  None if there is
        no line to the device.
    finished : float or None
        When the result was there, by the same clock.
    host_seconds : float
        What the host took for its operators.
    retries : int
        Packets that were sent again.
    exact : bool or None
        All outputs are the golden model's; None if they were not compared.
    error : str
        Why there is no result, or how it differs from the golden model's.
    picture : PIL.Image.Image or None
        See :class:`sw.stream.sources.Frame`.
    x : ndarray or None
        The network's input.
    truth : int or None
        The class that the frame is known to be of.
    """

    number: int
    name: str
    outputs: list[Array] = field(default_factory=list)
    top: list[Top] = field(default_factory=list)
    found: list[Found] | None = None
    cycles: int | None = None
    board_seconds: float | None = None
    prepare_seconds: float = 0.0
    upload_seconds: float | None = None
    compute_seconds: float | None = None
    download_seconds: float | None = None
    finished: float | None = None
    host_seconds: float = 0.0
    retries: int = 0
    exact: bool | None = None
    error: str = ""
    picture: Image.Image | None = None
    x: Array | None = None
    truth: int | None = None

    @property
    def right(self) -> bool | None:
        """Whether the best class is the frame's; None if that is not known."""
        return self.top[0].number == self.truth if self.top and self.truth is not None else None

    @property
    def link_seconds(self) -> float | None:
        """Upload and download."""
        if self.upload_seconds is None or self.download_seconds is None:
            return None
        return self.upload_seconds + self.download_seconds

    def json(self) -> dict[str, Any]:
        """Return the object that ``--json-lines`` prints; docs/stream.md lists its keys."""
        flat = [output.ravel().tolist() for output in self.outputs]
        return {
            "frame": self.number,
            "input": self.name,
            "output": flat[0] if len(flat) == 1 else flat,
            "top": [
                {"class": top.number, "label": top.label,
                 "score": None if top.score is None else round(top.score, 6)}
                for top in self.top
            ],
            "found": None if self.found is None else [found.json() for found in self.found],
            "truth": self.truth,
            "right": self.right,
            "cycles": self.cycles,
            "ms": _ms(self.board_seconds),
            "prepare_ms": _ms(self.prepare_seconds),
            "upload_ms": _ms(self.upload_seconds),
            "compute_ms": _ms(self.compute_seconds),
            "download_ms": _ms(self.download_seconds),
            "host_ms": _ms(self.host_seconds),
            "retries": self.retries,
            "exact": self.exact,
            "error": self.error or None,
        }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 4)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The stream so far.

    Attributes
    ----------
    frames : int
        With results.
    errors : int
        Frames without.
    different : int
        Frames whose results are not the golden model's.
    known, right : int
        Frames whose class is known, and those of them that were recognised.
    retries : int
    dropped : int
        Frames of a camera that newer ones have overtaken.
    seconds : float
        Since the stream began.
    rate : float or None
        Frames per second, measured over the last ones; None before the second.
    board_rate : float or None
        Of computing alone, at the board's clock and the cycles of the last frame.
    line_rate : float or None
        Frames per second from the first byte of the first input to the last result, by the
        device's clock; None if there is no line.
    """

    frames: int = 0
    errors: int = 0
    different: int = 0
    known: int = 0
    right: int = 0
    retries: int = 0
    dropped: int = 0
    seconds: float = 0.0
    rate: float | None = None
    board_rate: float | None = None
    line_rate: float | None = None

    def json(self) -> dict[str, Any]:
        """Return the numbers for the web page."""
        return dict(vars(self))


class Statistics:
    """Counts records, and measures how fast they come.

    Parameters
    ----------
    clock : callable
        Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began = clock()
        self._times: deque[float] = deque(maxlen=WINDOW_FRAMES)
        self._cycles = 0
        self._counted = 0
        self._board_seconds = self._host_seconds = 0.0
        self._first_byte: float | None = None
        self.now = Snapshot()

    def add(self, record: Record, dropped: int = 0) -> Snapshot:
        """Count a record; returns :attr:`now`."""
        now, at = self.now, self._clock()
        done = bool(record.outputs)
        if done:
            self._times.append(at)
        if record.cycles is not None and record.board_seconds is not None:
            self._counted += 1
            self._cycles += record.cycles
            self._board_seconds += record.board_seconds
            self._host_seconds += record.host_seconds
        while len(self._times) > 2 and at - self._times[0] > WINDOW_SECONDS:
            self._times.popleft()
        self.now = replace(
            now,
            frames=now.frames + done,
            errors=now.errors + (not done),
            different=now.different + (record.exact is False),
            known=now.known + (record.right is not None),
            right=now.right + (record.right is True),
            retries=now.retries + record.retries,
            dropped=dropped,
            seconds=at - self._began,
            rate=self._rate(),
            board_rate=1 / record.board_seconds if record.board_seconds else now.board_rate,
            line_rate=self._line_rate(record, now.frames + done) or now.line_rate,
        )
        return self.now

    def _line_rate(self, record: Record, frames: int) -> float | None:
        spans = (record.finished, record.link_seconds, record.compute_seconds)
        if record.error or None in spans:
            return None
        end, link, compute = (float(span or 0) for span in spans)
        if self._first_byte is None:
            self._first_byte = end - link - compute
        return frames / (end - self._first_byte) if end > self._first_byte else None

    def _rate(self) -> float | None:
        if len(self._times) < 2 or self._times[-1] == self._times[0]:
            return None
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])

    def summary(
        self, clock_mhz: float, *, verified: bool = False, clock: str = ""
    ) -> str:
        """Return the sentence that ends the stream; ``clock`` is a backend's."""
        now, seconds = self.now, self._clock() - self._began
        board = "the board's clock"
        parts = [f"{now.frames:,} frame{'' if now.frames == 1 else 's'} in {seconds:.1f} s"]
        if now.frames and seconds > 0:
            parts.append(f"{now.frames / seconds:.1f} inferences/s")
        if self._counted and self._board_seconds:
            parts.append(
                f"{self._cycles // self._counted:,} cycles each on average "
                f"({self._counted / self._board_seconds:.1f} inferences/s at {clock_mhz:g} MHz, "
                "computing alone)"
            )
        if self._host_seconds > SOME_OF_THE_TIME * self._board_seconds:
            both = (self._board_seconds + self._host_seconds) / self._counted
            parts.append(
                f"{self._host_seconds / self._counted * 1e3:.1f} ms each on the host: "
                f"{1 / both:.1f} inferences/s in all"
            )
        if now.line_rate is not None:
            parts.append(f"{now.line_rate:.1f} frames/s with the line, by {clock or board}")
        for count, what in (
            (now.errors, "without a result"),
            (now.retries, "packets sent again"),
            (now.dropped, "overtaken by newer ones"),
        ):
            if count:
                parts.append(f"{count:,} {what}")
        if now.known:
            parts.append(f"{now.right:,} of {now.known:,} labels right")
        if verified and now.frames:
            parts.append(f"{now.different:,} differ" if now.different else "all exact")
        return "; ".join(parts)
