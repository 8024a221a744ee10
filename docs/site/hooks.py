"""Pages that are not in ``docs``: README, CONTRIBUTING and CHANGELOG, and one of every module."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("separable", "hw", "sw", "sim", "boards", "common")
COPIES = {
    "README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md",
}
"""Files of the root, and their pages."""

LINK = re.compile(r"\]\((?!\w+:|#)([^)#]+)")


def modules() -> list[Path]:
    """Return the modules that are worth a page, from the root, in order."""
    paths = (path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
    return sorted(
        path.relative_to(ROOT) for path in paths
        if path.name != "__init__.py" or ast.get_docstring(ast.parse(path.read_text()))
    )


def page_of(module: Path) -> str:
    """Return the page of a module, from the site's root."""
    name = "index.md" if module.name == "__init__.py" else f"{module.stem}.md"
    return f"reference/{module.parent.as_posix()}/{name}"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the navigation."""
    assert config.nav is not None
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    _fill(config.nav, "Decisions", [f"decisions/{path.name}" for path in decisions])
    _fill(config.nav, "Modules", _navigation(modules()))
    return config


def _fill(nav: list[Any], title: str, pages: list[Any]) -> None:
    """Put pages where the navigation has an empty section of a title."""
    for entry in nav:
        for name, inner in entry.items() if isinstance(entry, dict) else ():
            if name == title and not inner:
                entry[name] = pages
            elif isinstance(inner, list):
                _fill(inner, title, pages)


def _navigation(paths: list[Path]) -> list[Any]:
    """Return a section a package, and a page a module."""
    tree: dict[str, Any] = {}
    for path in paths:
        section = tree
        for part in path.parent.parts:
            section = section.setdefault(part, {})
        section[path.stem] = page_of(path)
    return _listed(tree)


def _listed(tree: dict[str, Any]) -> list[Any]:
    # The page of the package itself comes first, and has no name of its own.
    first = [tree["__init__"]] if "__init__" in tree else []
    return first + [
        {name: _listed(value) if isinstance(value, dict) else value}
        for name, value in tree.items() if name != "__init__"
    ]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for source, page in COPIES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    for path in modules():
        name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        files.append(File.generated(config, page_of(path), content=f"::: {name}\n"))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links from a file to another lead to their pages."""
    uri = page.file.src_uri
    source = {copy: name for name, copy in COPIES.items()}.get(uri, f"docs/{uri}")

    def changed(match: re.Match[str]) -> str:
        target = os.path.normpath(os.path.join(os.path.dirname(source), match[1]))
        if target in COPIES:
            found = COPIES[target]
        elif target.endswith(".py"):
            found = page_of(Path(target))
        else:
            found = target.removeprefix("docs/")
        return "](" + os.path.relpath(found, os.path.dirname(uri) or ".")

    return markdown if uri.startswith("reference/") else LINK.sub(changed, markdown)
