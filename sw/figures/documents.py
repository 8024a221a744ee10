"""The documents and the figures in them.

Tables stand between markers, ``<!-- figures: NAME -->`` and ``<!-- end -->``.  Figures in sentences
are named in :mod:`sw.figures.claims`, and so are numbers that look like a measurement and are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from common.errors import InputError
from common.files import write_text
from sw.figures.claims import CLAIMS, OTHERS
from sw.figures.store import FILE, ROOT, Figures, lookup
from sw.figures.tables import TABLES

__all__ = ["check", "documents", "render", "unclaimed", "write_documents"]

BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(\n<!-- end -->)", flags=re.DOTALL)
FIELD = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")
NUMBER = r"(-?\d+(?:,\d{3})*(?:\.\d+)?)"
MEASURED = re.compile(
    r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+"
    r"|\d+(?:\.\d+)?(?:\s?(?:%|MHz|ms|KB|MB)|\s(?:cycles|(?:logic )?cells|inferences|frames/s"
    r"|seconds|s of|per second)))(?!\w)")
"""What looks like a measurement: large numbers, and numbers with such a unit."""


def documents(root: Path = ROOT) -> list[str]:
    """Return the names of the documents that figures are in."""
    return ["README.md", *sorted(f"docs/{path.name}" for path in (root / "docs").glob("*.md"))]


def _literal(text: str) -> str:
    """Return a pattern for text, whose lines may break anywhere."""
    return r"\s+".join(re.escape(word) for word in re.split(r"\s+", text))


def _pattern(claim: str) -> re.Pattern[str]:
    parts = FIELD.split(claim)
    pattern = _literal(parts[0])
    for literal in parts[3::3]:
        pattern += NUMBER + _literal(literal)
    return re.compile(pattern)


def _values(claim: str, figures: Figures) -> list[str]:
    """Return the numbers of a sentence as text; of per cent without the sign."""
    return [format(lookup(figures, key), form or "").removesuffix("%")
            for key, form in FIELD.findall(claim)]


def render(document: str, text: str, figures: Figures) -> str:
    """Return a document's text with the figures that it should have.

    Raises
    ------
    InputError
        If it has no such sentence or table.
    """

    def table(match: re.Match[str]) -> str:
        if match[2] not in TABLES:
            raise InputError(f"{document}: there is no table {match[2]!r}; there are "
                             f"{', '.join(TABLES)} (sw/figures/tables.py)")
        return f"{match[1]}\n{TABLES[match[2]](figures)}\n{match[3]}"

    text = BLOCK.sub(table, text)
    for claim in CLAIMS.get(document, ()):
        matches = list(_pattern(claim).finditer(text))
        if not matches:
            raise InputError(f"{document}: there is no sentence {claim!r}; mend it or "
                             "sw/figures/claims.py")
        for match in reversed(matches):
            for number, value in reversed(list(enumerate(_values(claim, figures), 1))):
                text = text[: match.start(number)] + value + text[match.end(number) :]
    return text


def unclaimed(document: str, text: str) -> Iterator[str]:
    """Yield what looks like a measurement and is neither a figure nor said to be something else."""
    others = OTHERS.get(document, {})
    if "" in others:
        return
    spans = [match.span() for match in BLOCK.finditer(text)]
    for claim in CLAIMS.get(document, ()):
        spans += [match.span() for match in _pattern(claim).finditer(text)]
    for snippet in others:
        found = [match.span() for match in re.finditer(_literal(snippet), text)]
        if not found:
            yield f"{document}: {snippet!r} is gone; take it out of sw/figures/claims.py"
        spans += found
    for match in MEASURED.finditer(text):
        if not any(start <= match.start() < end for start, end in spans):
            line = text.count("\n", 0, match.start()) + 1
            yield (f"{document}:{line}: {' '.join(match[0].split())!r} is no figure of {FILE}; "
                   "name it in sw/figures/claims.py")


def check(figures: Figures, root: Path = ROOT) -> Iterator[str]:
    """Yield a line for each figure of the documents that is not the file's."""
    for document in documents(root):
        text = (root / document).read_text("utf-8")
        wanted = render(document, text, figures)
        for number, (old, new) in enumerate(_lines(text, wanted), 1):
            if old != new:
                yield f"{document}:{number}: {old.strip()!r} should be {new.strip()!r}"
        yield from unclaimed(document, text)


def _lines(old: str, new: str) -> Iterator[tuple[str, str]]:
    a, b = old.split("\n"), new.split("\n")
    length = max(len(a), len(b))
    yield from zip(a + [""] * (length - len(a)), b + [""] * (length - len(b)), strict=True)


def write_documents(figures: Figures, root: Path = ROOT) -> list[str]:
    """Write the figures into the documents; returns those that changed."""
    changed = []
    for document in documents(root):
        path = root / document
        text = path.read_text("utf-8")
        wanted = render(document, text, figures)
        if wanted != text:
            write_text(path, wanted)
            changed.append(document)
    return changed
