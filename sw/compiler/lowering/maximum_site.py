"""Sites of maxima."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Ints
from sw import ir
from sw.compiler.lowering.site import Site

__all__ = ["MaximumSite"]


@dataclass(frozen=True, kw_only=True, eq=False)
class MaximumSite(Site):
    """Maximum over windows of an image."""

    op: ir.MaxPool2D

    def _output_range(self) -> Ints:
        (known,), output = self.ranges, self.requantisation
        return np.asarray(np.clip(known, output.act_min, output.act_max))
