"""What detection networks end with: boxes, decoded from anchors, and the best of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from sw.ir.bases import Op
from sw.ir.tensors import Shape

__all__ = ["Detection", "DetectionPart", "Suppression"]

DetectionPart: TypeAlias = Literal["boxes", "classes", "scores", "count"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """Settings of a choice among boxes that overlap.

    Attributes
    ----------
    detections : int
        Most boxes that are chosen.
    classes_each : int
        Classes that are told of a chosen box; each takes a line of the outputs.
    classes : int
        Without the background, which the scores may have in front.
    per_class : int or None
        Boxes are chosen for each class by itself, at most so many; ``None``: by the best class of
        each box.
    score : float
        Least score of a box.
    overlap : float
        Greatest intersection over union with a better box.
    scales : (y, x, height, width)
        That box encodings are divided by.
    """

    detections: int
    classes_each: int
    classes: int
    per_class: int | None
    score: float
    overlap: float
    scales: tuple[float, float, float, float]

    @property
    def lines(self) -> int:
        """Lines of the outputs: detections, each as often as it has classes."""
        return self.detections * self.classes_each

    def shape(self, part: DetectionPart) -> Shape:
        """Return the shape of one of the outputs."""
        if part == "count":
            return (1,)
        return (1, self.lines, 4) if part == "boxes" else (1, self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection(Op):
    """One output of TFLite_Detection_PostProcess, in float32.

    ``boxes`` are (1, N, at least 4), ``scores`` (1, N, classes and perhaps the background),
    ``anchors`` (N, 4), each y, x, height, width.  The four outputs of an operator of the file are
    four of these: the corners (top, left, bottom, right), the classes and the scores of what is
    chosen, and its number.
    """

    kind: ClassVar[str] = "TFLite_Detection_PostProcess"
    boxes: int
    scores: int
    anchors: int
    part: DetectionPart
    suppression: Suppression

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.boxes, self.scores, self.anchors)
