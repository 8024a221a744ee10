"""References of docstrings (``:class:`Core```) become links; what they name has to exist."""

from __future__ import annotations

import re
from typing import Any

import griffe
from griffe import Extension, Module, Object

logger = griffe.get_logger("roles")

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
        root = obj.package.path
        if name.split(".")[0] == root:
            target = name
        else:
            try:
                target = obj.resolve(name)
            except griffe.NameResolutionError:
                # Of another package of ours, or of somebody else's.
                return f"`{name}`"
        return f"[`{name}`][{target}]"
