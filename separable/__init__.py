"""Separable: int8 accelerators for small FPGAs, from Python.

::

    import separable

    net = separable.compile("net.tflite", "icebreaker")
    out = net.run("cat.png")

What is here is :mod:`sw.api`'s, imported when it is asked for: this folder is thin, and so is what
the command ``separable`` has to import before it says its version.  (A folder and not a file, since
types of a single file are not seen by those who use it.)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sw.api import (
        Board,
        Class,
        Difference,
        Network,
        Outputs,
        Result,
        SeparableError,
        board,
        compile,
        load,
    )

    __version__: str
    """The version that is installed; ``unknown`` if none is."""

__all__ = [
    "Board",
    "Class",
    "Difference",
    "Network",
    "Outputs",
    "Result",
    "SeparableError",
    "board",
    "compile",
    "load",
]


if not TYPE_CHECKING:
    # A type checker would take any name.

    def __getattr__(name: str) -> object:
        """Return what ``__all__`` names, and the version."""
        if name == "__version__":
            from common.tool import version

            return version()
        if name not in __all__:
            raise AttributeError(f"module 'separable' has no attribute {name!r}")
        from sw import api

        return getattr(api, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
