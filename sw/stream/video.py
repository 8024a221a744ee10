"""Videos and cameras, through OpenCV: an optional dependency."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from common.errors import InputError
from sw.stream.sources import Item, Loaded, Preparer, Source

__all__ = ["CameraSource", "VideoSource"]


def _opencv(what: str) -> Any:
    # Messages of its own, and of the library below, would be in the way of the live view.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            f"{what}: videos and cameras need OpenCV ({error}); install it with "
            "`pip install 'separable[video]'` or `pip install opencv-python-headless`"
        ) from None
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


class _CaptureSource(Source):
    """Source behind OpenCV's ``VideoCapture``."""

    def __init__(self, prepare: Preparer) -> None:
        self._prepare = prepare
        self._cv2: Any = None
        self._capture: Any = None

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _item(self, name: str, seconds: float) -> Item | None:
        """Return the frame that was grabbed last."""
        began = time.perf_counter()
        good, pixels = self._capture.retrieve()
        seconds += time.perf_counter() - began
        return Item(name=name, load=lambda: self._load(pixels), seconds=seconds) if good else None

    def _load(self, pixels: Any) -> Loaded:
        code = self._cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else self._cv2.COLOR_BGR2RGB
        return self._prepare.picture(Image.fromarray(self._cv2.cvtColor(pixels, code)))


class VideoSource(_CaptureSource):
    """A video file: every frame of it, as fast as they are taken.

    Parameters
    ----------
    path : Path
    prepare : Preparer

    Raises
    ------
    InputError
        If OpenCV is missing, or cannot open the file.
    """

    def __init__(self, path: Path, prepare: Preparer) -> None:
        super().__init__(prepare)
        self._path = path
        self.name = str(path)
        self._cv2 = _opencv(self.name)
        self._open()

    def _open(self) -> None:
        self.close()
        try:
            self._capture = self._cv2.VideoCapture(str(self._path))
            opened = self._capture.isOpened()
        except self._cv2.error:
            opened = False
        if not opened:
            self.close()
            raise InputError(
                f"{self._path}: neither a picture nor a video that OpenCV opens (damaged, or a "
                "format it does not know)"
            )

    def items(self) -> Iterator[Item]:
        if self._capture is None:
            self._open()
        number = 0
        while True:
            began = time.perf_counter()
            if not self._capture.grab():
                break
            name = f"{self._path.name} #{number}"
            item = self._item(name, time.perf_counter() - began)
            if item is None:
                break
            yield item
            number += 1
        # The next round starts with the file opened anew: not every format can be rewound.
        self.close()
        if number == 0:
            raise InputError(f"{self._path}: OpenCV finds no frame in this video")


class CameraSource(_CaptureSource):
    """A camera.

    Parameters
    ----------
    number : int
        As the operating system counts them, from 0.
    prepare : Preparer

    Raises
    ------
    InputError
        If OpenCV is missing, or there is no such camera.
    """

    live = True
    repeatable = False

    def __init__(self, number: int, prepare: Preparer) -> None:
        super().__init__(prepare)
        self.name = f"camera {number}"
        self._cv2 = _opencv(self.name)
        try:
            self._capture = self._cv2.VideoCapture(number)
            opened = self._capture.isOpened()
        except self._cv2.error:
            opened = False
        if not opened:
            self.close()
            raise InputError(
                f"{self.name}: cannot be opened: is it plugged in, free, and are you allowed to "
                f"use it? (on Linux it is /dev/video{number}; a folder of that name is ./{number})"
            )
        # Old pictures are of no use.
        self._capture.set(self._cv2.CAP_PROP_BUFFERSIZE, 1)

    def items(self) -> Iterator[Item]:
        number = 0
        while self._capture is not None and self._capture.grab():
            item = self._item(f"{self.name} #{number}", 0.0)
            if item is not None:
                yield item
            number += 1
        raise InputError(f"{self.name}: it gives no more pictures")
