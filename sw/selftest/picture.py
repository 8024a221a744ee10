"""Picture of the eye: every tap of the capture clock, and how much was wrong there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from common.drawing import Drawing

__all__ = ["picture"]

LEFT, TOP, ROW, BAR = 190.0, 64.0, 30.0, 420.0
CLEAN, WRONG = "#009e73", "#d55e00"


def picture(eye: Mapping[str, Any], *, title: str) -> str:
    """Return the eye as SVG.

    Parameters
    ----------
    eye : mapping
        The stage's data (:func:`sw.selftest.flash.eye`).
    title : str
    """
    drawing = Drawing(LEFT + BAR + 250, title)
    drawing.text(14, 24, title, kind="strong")
    drawing.text(14, 44, f"{eye['bytes']:,} bytes, read {eye['reads']} times at each tap; bars: "
                 "sections with a wrong checksum, logarithmic", kind="faint")
    taps = eye["taps"]
    drawing.height = TOP + ROW * len(taps) + 20
    for number, tap in enumerate(taps):
        y = TOP + ROW * number
        late = "" if tap["delay_ns"] is None else f", {tap['delay_ns']:.2f} ns"
        mine = " (the core's)" if number == eye["chosen"] else ""
        drawing.text(14, y + 17, f"tap {number}{late}{mine}", kind="strong" if mine else "")
        drawing.boxes([(LEFT, y + 3, BAR, ROW - 8)], kind="back")
        wrong, sections = tap["sections_wrong"], tap["sections"]
        if not wrong and not tap["halfwords_wrong"]:
            drawing.boxes([(LEFT, y + 3, 8, ROW - 8)], fill=CLEAN, title="clean")
            drawing.text(LEFT + BAR + 12, y + 17, "clean")
            continue
        share = math.log(1 + wrong) / math.log(1 + sections)
        drawing.boxes([(LEFT, y + 3, max(BAR * share, 8.0), ROW - 8)], fill=WRONG,
                      title=", ".join(tap["lines"]))
        drawing.text(LEFT + BAR + 12, y + 17, f"{wrong:,} of {sections:,} wrong")
    return drawing.svg(style=True) + "\n"
