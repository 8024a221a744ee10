"""Import of quantised TensorFlow Lite files."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from common import reading
from common.errors import ModelFormatError, SeparableError
from sw.importer.constraints import supported_operators
from sw.importer.convert import convert
from sw.importer.metadata import with_metadata
from sw.importer.read import read
from sw.ir import Graph

__all__ = ["load", "loads", "supported_operators"]


def loads(data: bytes, name: str = "model") -> Graph:
    """Import a model from the bytes of a ``.tflite`` file.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        The graph's name, which starts every error message.

    Returns
    -------
    Graph
        Checked; tensors keep the numbers they have in the file.

    Raises
    ------
    ModelFormatError
        If the file is not a TensorFlow Lite model, or damaged.
    UnsupportedError
        If an operator breaks a constraint, naming operator, tensor, rule and remedy.
    """
    return _import(data, name, name)


def _import(data: bytes, name: str, where: str) -> Graph:
    try:
        raw = read(data)
        return with_metadata(convert(raw, name), data, integers=raw.inputs)
    except SeparableError as error:
        raise type(error)(f"{where}: {error}") from None


def load(path: str | PathLike[str]) -> Graph:
    """Import a ``.tflite`` file; the graph is named after the file without its extension,
    and errors begin with the path.

    Raises
    ------
    ModelFormatError, UnsupportedError
        See :func:`loads`; the former too if the file cannot be read.
    """
    return _import(reading.read(path, error=ModelFormatError), Path(path).stem, str(path))
