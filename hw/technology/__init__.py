"""Technologies: what a family of chips gives, each in a folder (or module) of its name.

A technology is looked up by name, and its parts are imported when they are asked for: the core
needs its primitives only, a build all of it, the compiler nothing.  To add one: a folder here with
an object ``TECHNOLOGY``, and its name in :data:`hw.contract.config.TECHNOLOGIES`.
"""

import importlib

from hw.contract.config import TECHNOLOGIES
from hw.technology.base import Flow, Technology, TechnologyError

__all__ = ["Flow", "Technology", "TechnologyError", "get"]


def get(name: str) -> Technology:
    """Return a technology by name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in TECHNOLOGIES:
        raise ValueError(f"technology must be one of {', '.join(TECHNOLOGIES)}, not {name!r}")
    technology: Technology = importlib.import_module(f"hw.technology.{name}").TECHNOLOGY
    return technology
