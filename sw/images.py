"""Inputs of a network: images, and raw tensors.

An image is resized to the network's input and its pixels become integers of the input's type
(:func:`sw.golden.pixels.pixel_table`): as the file's metadata says if it has some, otherwise the
pixel value itself for uint8, the pixel value less 128 for int8.  That is what quantised MobileNets
are exported for, whatever real range their scale and zero point stand for: the lowest integer is
black, the highest is white.
"""

from __future__ import annotations

import io
import warnings
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from common import reading
from common.errors import InputError
from sw.golden.pixels import pixel_table
from sw.ir import Graph, Tensor

__all__ = [
    "crop",
    "from_image",
    "from_pixels",
    "is_input",
    "load",
    "open_picture",
    "picture_size",
    "random_inputs",
    "take",
    "to_pixels",
]

Array = npt.NDArray[np.integer]

PIXELS = 25_000_000
"""Most pixels of a picture, as its file states them; Pillow keeps two copies, of 100 MB each."""
PICTURE_BYTES = 1 << 26
"""Most bytes of a picture's file."""

# Pillow looks at every size that a file states, that of a picture inside an icon too.
Image.MAX_IMAGE_PIXELS = PIXELS


def is_input(path: str | PathLike[str]) -> bool:
    """Return whether a file's name ends like an input's: an image, ``.npy`` or ``.dat``."""
    suffix = Path(path).suffix.lower()
    return suffix in (".npy", ".dat") or suffix in Image.registered_extensions()


def load(path: str | PathLike[str], graph: Graph, number: int = 0) -> Array:
    """Load an input of a network.

    Parameters
    ----------
    path
        ``.npy``: an array of the input's type and shape (a leading batch dimension of 1 may be
        missing); ``.dat``: the bytes of such an array in C order; otherwise any image that Pillow
        opens.
    graph : Graph
    number : int
        Which of ``graph.inputs``.

    Returns
    -------
    ndarray
        Of the input tensor's shape and type.

    Raises
    ------
    InputError
        If the file cannot be read or does not fit, saying what is expected.
    """
    tensor = graph.tensors[graph.inputs[number]]
    match Path(path).suffix.lower():
        case ".npy":
            with reading.open_file(path) as file:
                return _load_npy(file, tensor, path)
        case ".dat":
            with reading.open_file(path) as file:
                return _load_dat(file, tensor, path)
    _layout(tensor)
    return from_image(open_picture(path), tensor)


def take(value: object, graph: Graph, number: int = 0) -> Array:
    """Make an input of a network of whatever people have.

    Parameters
    ----------
    value : path, PIL.Image.Image or array
        A file as :func:`load` takes it; a picture of any size and mode; or an array: of the input's
        type and shape (a leading batch dimension of 1 may be missing), it is the input itself; of
        uint8 and (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) where the input is an image of another
        type, it is a picture.
    graph : Graph
    number : int
        Which of ``graph.inputs``.

    Returns
    -------
    ndarray
        Of the input tensor's shape and type.

    Raises
    ------
    InputError
        If it is nothing of that kind or does not fit, saying what is expected.
    """
    tensor = graph.tensors[graph.inputs[number]]
    if isinstance(value, str | PathLike):
        return load(value, graph, number)
    if isinstance(value, Image.Image):
        return _from_opened(value, tensor)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{_expectation(tensor)}, not what is no array ({error})") from None
    if array.dtype.kind not in "biuf" or not array.ndim:
        raise InputError(f"{_expectation(tensor)}, not a value of type {type(value).__name__}")
    if _is(array.shape, array.dtype, tensor):
        return np.ascontiguousarray(array).reshape(tensor.shape)
    pixels = array[0] if array.ndim == 4 and len(array) == 1 else array
    shown = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))
    if array.dtype == np.uint8 and tensor.dtype != "uint8" and tensor.picture and shown:
        if not pixels.size:
            raise InputError(f"{_expectation(tensor)}; the picture has no pixels")
        grey = pixels.ndim == 3 and pixels.shape[2] == 1
        return from_image(Image.fromarray(pixels[..., 0] if grey else pixels), tensor)
    picture = "a picture (of uint8, a file, or of PIL) or " if tensor.picture else ""
    raise InputError(
        f"{_expectation(tensor)}, the array is {array.dtype}{list(array.shape)}; give {picture}"
        "an array of the network's type and shape"
    )


def _from_opened(image: Image.Image, tensor: Tensor) -> Array:
    """Turn a picture of the caller's into an input: Pillow may read its file only now."""
    _layout(tensor)
    try:
        image.load()
    except Exception as error:
        # Pillow's decoders raise nearly anything for a damaged file.
        raise InputError(f"the picture cannot be read ({error or type(error).__name__})") from None
    if not all(image.size):
        raise InputError(f"{_expectation(tensor)}; the picture has no pixels")
    try:
        return from_image(image, tensor)
    except ValueError as error:
        # Pillow has modes that it makes no others of.
        raise InputError(f"the picture is of mode {image.mode}: {error}") from None


def _is(shape: tuple[int, ...], dtype: np.dtype[Any], tensor: Tensor) -> bool:
    """Whether an array is a network's input; a batch dimension of 1 may be missing."""
    batchless = tensor.shape[:1] == (1,) and shape == tensor.shape[1:]
    return dtype == np.dtype(tensor.dtype) and (shape == tensor.shape or batchless)


def random_inputs(graph: Graph, seed: int) -> list[Array]:
    """Return random values for all inputs of a network, the same for the same seed.

    Integers are any of the input's type, float32 from −1 to 1.
    """
    rng = np.random.default_rng(seed)
    arrays: list[Array] = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        if tensor.dtype.startswith("float"):
            arrays.append(rng.uniform(-1, 1, tensor.shape).astype(tensor.dtype))
        else:
            limits = np.iinfo(tensor.dtype)
            values = rng.integers(limits.min, limits.max, tensor.shape, endpoint=True)
            arrays.append(values.astype(tensor.dtype))
    return arrays


def open_picture(path: str | PathLike[str]) -> Image.Image:
    """Read a picture, all of it; of an animation the first frame.

    Parameters
    ----------
    path
        Any image that Pillow opens, of at most :data:`PIXELS` pixels.

    Returns
    -------
    PIL.Image.Image
        As it is in the file.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged, or is too large.
    """
    data = reading.read(path, limit=PICTURE_BYTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                return image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError(
            f"{path}: has more than {PIXELS:,} pixels, the most that are read; make it smaller"
        ) from None
    except Exception as error:
        # Pillow's decoders raise nearly anything for a damaged file.
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "of no format that Pillow knows" if unknown else error or type(error).__name__
        raise InputError(
            f"{path}: not a readable image ({reason}); raw tensors must be "
            "called .npy or .dat"
        ) from None


def picture_size(tensor: Tensor) -> tuple[int, int, int]:
    """Return (height, width, channels) of the pictures that a network takes.

    Raises
    ------
    InputError
        If the network's input is not an image.
    """
    height, width, channels, _ = _layout(tensor)
    return height, width, channels


def crop(image: Image.Image, tensor: Tensor) -> Image.Image:
    """Cut the largest part out of the middle of an image that has the input's proportions.

    Parameters
    ----------
    image : PIL.Image.Image
        Turned as its EXIF data says before it is cut.
    tensor : Tensor
        The network's input.

    Returns
    -------
    PIL.Image.Image
        Of at least one pixel, to be resized by :func:`from_image`.

    Raises
    ------
    InputError
        If the network's input is not an image.
    """
    height, width, _ = picture_size(tensor)
    image = ImageOps.exif_transpose(image)
    wide, high = image.size
    # In integers: the side that is too long becomes what the other one allows.
    across = min(wide, max(1, high * width // height))
    down = min(high, max(1, wide * height // width))
    left, top = (wide - across) // 2, (high - down) // 2
    return image.crop((left, top, left + across, top + down))


def _expectation(tensor: Tensor) -> str:
    return f"the network takes {tensor.dtype}{list(tensor.shape)}"


def _load_dat(file: BinaryIO, tensor: Tensor, path: str | PathLike[str]) -> Array:
    data = file.read(tensor.nbytes + 1)
    if len(data) != tensor.nbytes:
        found = "more" if len(data) > tensor.nbytes else str(len(data))
        raise InputError(
            f"{path}: {_expectation(tensor)}, which is {tensor.nbytes} bytes; the file has {found}"
        )
    return np.frombuffer(data, tensor.dtype).reshape(tensor.shape)


def _load_npy(file: BinaryIO, tensor: Tensor, path: str | PathLike[str]) -> Array:
    def check(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if not _is(shape, dtype, tensor):
            raise InputError(f"{path}: {_expectation(tensor)}; the file holds {dtype}{list(shape)}")

    return reading.read_npy(file, str(path), check).reshape(tensor.shape)


def _layout(tensor: Tensor) -> tuple[int, int, int, bool]:
    """Return (height, width, channels, whether channels come first) of an image input."""
    if (layout := tensor.picture) is None:
        raise InputError(f"{_expectation(tensor)}, which is not an image: give a .npy or .dat file")
    return layout


def from_image(image: Image.Image, tensor: Tensor) -> Array:
    """Turn an image into an input.

    Parameters
    ----------
    image : PIL.Image.Image
        Of any size and mode: turned as its EXIF data says, made grey or RGB, resized (bilinear).
    tensor : Tensor
        The network's input.

    Returns
    -------
    ndarray
        Of the tensor's shape and type.

    Raises
    ------
    InputError
        If the network's input is not an image.
    """
    height, width, channels, _ = _layout(tensor)
    image = ImageOps.exif_transpose(image)
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return from_pixels(np.asarray(image, np.uint8).reshape(height, width, channels), tensor)


def from_pixels(pixels: npt.NDArray[np.uint8], tensor: Tensor) -> Array:
    """Turn pixels into an input.

    Parameters
    ----------
    pixels : (H, W, C) uint8
        Of the network's size.
    tensor : Tensor
        The network's input, NHWC or NCHW.

    Returns
    -------
    ndarray
        Of the tensor's shape and type.

    Raises
    ------
    InputError
        If the size is not the network's.
    """
    height, width, channels, channels_first = _layout(tensor)
    if pixels.shape != (height, width, channels) or pixels.dtype != np.uint8:
        raise InputError(
            f"{_expectation(tensor)}; the pixels are {pixels.dtype}{list(pixels.shape)}"
        )
    table = pixel_table(tensor)
    x = table[np.arange(len(table)), pixels]
    return np.ascontiguousarray(x.transpose(2, 0, 1) if channels_first else x)[None]


def to_pixels(x: Array, tensor: Tensor) -> npt.NDArray[np.uint8]:
    """Turn an input back into pixels, as :func:`from_pixels` takes them.

    Of a normalised input they are the ones nearest to it, the darkest of several.

    Parameters
    ----------
    x : ndarray
        Of the tensor's shape and type.
    tensor : Tensor
        The network's input, NHWC or NCHW.

    Returns
    -------
    (H, W, C) uint8

    Raises
    ------
    InputError
        If the network's input is not an image.
    """
    *_, channels_first = _layout(tensor)
    table = pixel_table(tensor).astype(np.int16)
    limits = np.iinfo(tensor.dtype)
    integers = np.arange(limits.min, limits.max + 1)[:, None]
    nearest = np.stack([np.abs(row - integers).argmin(axis=1) for row in table]).astype(np.uint8)
    ordered = x[0].transpose(1, 2, 0) if channels_first else x[0]
    return np.ascontiguousarray(nearest[np.arange(len(table)), ordered.astype(int) - limits.min])
