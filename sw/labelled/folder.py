"""Folder of labelled pictures: FOLDER/CLASS/PICTURE, CLASS being a label or a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import InputError
from sw import images
from sw.ir import Graph
from sw.networks.labels import classes_of

__all__ = ["Folder", "Picture", "class_count", "open_folder"]

SHAPE = "give a folder of folders, one for each class: FOLDER/CLASS/PICTURE"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture, or a raw tensor.

    Attributes
    ----------
    path : Path
    truth : int
        Its class.
    """

    path: Path
    truth: int


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Pictures whose classes are known.

    Attributes
    ----------
    path : Path
    pictures : list of Picture
        Class by class in the order of the folders' names, and in the order of names in them.
    others : int
        Files in them that are none, as far as their names say.
    """

    path: Path
    pictures: list[Picture]
    others: int


def class_count(graph: Graph) -> int:
    """Return the number of classes that a network tells apart.

    Raises
    ------
    InputError
        If it is no classifier of single inputs.
    """
    if len(graph.inputs) != 1:
        raise InputError(
            f"network {graph.name!r} has {len(graph.inputs)} inputs; --labelled is for those of one"
        )
    classes = classes_of(graph)
    if classes is None:
        output = graph.tensors[graph.outputs[0]]
        raise InputError(
            f"network {graph.name!r} is no classifier: its first output {output.name!r} is "
            f"{output.dtype}{list(output.shape)}, and --labelled wants one value for each class"
        )
    return classes


def open_folder(path: str, labels: Sequence[str], classes: int) -> Folder:
    """Find the pictures of a folder.

    Parameters
    ----------
    path : str
    labels : sequence of str
        Names of the classes, as far as they are known.
    classes : int
        Classes that the network tells apart.

    Returns
    -------
    Folder
        Names that begin with a dot, as systems leave them, are passed over.

    Raises
    ------
    InputError
        If there are no pictures, in the folder or in one of its classes, or a class is unknown.
    """
    root = Path(path)
    if not root.is_dir():
        kind = "is not a folder" if root.exists() else "does not exist"
        raise InputError(f"{path}: {kind}; {SHAPE}")
    entries = sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in entries if entry.is_dir()]
    if not folders:
        raise InputError(f"{path}: has no folders of classes in it; {SHAPE}")
    pictures: list[Picture] = []
    others = len(entries) - len(folders)
    for folder in folders:
        truth = _class_of(folder, labels, classes)
        names = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        found = [name for name in names if images.is_input(name) and not name.is_dir()]
        if not found:
            raise InputError(f"{folder}: has no pictures in it; put some there or remove it")
        others += len(names) - len(found)
        pictures += [Picture(path=name, truth=truth) for name in found]
    return Folder(path=root, pictures=pictures, others=others)


def _is(name: str, label: str) -> bool:
    """Return whether a folder is named after a label; no folder's name has a slash in it."""
    return name in (label, label.replace("/", "-"), label.replace("/", "_"))


def _class_of(folder: Path, labels: Sequence[str], classes: int) -> int:
    """Return the class that a folder is named after."""
    name = folder.name
    found = [number for number, label in enumerate(labels[:classes]) if _is(name, label.strip())]
    if len(found) > 1:
        raise InputError(
            f"{folder}: {len(found)} classes are called so, {found[0]} and {found[1]} among them; "
            "name the folder by the number"
        )
    if found:
        return found[0]
    if name.isascii() and name.isdecimal() and int(name[:9]) < classes and len(name) < 9:
        return int(name)
    known = ", ".join(repr(label) for label in labels[:3]) + (", …" if len(labels) > 3 else "")
    raise InputError(
        f"{folder}: is no class of the network; name it by a number up to {classes - 1} or "
        + (f"a label, {known}" if labels else "give the labels with --labels")
    )
