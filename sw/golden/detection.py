"""TFLite_Detection_PostProcess: boxes from anchors, and the best of those that overlap.

``detection_postprocess.cc``.  Corners and scores are float32.  The reference takes ``exp`` of
float64 from the C library, whose last bit differs from one to the next; here a size has to be the
same float32 whatever that bit is, or is refused.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.arrays import Array, Ints
from sw.golden.floats import dequantize
from sw.ir import DetectionPart, Suppression

__all__ = ["detection", "written"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

EXP_ERROR = 2
"""Units in the last place between two ``exp`` of float64: each is less than one off."""


def detection(
    boxes: Array | Floats,
    scores: Array | Floats,
    anchors: Array | Floats,
    *,
    quantizations: tuple[tuple[float, int] | None, ...],
    suppression: Suppression,
    part: DetectionPart,
) -> Floats:
    """Decode boxes, and choose the best.

    Parameters
    ----------
    boxes : (1, N, K) uint8 or float32
        Encodings; the first four are y, x, height and width.
    scores : (1, N, C) uint8 or float32
    anchors : (N, 4) uint8 or float32
    quantizations : three of (scale, zero point), or None where numbers are float32
        Of boxes, scores and anchors.
    suppression : Suppression
    part : {"boxes", "classes", "scores", "count"}
        What is returned of the chosen boxes.

    Returns
    -------
    float32
        Lines that no detection fills are 0, also where the reference leaves what was there
        before (:func:`written`).

    Raises
    ------
    OverflowError
        If the result depends on the C library, or the reference refuses a box.
    """
    encoded, rated, placed = (
        _real(x, q) for x, q in zip((boxes, scores, anchors), quantizations, strict=True)
    )
    corners = _corners(encoded[0, :, :4], placed, suppression.scales)
    # The background, if there is one, is in front.
    rated = rated[0, :, rated.shape[2] - suppression.classes :]
    if np.isnan(rated).any():
        raise OverflowError("a score is no number")
    choose = _by_best_class if suppression.per_class is None else _by_each_class
    rows, classes, count = choose(rated, corners, suppression)
    result = np.zeros(suppression.shape(part), np.float32)
    if part == "count":
        result[0] = count
        return result
    lines = np.flatnonzero(rows >= 0)
    rows, classes = rows[lines], classes[lines]
    match part:
        case "boxes":
            result[0, lines] = corners[rows]
        case "classes":
            result[0, lines] = classes
        case "scores":
            result[0, lines] = rated[rows, classes]
    return result


def written(
    suppression: Suppression, part: DetectionPart, count: int
) -> npt.NDArray[np.bool_]:
    """Return which elements of an output the reference writes.

    Parameters
    ----------
    suppression : Suppression
    part : {"boxes", "classes", "scores", "count"}
    count : int
        Of chosen boxes.

    Returns
    -------
    bool
        Of the output's shape.
    """
    result = np.ones(suppression.shape(part), np.bool_)
    if part == "count":
        return result
    line, column = np.divmod(np.arange(suppression.lines), suppression.classes_each)
    if suppression.per_class is None:
        result[0, (line >= count) | (column >= suppression.classes)] = False
    else:
        result[0, suppression.detections :] = False
    return result


def _real(x: Array | Floats, quantization: tuple[float, int] | None) -> Floats:
    if quantization is None:
        return x.astype(np.float32)
    return dequantize(x.astype(np.uint8), scale=quantization[0], zero_point=quantization[1])


def _corners(boxes: Floats, anchors: Floats, scales: tuple[float, ...]) -> Floats:
    """Return (top, left, bottom, right) of every box; ``DecodeCenterSizeBoxes``."""
    box, anchor = boxes.astype(np.float64), anchors.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        centre = (box[:, :2] / scales[:2] * anchor[:, 2:] + anchor[:, :2]).astype(np.float32)
        half = _half_sizes(box[:, 2:] / scales[2:], anchor[:, 2:])
        corners = np.concatenate([centre - half, centre + half], axis=1)
    if not np.isfinite(corners).all():
        raise OverflowError("a corner of a box is no finite number")
    if np.any(corners[:, :2] > corners[:, 2:]):
        raise OverflowError("a box has its corners the wrong way round")
    return corners


def _half_sizes(size: Doubles, anchor: Doubles) -> Floats:
    """Return half the height and width of every box."""
    exponential = np.exp(size)
    off = EXP_ERROR * np.spacing(exponential)
    half, least, greatest = (
        (0.5 * e * anchor).astype(np.float32)
        for e in (exponential, exponential - off, exponential + off)
    )
    if not np.array_equal(least, greatest) and np.isfinite(half).all():
        raise OverflowError("the size of a box depends on the C library's last bit")
    return half


def _areas(corners: Floats) -> Floats:
    return (corners[..., 2] - corners[..., 0]) * (corners[..., 3] - corners[..., 1])


def _overlaps(corners: Floats, box: Floats) -> Floats:
    """Return intersection over union with a box; ``ComputeIntersectionOverUnion``."""
    zero = np.float32(0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        sides = np.minimum(corners[:, 2:], box[2:]) - np.maximum(corners[:, :2], box[:2])
        common = np.maximum(sides[:, 0], zero) * np.maximum(sides[:, 1], zero)
        areas, area = _areas(corners), _areas(box)
        # The order of the sum is the reference's, whose better box comes first.
        overlap = common / (area + areas - common)
    return np.where((areas <= 0) | (area <= 0), zero, overlap)


def _suppressed(scores: Floats, corners: Floats, suppression: Suppression, most: int) -> Ints:
    """Return the boxes that no better one overlaps, the best first.

    Notes
    -----
    ``NonMaxSuppressionSingleClassHelper``, with its stable sort.
    """
    kept = np.flatnonzero(scores >= np.float32(suppression.score))
    left = kept[np.argsort(-scores[kept], kind="stable")]
    chosen: list[int] = []
    while left.size and len(chosen) < most:
        best, left = left[0], left[1:]
        chosen.append(int(best))
        overlaps = _overlaps(corners[left], corners[best])
        left = left[~(overlaps > np.float32(suppression.overlap))]
    return np.array(chosen, np.int64)


def _highest(values: Floats, count: int) -> Ints:
    """Return the positions of the highest values in their order; ``DecreasingPartialArgSort``.

    Raises
    ------
    OverflowError
        If equal values leave the order to the C++ library's ``partial_sort``.
    """
    order = np.argsort(-values, kind="stable")
    ranked = values[order[: count + 1]]
    # Of one value the reference takes the first; there is no order then.
    if count > 1 and np.any(ranked[1:] == ranked[:-1]):
        raise OverflowError("scores that are sorted by partial_sort are equal")
    return order[:count]


def _by_best_class(
    scores: Floats, corners: Floats, suppression: Suppression
) -> tuple[Ints, Ints, int]:
    """Return box and class of every line (−1 where there is none) and the number of boxes.

    Notes
    -----
    ``NonMaxSuppressionMultiClassFastHelper``.
    """
    boxes = _suppressed(scores.max(axis=1), corners, suppression, suppression.detections)
    each = suppression.classes_each
    rows, classes = np.full((2, len(boxes), each), -1, np.int64)
    count = min(each, suppression.classes)
    for line, box in enumerate(boxes):
        rows[line, :count] = box
        classes[line, :count] = _highest(scores[box], count)
    return rows.reshape(-1), classes.reshape(-1), len(boxes)


def _by_each_class(
    scores: Floats, corners: Floats, suppression: Suppression
) -> tuple[Ints, Ints, int]:
    """Return the same; ``NonMaxSuppressionMultiClassRegularHelper``."""
    rows = classes = np.zeros(0, np.int64)
    for number in range(suppression.classes):
        found = _suppressed(
            scores[:, number], corners, suppression, suppression.per_class or 0
        )
        rows = np.concatenate([rows, found])
        classes = np.concatenate([classes, np.full(len(found), number)])
        order = _highest(scores[rows, classes], min(len(rows), suppression.detections))
        rows, classes = rows[order], classes[order]
    return rows, classes, len(rows)
