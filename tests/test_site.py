"""The documentation as a site: every page has its place, and every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").glob("*.md"))
DOCUMENTS = [
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{page}" for page in PAGES),
    *(f"docs/decisions/{path.name}" for path in sorted((ROOT / "docs/decisions").glob("*.md"))),
]
COPIES = {"index.md", "contributing.md", "changelog.md"}
"""Pages of the site that are other files of the repository."""

NAVIGATION = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:\n")[1].split("\n\n")[0]
STORIES = ["Separable", "First run", "Your first board", "Your own network", "Your own board",
           "How it works", "Reference"]
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(path: Path) -> set[str]:
    """Return what the headings of a page are called in addresses."""
    heads = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), flags=re.M)
    words = (re.sub(r"[^\w\s-]", "", head).strip().lower() for head in heads)
    return {re.sub(r"[\s]+", "-", word) for word in words}


def test_every_page_is_in_the_navigation() -> None:
    named = re.findall(r"([\w-]+\.md)$", NAVIGATION, flags=re.M)
    assert len(named) == len(set(named))
    assert set(named) == {*PAGES, *COPIES}


def test_the_stories_are_in_order() -> None:
    assert re.findall(r"^  - ([^:\n]+):", NAVIGATION, flags=re.M) == STORIES


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_linked(page: str) -> None:
    """From another page, besides the navigation."""
    target = ROOT / "docs" / page
    others = [ROOT / name for name in DOCUMENTS if ROOT / name != target]
    linked = {
        (other.parent / link).resolve()
        for other in others for link, _ in LINK.findall(other.read_text("utf-8")) if link
    }
    assert target in linked


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for link, anchor in LINK.findall(path.read_text("utf-8")):
        target = (path.parent / link).resolve() if link else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), f"{link}#{anchor}"
