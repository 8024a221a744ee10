"""Frames are prepared in a thread of their own, while the ones before are computed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from sw.stream.sources import Frame

__all__ = ["Prefetch"]

DEPTH = 2
POLL_SECONDS = 0.1
"""How long a request to stop may wait when no frame comes."""


class Prefetch:
    """Takes frames from an iterable, ahead of whoever asks for them.

    Parameters
    ----------
    frames : iterable of Frame
        Used in the thread only.
    newest : bool
        If nobody takes them in time, throw the older frames away; otherwise wait.
    depth : int
        Frames that may wait.
    """

    def __init__(
        self, frames: Iterable[Frame], *, newest: bool = False, depth: int = DEPTH
    ) -> None:
        self._frames = frames
        self._newest = newest
        self._depth = 1 if newest else depth
        self._waiting: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._failure: BaseException | None = None
        self._stop = False
        self.dropped = 0
        """Frames thrown away because newer ones had come."""
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let :meth:`take` return None from now on.  Safe in a signal handler."""
        self._stop = True

    def close(self, seconds: float = 0.5) -> bool:
        """Stop, and wait for the thread unless it is stuck in its source.

        Returns
        -------
        bool
            Whether the thread has ended.
        """
        self.stop()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def take(self, *, wait: bool = True) -> Frame | None:
        """Return the next frame.

        Parameters
        ----------
        wait : bool
            For one to come.

        Returns
        -------
        Frame or None
            None at the end, after :meth:`stop`, or if none is there and ``wait`` is false.

        Raises
        ------
        Exception
            Whatever the iterable raised.
        """
        with self._changed:
            while wait and not (self._waiting or self._ended or self._stop):
                self._changed.wait(POLL_SECONDS)
            if self._stop:
                return None
            if self._waiting:
                frame = self._waiting.popleft()
                self._changed.notify_all()
                return frame
            if self._failure is not None:
                raise self._failure
            return None

    def _run(self) -> None:
        try:
            for frame in self._frames:
                if not self._put(frame):
                    break
        except BaseException as error:
            # Raised where the frames are taken.
            self._failure = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        with self._changed:
            while len(self._waiting) >= self._depth and not self._stop:
                if self._newest:
                    self._waiting.popleft()
                    self.dropped += 1
                else:
                    self._changed.wait(POLL_SECONDS)
            if self._stop:
                return False
            self._waiting.append(frame)
            self._changed.notify_all()
            return True
