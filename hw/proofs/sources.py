"""Modules of blocks as they are, or with one deliberate mistake in their source."""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

__all__ = ["Fault", "Sources"]


@dataclass(frozen=True)
class Fault:
    """A mistake that a proof has to find.

    Attributes
    ----------
    name : str
        What goes wrong, in some words.
    module : str
        Where it is made, such as ``hw.program.ring``.
    old, new : str
        Text of the module, which is there exactly once, and what stands there instead.
    """

    name: str
    module: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """Return the module's text with the mistake.

        Raises
        ------
        ValueError
            If the old text is not there exactly once.
        """
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.name}: {self.module} has {self.old!r} {found} times, not once")
        return text.replace(self.old, self.new)


class Sources:
    """Where a harness takes its blocks from.

    Parameters
    ----------
    fault : Fault, optional
        The mistake in one of them.
    """

    def __init__(self, fault: Fault | None = None):
        self.fault = fault
        self.used: set[str] = set()

    def get(self, module: str) -> ModuleType:
        """Return a module by its name, with the mistake if that is in it."""
        self.used.add(module)
        if self.fault is None or self.fault.module != module:
            return importlib.import_module(module)
        spec = importlib.util.find_spec(module)
        assert spec is not None and spec.origin is not None
        text = self.fault.apply(Path(spec.origin).read_text(encoding="utf-8"))
        # Under its own name, which data classes look up; nobody else imports this one.
        changed = ModuleType(module)
        exec(compile(text, f"{module}, {self.fault.name}", "exec"), changed.__dict__)
        return changed
