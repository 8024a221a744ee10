"""Refusals: why operators cannot be the device's, by operator, so that the host can have them."""

from __future__ import annotations

from collections.abc import Mapping

from common.errors import UnsupportedError

__all__ = ["Refused"]


class Refused(UnsupportedError):
    """Operators that the device cannot run.

    Parameters
    ----------
    rules : mapping
        By the operators' names: rule and remedy.
    where : str
        What the message says in front of the first of them.

    Attributes
    ----------
    rules : dict
    where : str
    """

    def __init__(self, rules: Mapping[str, str], where: str = "") -> None:
        first = next(iter(rules.values()))
        super().__init__(f"{where}: {first}" if where else first)
        self.rules = dict(rules)
        self.where = where

    def within(self, name: str) -> Refused:
        """Return the refusal with a name in front of its message."""
        return Refused(self.rules, f"{name}: {self.where}" if self.where else name)
