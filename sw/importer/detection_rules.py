"""Constraints on TFLite_Detection_PostProcess; see :mod:`sw.importer.constraints`."""

from __future__ import annotations

import math

from sw.importer.detection import PARTS
from sw.importer.operands import describe
from sw.importer.read import RawOperator

MAX_LINES = 1 << 16


def four_outputs(op: RawOperator) -> str | None:
    """A TFLite_Detection_PostProcess must have four outputs: boxes, classes, scores and their
    number; the file is inconsistent, convert it again."""
    return None if len(op.outputs) == len(PARTS) else f"it has {len(op.outputs)}"


def detection_types_fit(op: RawOperator) -> str | None:
    """A TFLite_Detection_PostProcess must have boxes and anchors of one type and scores that are
    uint8 or float32, and outputs in float32; put a DEQUANTIZE behind int8 boxes and scores, as
    TensorFlow Lite's converter does."""
    boxes, scores, anchors = (op.operand(i) for i in range(3))
    for tensor in (boxes, scores):
        if tensor.dtype not in ("uint8", "float32"):
            return f"{describe(tensor)} is {tensor.dtype}"
    if anchors.dtype != boxes.dtype:
        return f"boxes are {boxes.dtype}, anchors {anchors.dtype}"
    wrong = [tensor for tensor in op.outputs if tensor.dtype != "float32"]
    return f"{describe(wrong[0])} is {wrong[0].dtype}" if wrong else None


def detection_shapes_fit(op: RawOperator) -> str | None:
    """A TFLite_Detection_PostProcess must have boxes [1, N, 4 or more], scores [1, N, classes,
    perhaps one more for the background] and anchors [N, 4]; export the model with batch size 1."""
    boxes, scores, anchors = (op.operand(i).shape for i in range(3))
    found = f"{list(boxes)}, {list(scores)} and {list(anchors)} with {op.options.classes} classes"
    if len(boxes) != 3 or len(scores) != 3 or boxes[0] != 1 or boxes[2] < 4:
        return found
    count, classes = boxes[1], op.options.classes
    fits = scores[:2] == (1, count) and anchors == (count, 4)
    return None if fits and scores[2] - classes in (0, 1) else found


def detection_numbers_fit(op: RawOperator) -> str | None:
    """A TFLite_Detection_PostProcess must have at least one class and one detection, at most 65536
    detections × classes of each, an overlap above 0 and at most 1, a finite threshold, and scales
    that are finite and not 0; export the model again."""
    o = op.options
    counts = (o.detections, o.classes_each, o.classes, 1 if o.per_class is None else o.per_class)
    fits = min(counts) > 0 and o.lines <= MAX_LINES and 0 < o.overlap <= 1
    fits = fits and math.isfinite(o.score) and all(math.isfinite(s) and s for s in o.scales)
    return None if fits else f"{counts}, {o.overlap:g}, {o.score:g}, {list(o.scales)}"
