"""Rules that the device's operators keep, and why operators cannot be the device's.

A rule is said once, beside the check that enforces it, and its sentence is all that users get to
read of it: in errors, in what is said of the host's operators, and in the list of supported
operators (:mod:`sw.compiler.rules`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from common.errors import UnsupportedError

__all__ = ["Refused", "Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Rule that an operator has to keep to be the device's.

    Attributes
    ----------
    text : str
        What has to be, without numbers that the core's configuration decides.
    remedy : str
        What to do where it is not.
    """

    text: str
    remedy: str

    @property
    def sentence(self) -> str:
        """The rule and what to do, as one line without the full stop."""
        return f"{self.text}; {self.remedy}"

    def broken(self, found: str) -> str:
        """Return the rule with what was found instead."""
        return f"{self.sentence} (here {found})"

    def error(self, where: str, found: str) -> UnsupportedError:
        """Return the error for an operator that is named by the caller."""
        return UnsupportedError(f"{where}: {self.broken(found)}")


class Refused(UnsupportedError):
    """Operators that the device cannot run.

    Parameters
    ----------
    rules : mapping
        By the operators' names: rule, remedy and what was found.
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
