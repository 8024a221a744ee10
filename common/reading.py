"""Reading of files that people name: regular ones, up to a limit, ``.npy`` headers checked first.

A tool must not wait for a pipe that nobody writes to, nor read a device that has no end, nor make
room for what a header states and the file does not hold.
"""

from __future__ import annotations

import io
import math
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from common.errors import InputError, SeparableError

__all__ = ["LIMIT", "TEXT_LIMIT", "lines", "open_file", "read", "read_lines", "read_npy"]

LIMIT = 1 << 28
"""Bytes of a model, of weights or of images, as a file or unpacked."""
TEXT_LIMIT = 1 << 24
"""Bytes of a text."""
HEADER_LIMIT = 1 << 16
"""Bytes of a ``.npy`` file that are looked at for its header."""
PIECE = 1 << 20

POINTER = b"version https://git-lfs.github.com/spec/"
"""What Git leaves in the place of a large file that was not fetched begins so."""

Path = str | os.PathLike[str]


@contextmanager
def open_file(
    path: Path, *, limit: int | None = None, error: type[SeparableError] = InputError
) -> Iterator[io.BufferedReader]:
    """Open a regular file, to be read.

    Parameters
    ----------
    path
    limit : int, optional
        Bytes that it may have at most.
    error : type
        What is raised; any OSError inside the ``with`` becomes one as well.

    Raises
    ------
    SeparableError
        If it is no regular file, too large, Git LFS's pointer to one, or cannot be read.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                kind = "a pipe" if stat.S_ISFIFO(status.st_mode) else "a device"
                raise error(f"{path}: is {kind}; save what comes from it as a file and give that")
            if limit is not None and status.st_size > limit:
                raise error(_too_large(path, limit))
            if file.peek(len(POINTER)).startswith(POINTER):
                raise error(
                    f"{path}: is a pointer of Git LFS, not the file itself; fetch that with 'git "
                    "lfs pull'"
                )
            yield file
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror or problem})") from None


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to is opened like any other."""
    return os.open(path, flags | os.O_NONBLOCK)


def _too_large(path: Path, limit: int) -> str:
    return (
        f"{path}: is larger than {limit >> 20} MB, the most that is read of such a file; give a "
        "smaller one"
    )


def read(path: Path, *, limit: int = LIMIT, error: type[SeparableError] = InputError) -> bytes:
    """Return a regular file's content; see :func:`open_file`."""
    with open_file(path, limit=limit, error=error) as file:
        data = file.read(limit + 1)
    # Files of /proc have no size until they are read.
    if len(data) > limit:
        raise error(_too_large(path, limit))
    return data


def lines(data: bytes) -> list[str]:
    """Return the lines of a text in UTF-8, however they end; a mark of the encoding is left out.

    Nothing but ends of lines divides: a name may hold what Unicode calls a separator.

    Raises
    ------
    UnicodeDecodeError
        If it is no such text.
    """
    text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n") if text else []


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text in UTF-8.

    Raises
    ------
    InputError
        If it is no such text, or larger than :data:`TEXT_LIMIT`.
    """
    try:
        return lines(read(path, limit=TEXT_LIMIT))
    except UnicodeDecodeError:
        raise InputError(f"{path}: cannot be read (not a text file in UTF-8)") from None


def read_npy(
    file: IO[bytes], where: str, check: Callable[[tuple[int, ...], np.dtype[Any]], None]
) -> npt.NDArray[Any]:
    """Read a ``.npy`` file.

    Parameters
    ----------
    file : IO
    where : str
        Names it in errors.
    check : callable
        Called with the shape and the type that the header states, before anything is made of that
        size; raises an error if they are not wanted.

    Returns
    -------
    ndarray
        In C order.

    Raises
    ------
    InputError
        If it is no such file, or has less data than it states.
    """
    head = io.BytesIO(file.read(HEADER_LIMIT))
    shape, fortran, dtype = _header(head, where)
    check(shape, dtype)
    if dtype.hasobject:
        raise InputError(f"{where}: holds Python objects; save an array of numbers")
    size = math.prod(shape) * dtype.itemsize
    data = np.empty(size, np.uint8)
    view = memoryview(data)  # type: ignore[arg-type]  # mypy's Buffer is of Python 3.12
    filled = head.readinto(view)
    while filled < size:
        # In pieces: an archive's member makes a copy of each.
        got = file.readinto(view[filled : filled + PIECE])  # type: ignore[attr-defined]
        if not got:
            raise InputError(f"{where}: truncated, {filled} of {size} bytes of data")
        filled += got
    array = data.view(dtype).reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(array).reshape(shape)


def _header(head: io.BytesIO, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether the order is Fortran's, and type; leave ``head`` behind them."""
    try:
        version = np.lib.format.read_magic(head)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read_header(head)
    except Exception as error:
        # NumPy evaluates the header as Python source, which fails in many ways.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{where}: not a NumPy array ({reason})") from None
    if any(not 0 <= length < 1 << 40 for length in shape):
        raise InputError(f"{where}: not a NumPy array (its header states the shape {list(shape)})")
    return shape, fortran, dtype
