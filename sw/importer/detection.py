"""Options of TFLite_Detection_PostProcess in the file."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from common.errors import ModelFormatError
from sw.ir import DetectionPart, Suppression

__all__ = ["PARTS", "detection_options"]

PARTS: tuple[DetectionPart, ...] = ("boxes", "classes", "scores", "count")
"""What the outputs are, in the file's order."""

DETECTIONS_PER_CLASS = 100
"""Where the file does not say."""


def _number(options: Any, name: str, default: float = 0) -> float:
    """Return an option; one that is missing is what the reference takes it for."""
    try:
        value = options[name]
    except KeyError:
        return default
    if value.IsBool or value.IsInt:
        return int(value.AsInt)
    if not value.IsFloat:
        raise ValueError(f"{name} is no number")
    return float(value.AsFloat)


def _integer(options: Any, name: str, default: int = 0) -> int:
    value = _number(options, name, default)
    if not isinstance(value, int) or abs(value) >= 1 << 31:
        raise ValueError(f"{name} is no integer of 32 bits")
    return value


def _float(options: Any, name: str) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(_number(options, name)))


def detection_options(data: bytes, where: str) -> Suppression:
    """Read the operator's options.

    Parameters
    ----------
    data : bytes
        A map as a flexbuffer.
    where : str
        How messages call the operator.

    Raises
    ------
    ModelFormatError
        If they are damaged.
    """
    try:
        options = flexbuffers.GetRoot(data).AsMap
        regular = _integer(options, "use_regular_nms")
        per_class = _integer(options, "detections_per_class", DETECTIONS_PER_CLASS)
        y, x, height, width = (_float(options, f"{name}_scale") for name in "yxhw")
        return Suppression(
            detections=_integer(options, "max_detections"),
            classes_each=_integer(options, "max_classes_per_detection"),
            classes=_integer(options, "num_classes"),
            per_class=per_class if regular else None,
            score=_float(options, "nms_score_threshold"),
            overlap=_float(options, "nms_iou_threshold"),
            scales=(y, x, height, width),
        )
    except (struct.error, ValueError, TypeError, LookupError, OverflowError) as error:
        raise ModelFormatError(f"{where} has damaged options ({error})") from None
