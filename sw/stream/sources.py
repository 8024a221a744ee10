"""Sources of frames: pictures, raw tensors on standard input, arrays."""

from __future__ import annotations

import io
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from common.errors import InputError
from sw import images
from sw.ir import Graph

__all__ = [
    "PICTURES",
    "RAW",
    "ArraySource",
    "Frame",
    "Item",
    "PictureSource",
    "Preparer",
    "RawSource",
    "Source",
    "frames",
]

Array = npt.NDArray[np.integer]

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
RAW = (".dat", ".npy")
PREVIEW = 480
"""Pixels of the longer side of the pictures that are kept for the web page."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame, ready for the network or known to be unusable.

    Attributes
    ----------
    number : int
        From 0; errors count.
    name : str
        Of the file, or of the source with the frame's number.
    x : ndarray or None
        The network's input; None if there is an error.
    picture : PIL.Image.Image or None
        What the network looks at, before it is resized to the network's input; only if previews
        were asked for, and there was something to resize.
    seconds : float
        Decoding and preparing.
    error : str
        Why there is no input.
    truth : int or None
        The class that it is known to be of.
    """

    number: int
    name: str
    x: Array | None = None
    picture: Image.Image | None = None
    seconds: float = 0.0
    error: str = ""
    truth: int | None = None


Loaded: TypeAlias = tuple[Array, Image.Image | None]


@dataclass(frozen=True, kw_only=True)
class Item:
    """A frame that has come but is not prepared.

    Attributes
    ----------
    name : str
    load : callable
        Returns the input and its picture, or raises :class:`InputError`.
    seconds : float
        That have gone into decoding it so far.
    truth : int or None
        As for :class:`Frame`.
    """

    name: str
    load: Callable[[], Loaded]
    seconds: float = 0.0
    truth: int | None = None


class Source(ABC):
    """Frames, one after the other.

    Attributes
    ----------
    name : str
        For people.
    live : bool
        Frames come whether somebody takes them or not, and only the newest is of interest.
    repeatable : bool
        :meth:`items` can be called again.
    """

    name = ""
    live = False
    repeatable = True

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """Yield the frames once.

        Raises
        ------
        InputError
            If the source itself ends with an error; it becomes the last frame's.
        """

    def close(self) -> None:  # noqa: B027 (most sources hold nothing)
        """Let go of what is open."""


class Preparer:
    """Turns pictures into inputs of a network.

    Parameters
    ----------
    graph : Graph
        With one input.
    stretch : bool
        Resize whole pictures, whatever their proportions; otherwise cut out the middle first.
    previews : bool
        Keep pictures, of at most ``PREVIEW`` pixels a side.
    """

    def __init__(self, graph: Graph, *, stretch: bool = False, previews: bool = False) -> None:
        self.graph = graph
        self.tensor = graph.tensors[graph.inputs[0]]
        self.stretch = stretch
        self.previews = previews

    def picture(self, image: Image.Image) -> Loaded:
        """Return a picture's input, and its preview."""
        if not self.stretch:
            image = images.crop(image, self.tensor)
        x = images.from_image(image, self.tensor)
        height, width, _ = images.picture_size(self.tensor)
        if not self.previews or image.size == (width, height):
            # The input itself shows as much.
            return x, None
        preview = image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB")
        preview.thumbnail((PREVIEW, PREVIEW))
        return x, preview

    def file(self, path: Path) -> Loaded:
        """Return the input that a picture or a raw tensor in a file makes."""
        if path.suffix.lower() in RAW:
            return images.load(path, self.graph), None
        return self.picture(images.open_picture(path))


class PictureSource(Source):
    """A picture, a raw tensor, or a folder of them in the order of their names.

    Parameters
    ----------
    path : Path
    prepare : Preparer

    Raises
    ------
    InputError
        If there is nothing to run.
    """

    def __init__(self, path: Path, prepare: Preparer) -> None:
        self._prepare = prepare
        self.name = str(path)
        self._folder = path.is_dir()
        self._paths = _usable(path) if self._folder else [path]

    def items(self) -> Iterator[Item]:
        for path in self._paths:
            name = path.name if self._folder else str(path)
            yield Item(name=name, load=lambda path=path: self._prepare.file(path))  # type: ignore[misc]


def _usable(folder: Path) -> list[Path]:
    """Return the files of a folder that can be frames: ``2.png`` comes before ``10.png``."""

    def order(path: Path) -> tuple[list[tuple[int, str]], str]:
        parts = re.split(r"([0-9]+)", path.name)
        # Digits, every other part, by their value: the more of them the greater.
        numbers = [part.lstrip("0") if i % 2 else part for i, part in enumerate(parts)]
        return [(len(p) if i % 2 else 0, p) for i, p in enumerate(numbers)], path.name

    try:
        files = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from None
    usable = [p for p in files if p.suffix.lower() in PICTURES + RAW and p.is_file()]
    if not usable:
        what = f"none of its {len(files)} entries is one" if files else "it is empty"
        raise InputError(
            f"{folder}: there are no pictures or raw tensors ({', '.join(PICTURES + RAW)}) in "
            f"this folder: {what}"
        )
    return sorted(usable, key=order)


class ArraySource(Source):
    """Pictures in memory.

    Parameters
    ----------
    name : str
    pictures : sequence of (str, (H, W) or (H, W, 3) uint8)
        Names and pixels.
    prepare : Preparer
    truths : sequence of int, optional
        The classes that they are of.
    """

    def __init__(
        self, name: str, pictures: Sequence[tuple[str, npt.NDArray[np.uint8]]], prepare: Preparer,
        truths: Sequence[int] | None = None,
    ) -> None:
        self.name = name
        self._pictures = pictures
        self._prepare = prepare
        self._truths = [None] * len(pictures) if truths is None else truths

    def items(self) -> Iterator[Item]:
        for (name, pixels), truth in zip(self._pictures, self._truths, strict=True):
            image = Image.fromarray(pixels)
            load = partial(self._prepare.picture, image)
            yield Item(name=name, load=load, truth=truth)


class Readable(Protocol):
    """Part of an unbuffered binary file that is needed."""

    def read(self, size: int, /) -> bytes | None:
        """Return up to ``size`` bytes, none of them at the end."""


class RawSource(Source):
    """Raw frames, one behind the other.

    Parameters
    ----------
    prepare : Preparer
    pixels : bool
        Frames are pixels, uint8 (H, W, C), whatever the type of the network's input; otherwise
        bytes of the network's input.
    file : Readable
        Standard input unless it is given.  It is read without Python's buffers: a thread that
        waits in them cannot be left behind at the end.
    """

    name = "standard input"
    repeatable = False

    def __init__(
        self, prepare: Preparer, *, pixels: bool = False, file: Readable | None = None
    ) -> None:
        self._tensor = prepare.tensor
        self._shape = images.picture_size(self._tensor) if pixels else None
        self._file = file if file is not None else io.FileIO(0, closefd=False)

    def items(self) -> Iterator[Item]:
        number = 0
        while data := self._read(number):
            yield Item(name=f"frame {number}", load=lambda data=data: self._load(data))  # type: ignore[misc]
            number += 1

    def _load(self, data: bytes) -> Loaded:
        if self._shape is None:
            return np.frombuffer(data, self._tensor.dtype).reshape(self._tensor.shape), None
        pixels = np.frombuffer(data, np.uint8).reshape(self._shape)
        return images.from_pixels(pixels, self._tensor), None

    def _read(self, number: int) -> bytes:
        wanted = self._tensor.nbytes
        data = bytearray()
        while len(data) < wanted and (part := self._file.read(wanted - len(data))):
            data += part
        if data and len(data) != wanted:
            raise InputError(
                f"standard input ends within frame {number}: {len(data)} of {wanted:,} bytes "
                f"({self._tensor.dtype}{list(self._tensor.shape)})"
            )
        return bytes(data)


def frames(source: Source, *, loop: bool = False) -> Iterator[Frame]:
    """Yield the frames of a source, prepared.

    Parameters
    ----------
    source : Source
    loop : bool
        Begin again at the end; ends after a round without a usable frame.

    Raises
    ------
    InputError
        If the source cannot begin again.
    """
    number = 0
    while True:
        usable = False
        items = source.items()
        while True:
            try:
                item = next(items, None)
            except InputError as error:
                yield Frame(number=number, name=source.name, error=str(error))
                return
            if item is None:
                break
            frame = _prepared(item, number)
            usable = usable or not frame.error
            yield frame
            number += 1
        if not (loop and usable):
            return


def _prepared(item: Item, number: int) -> Frame:
    began = time.perf_counter()
    try:
        x, picture = item.load()
    except InputError as error:
        return Frame(number=number, name=item.name, error=str(error))
    seconds = item.seconds + time.perf_counter() - began
    return Frame(
        number=number, name=item.name, x=x, picture=picture, seconds=seconds, truth=item.truth
    )
