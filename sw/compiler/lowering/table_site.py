"""Sites of operators whose outputs each follow from one integer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from common.arrays import Ints
from sw import golden
from sw.compiler.exact.tables import TableCodes, find_table_codes
from sw.compiler.graph.operands import activations
from sw.compiler.graph.partition import offset, zero_point
from sw.compiler.graph.refusals import Rule
from sw.compiler.lowering.site import Site

__all__ = ["OUTPUTS_FOUND", "TableSite"]


OUTPUTS_FOUND = Rule(
    "The core must have integers that give the reference's output for every input, in each channel",
    "change the output's scale slightly",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TableSite(Site):
    """QUANTIZE, and sums and products with constants; see :mod:`sw.compiler.graph.operands`."""

    @cached_property
    def tables(self) -> Ints:
        """The outputs, as int8, of all int8 in each channel of a pixel, (C, 256) int64.

        Raises
        ------
        UnsupportedError
            If the reference is undefined for one of them.
        """
        (index,) = activations(self.graph, self.op)
        x, y = self.view.tensor, self.output_tensor
        # An image of 256 pixels, each with one integer in all channels.
        shape = 256, self.view.channels
        tensors = list(self.graph.tensors)
        for tensor in (x, y):
            tensors[tensor.index] = replace(tensor, shape=shape)
        values = np.arange(-128, 128)[:, None] + offset(x)
        pixels = np.broadcast_to(values, shape).astype(x.dtype)
        operands = [
            pixels if i == index else np.asarray(tensors[i].data, tensors[i].dtype)
            for i in self.op.inputs
        ]
        graph = replace(self.graph, tensors=tuple(tensors))
        outputs = golden.compute(graph, self.op, operands)
        return np.asarray(outputs.astype(np.int64).T - offset(y))

    @cached_property
    def parts(self) -> tuple[TableCodes, ...]:
        """The hardware's constants, proven; of all outputs, or of parts that are to be added.

        What the outputs of the second part and of others are more than the zero point is to be
        added to the first's.

        Raises
        ------
        UnsupportedError
            If there are none for a channel.
        """
        (known,), zero = self.ranges, zero_point(self.output_tensor)
        found = find_table_codes(self.tables, known, zero, self.spec)
        if isinstance(found, TableCodes):
            return (found,)
        parts = [
            find_table_codes(part, known, zero, self.spec)
            for number, part in enumerate(self._bent())
            if not number or np.any(part != zero)
        ]
        proven = tuple(part for part in parts if isinstance(part, TableCodes))
        if proven and len(proven) == len(parts):
            return proven
        name = found if self.names is None else self.names[found]
        raise self.refuse(OUTPUTS_FOUND, f"none were found for channel {name}")

    def _bent(self) -> tuple[Ints, ...]:
        """Return tables whose sum, less zero points, are the outputs, each of lines and a clamp.

        Nothing if the outputs have no bend at the input's zero point.
        """
        zero, bend = zero_point(self.output_tensor), zero_point(self.view.tensor) + 128
        every = np.arange(256)
        right = self.tables[:, np.maximum(every, bend)]
        left = self.tables[:, np.minimum(every, bend)]
        parts = right, np.minimum(left, zero), np.maximum(left, zero)
        whole = np.array_equal(sum(parts) - 2 * zero, self.tables)
        return parts if whole else ()

    def _output_range(self) -> Ints:
        (known,) = self.ranges
        used = [
            table[low + 128 : high + 129]
            for table, low, high in zip(self.tables, *known.tolist(), strict=True)
        ]
        return np.array([[values.min() for values in used], [values.max() for values in used]])
