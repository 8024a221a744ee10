"""Opening of sources: what the name of one says about its kind."""

from __future__ import annotations

import os
import re
from pathlib import Path

from common.errors import InputError
from sw.stream.sources import PICTURES, RAW, PictureSource, Preparer, RawSource, Source

__all__ = ["open_source"]

def open_source(text: str, prepare: Preparer, *, pixels: bool = False) -> Source:
    """Open what is named on the command line.

    Parameters
    ----------
    text : str
        A folder, a file, the number of a camera, or ``-``.
    prepare : Preparer
    pixels : bool
        See :class:`RawSource`.

    Raises
    ------
    InputError
        If there is no such thing, or it cannot be opened.
    """
    if text == "-":
        if os.isatty(0):
            raise InputError("standard input is a terminal; SOURCE - reads raw frames from a pipe")
        return RawSource(prepare, pixels=pixels)
    path = Path(text)
    if re.fullmatch("[0-9]{1,3}", text):
        # Only now, here and below: it wants an optional package.
        from sw.stream.video import CameraSource

        return CameraSource(int(text), prepare)
    if path.is_dir() or (path.is_file() and path.suffix.lower() in PICTURES + RAW):
        return PictureSource(path, prepare)
    if not path.is_file():
        kind = "is not a file" if path.exists() else "does not exist"
        raise InputError(
            f"{text}: {kind}; SOURCE is a folder of pictures, a picture, a video, a camera's "
            "number, or - for raw frames on standard input"
        )
    from sw.stream.video import VideoSource

    return VideoSource(path, prepare)
