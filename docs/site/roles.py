"""References of docstrings (``:class:`Core```) become links; what they name has to exist."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import griffe
from griffe import Extension, Module, Object

PACKAGES = ("boards", "common", "hw", "sim", "sw")

ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([\w.]+)`")


class Roles(Extension):
    """Rewrites the docstrings of a package, once all of it is loaded."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """See the class."""
        self._visit(pkg)

    def _visit(self, obj: Object) -> None:
        if obj.docstring:
            obj.docstring.value = ROLE.sub(
                lambda match: self._link(obj, match[1]), obj.docstring.value
            )
        for member in obj.members.values():
            if isinstance(member, Object):
                self._visit(member)

    def _link(self, obj: Object, name: str) -> str:
        target = name
        if name.split(".")[0] not in PACKAGES:
            with suppress(griffe.NameResolutionError):
                target = obj.resolve(name)
        # Others' are names, no links.
        return f"[`{name}`][{target}]" if target.split(".")[0] in PACKAGES else f"`{name}`"
