"""Drawing of SVG: shapes, texts, and colours that do on light and on dark pages."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

__all__ = ["STYLE", "Box", "Drawing"]

Box = tuple[float, float, float, float]
"""Left, top, width, height."""

STYLE = """
svg text { font: 12px system-ui, sans-serif; fill: #1f2328; }
svg .faint { fill: #59636e; }
svg .strong { font-weight: 600; }
svg .inside { font-size: 10px; fill: #fff; pointer-events: none; }
svg .ruler { fill: none; stroke: #8c959f; stroke-width: 1; }
svg .back { fill: #8c959f; fill-opacity: 0.12; }
svg .even { fill: #8c959f; fill-opacity: 0.28; }
svg .odd { fill: #8c959f; fill-opacity: 0.5; }
svg .ring { fill: #8c959f; fill-opacity: 0.25; }
svg .place { fill-opacity: 0.82; stroke: #fff; stroke-opacity: 0.7; stroke-width: 0.6; }
svg .rows { fill-opacity: 0.82; shape-rendering: crispEdges; }
svg .asks { fill: #000; fill-opacity: 0; }
svg .asks:hover { fill: #8c959f; fill-opacity: 0.25; }
svg .paths { shape-rendering: crispEdges; }
@media (prefers-color-scheme: dark) {
  svg text { fill: #e6edf3; }
  svg .faint { fill: #9198a1; }
  svg .place { stroke: #0d1117; }
}
"""


class Drawing:
    """A picture, drawn from top to bottom.

    Parameters
    ----------
    width : float
        Of the picture, in its own units.
    title : str
        What it is called where it cannot be seen.
    """

    def __init__(self, width: float, title: str) -> None:
        self.width = width
        self.height = 0.0
        self._root = ElementTree.Element("svg", {
            "xmlns": "http://www.w3.org/2000/svg", "role": "img", "aria-label": title})

    def text(
        self, x: float, y: float, words: str, *, kind: str = "", anchor: str = "start"
    ) -> None:
        """Write words, ``y`` being the line that they stand on."""
        element = self._add("text", x=x, y=y)
        element.text = words
        if kind:
            element.set("class", kind)
        if anchor != "start":
            element.set("text-anchor", anchor)

    def boxes(
        self, boxes: Iterable[Box], *, fill: str = "", kind: str = "", title: str = ""
    ) -> None:
        """Draw rectangles of one colour as one shape; nothing if there are none."""
        parts = [
            f"M{_short(x)} {_short(y)}h{_short(width)}v{_short(height)}h{_short(-width)}z"
            for x, y, width, height in boxes
        ]
        if not parts:
            return
        element = self._add("path", d="".join(parts))
        if fill:
            element.set("fill", fill)
        element.set("class", kind or "paths")
        if title:
            ElementTree.SubElement(element, "title").text = title

    def line(self, x: float, y: float, length: float, *, down: bool = False) -> None:
        """Draw a line to the right, or down."""
        way = "v" if down else "h"
        self._add("path", d=f"M{_short(x)} {_short(y)}{way}{_short(length)}").set("class", "ruler")

    def _add(self, name: str, **attributes: float | str) -> ElementTree.Element:
        texts = {key: value if isinstance(value, str) else _short(value)
                 for key, value in attributes.items()}
        return ElementTree.SubElement(self._root, name, texts)

    def svg(self, *, style: bool) -> str:
        """Return the picture, with its colours if it is to stand alone."""
        self._root.set("viewBox", f"0 0 {_short(self.width)} {_short(self.height)}")
        root = self._root
        if style:
            root = ElementTree.Element(root.tag, {
                **root.attrib, "width": _short(self.width), "height": _short(self.height)})
            ElementTree.SubElement(root, "style").text = STYLE
            root.extend(self._root)
        return ElementTree.tostring(root, encoding="unicode")


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"
