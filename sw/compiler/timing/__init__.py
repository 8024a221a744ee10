"""Timing: the cycles of a program, exactly, with the program's words and the host's."""

from sw.compiler.timing.arrivals import BUS_PACE
from sw.compiler.timing.core import DescriptorTiming, Traffic
from sw.compiler.timing.cycles import (
    by_layer,
    descriptor_timings,
    predict,
    predict_plan,
    traffic,
)

__all__ = [
    "BUS_PACE", "DescriptorTiming", "Traffic", "by_layer", "descriptor_timings", "predict",
    "predict_plan", "traffic",
]
