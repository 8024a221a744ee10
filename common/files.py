"""Files that tools write: each appears whole, or what was there before stays.

What is to be written goes to a temporary file in the same folder, which takes the target's name
when all of it is on the disk.  Pictures and archives are made in memory first.
"""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.errors import InputError, SeparableError

__all__ = [
    "appearing", "check_folder", "check_outputs", "is_writable", "write_bytes", "write_csv",
    "write_json", "write_text",
]

NEW_FILE = 0o666
"""Permissions of a new file, less what the umask takes away."""

OPEN_FILES = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")
"""Names of what is open already: replacing the file behind it would lose what was printed."""


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text as UTF-8; see :func:`write_bytes`.

    Bytes of a file name that are no text become escapes such as ``\\udcff``, as in JSON.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: str | os.PathLike[str], data: Mapping[str, Any]) -> None:
    """Write JSON; the file appears complete or not at all.

    Raises
    ------
    SeparableError
        If it cannot be written.
    """
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def write_csv(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table as CSV; the file appears complete or not at all.

    Parameters
    ----------
    path
    rows : sequence of mapping
        At least one; all with the same keys, which are the columns.

    Raises
    ------
    SeparableError
        If it cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file as a whole or not at all.

    A symbolic link stays one: what it points to is written.  A file that was there keeps its
    permissions.  What is no file, such as ``/dev/stdout`` or a pipe, is written to as it is.

    Parameters
    ----------
    path
    data : bytes

    Raises
    ------
    SeparableError
        If it cannot be written; what was there before is untouched.
    """
    target = Path(os.path.realpath(path))
    try:
        if str(Path(path).absolute()).startswith(OPEN_FILES) or _is_no_file(target):
            # What was printed before comes before.
            sys.stdout.flush()
            with open(path, "ab") as file:
                file.write(data)
        else:
            _replace(target, data)
    except OSError as error:
        raise SeparableError(f"{path}: cannot be written ({error.strerror or error})") from None


def _is_no_file(target: Path) -> bool:
    """Whether there is something that a file must not replace: a device, a pipe, a socket."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _replace(target: Path, data: bytes) -> None:
    with _appearing(target) as partial:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, NEW_FILE)
        with os.fdopen(handle, "wb") as file:
            file.write(data)


@contextmanager
def appearing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Let something else write a file, which then appears as a whole or not at all.

    Parameters
    ----------
    path

    Yields
    ------
    Path
        To be written, in the same folder; nothing appears if what it is written by raises.

    Raises
    ------
    SeparableError
        If it cannot be written; what was there before is untouched.
    """
    target = Path(os.path.realpath(path))
    if _is_no_file(target):
        raise SeparableError(f"{path}: cannot be written, it is no file; name another one")
    try:
        with _appearing(target) as partial:
            yield partial
    except OSError as error:
        raise SeparableError(f"{path}: cannot be written ({error.strerror or error})") from None


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    mode = None
    if target.exists():
        # Renaming would get around the permissions of a file that is not to be written.
        os.close(os.open(target, os.O_WRONLY))
        mode = stat.S_IMODE(target.stat().st_mode)
    partial = target.parent / f".separable-{secrets.token_hex(8)}"
    try:
        yield partial
        if mode is not None:
            os.chmod(partial, mode)
        with open(partial, "rb+") as file:
            # A disk may say only now that it is full.
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def check_outputs(
    outputs: Iterable[str | None], inputs: Iterable[str | None] = ()
) -> None:
    """Refuse files to write before the work that they are for.

    Parameters
    ----------
    outputs, inputs : iterable of str or None
        Names of files; ``None`` for what was not given.

    Raises
    ------
    InputError
        If a file cannot be where it is to be, or would replace one that is read or another one
        that is written.
    """
    taken = {os.path.realpath(name): f"{name!r} is read" for name in inputs if name is not None}
    for name in outputs:
        if name is None:
            continue
        path = os.path.realpath(name)
        if os.path.isdir(path):
            raise InputError(f"{name}: cannot be written, it is a folder; name a file in it")
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            raise InputError(f"{name}: cannot be written, its folder is missing; make it first")
        # A file is replaced, which takes the folder; what is no file is written to.
        taking = [folder] if not os.path.exists(path) else [folder, path]
        if any(not os.access(place, os.W_OK) for place in taking[_is_no_file(Path(path)) :]):
            raise InputError(f"{name}: cannot be written, it or its folder is read-only")
        if os.path.isfile(path) or not os.path.exists(path):
            if path in taken:
                raise InputError(f"{name}: cannot be written, {taken[path]}; use another name")
            taken[path] = f"{name!r} is written"


def check_folder(name: str | os.PathLike[str]) -> None:
    """Refuse a folder for files before the work that they are for; it need not be there yet.

    Raises
    ------
    InputError
        If it is something else, or cannot be made or written to.
    """
    path = Path(os.path.realpath(name))
    if path.exists() and not path.is_dir():
        raise InputError(f"{os.fspath(name)}: is not a folder; name one, or one to be made")
    if not is_writable(path):
        there = _nearest(path)
        raise InputError(f"{os.fspath(name)}: cannot be written, {there} is no writable folder")


def is_writable(folder: Path) -> bool:
    """Return whether files can be put into a folder, made first if it is missing."""
    there = _nearest(folder)
    return there.is_dir() and os.access(there, os.W_OK)


def _nearest(path: Path) -> Path:
    """Return a path, or the innermost one around it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())
