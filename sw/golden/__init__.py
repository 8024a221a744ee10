"""Golden model: what every tensor must be, in plain NumPy.

- :mod:`sw.golden.primitives`: fixed-point arithmetic, one function per hardware block;
- :mod:`sw.golden.kernels`: layers on plain arrays;
- :mod:`sw.golden.params`: multipliers, shifts and clamps of a graph's operators;
- :mod:`sw.golden.arguments`: all that a kernel is given besides arrays;
- :mod:`sw.golden.rounding`: integers for the one kernel that the reference computes in float64;
- :mod:`sw.golden.model`: whole networks.
"""

from sw.golden.arguments import arguments
from sw.golden.detection import written
from sw.golden.model import check_input, compute, inputs_of, run
from sw.golden.params import (
    accumulator_range,
    activation_range,
    requantisation,
    requantize_params,
)

__all__ = [
    "accumulator_range",
    "activation_range",
    "arguments",
    "check_input",
    "compute",
    "inputs_of",
    "requantisation",
    "requantize_params",
    "run",
    "written",
]
