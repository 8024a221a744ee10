"""Context of a lowering: a network, the core it is compiled for, and its operators' sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common.arrays import Ints
from hw.contract.config import CoreConfig
from sw import ir
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.compiler.graph.channels import Channels
from sw.compiler.graph.operands import activations, is_elementwise
from sw.compiler.graph.partition import Partition
from sw.compiler.lowering.average_site import AverageSite
from sw.compiler.lowering.maximum_site import MaximumSite
from sw.compiler.lowering.site import Site, SumSite, WeightedSite
from sw.compiler.lowering.table_site import TableSite
from sw.compiler.program.tensors import Place

__all__ = ["Context"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Context:
    """A partitioned network and a core.

    Attributes
    ----------
    part : Partition
        Of stored channels.
    config : CoreConfig
    source : Graph
        The network with all its channels.
    channels : mapping
        By place: tensors of which some channels are left out, or lie in another order.
    inputs : mapping
        By place: what is known of tensors that no operator of the device writes, least and greatest
        int8 of every channel, (2, C) int64.
    """

    part: Partition
    config: CoreConfig
    source: ir.Graph
    channels: Mapping[Place, Channels] = field(default_factory=dict)
    inputs: Mapping[Place, Ints] = field(default_factory=dict)
    _sites: dict[Place, Site] = field(default_factory=dict, init=False)

    @classmethod
    def of(cls, part: Partition, config: CoreConfig) -> Context:
        """Return the context of a network with all its channels."""
        return cls(part=part, config=config, source=part.graph)

    @property
    def graph(self) -> ir.Graph:
        """The whole network."""
        return self.part.graph

    def site(self, op: ir.Operator) -> Site:
        """Return the site of one of the device's operators."""
        wanted = Place(op.output)
        # In order: what an operator's operands can be is known when it is its turn.
        for earlier in self.part.device:
            if wanted in self._sites:
                break
            if Place(earlier.output) not in self._sites:
                self._sites[Place(earlier.output)] = self._make(earlier)
        return self._sites[wanted]

    def _make(self, op: ir.Operator) -> Site:
        operands = activations(self.graph, op)
        channels = self.channels.get(Place(op.output))
        common: dict[str, Any] = {
            "graph": self.graph,
            "operands": tuple(map(self.part.view, operands)),
            "ranges": tuple(map(self._range_of, operands)),
            "spec": RequantiserSpec.of(self.config),
            "names": None if channels is None else channels.kept,
        }
        match op:
            case ir.Conv2D() | ir.DepthwiseConv2D() | ir.FullyConnected():
                return WeightedSite(op=op, macs=self._macs(op), **common)
            case _ if is_elementwise(self.graph, op):
                return TableSite(op=op, **common)
            case ir.Add():
                return SumSite(op=op, **common)
            case ir.AveragePool2D() | ir.Mean():
                return AverageSite(op=op, **common)
            case ir.MaxPool2D():
                return MaximumSite(op=op, **common)
            case _:
                return Site(op=op, **common)

    def ranges(self) -> dict[Place, Ints]:
        """Return the ranges of the channels of stored tensors, as far as they are known."""
        found = {place: site.output_range for place, site in self._all_sites().items()}
        written = {place: known for place, known in found.items() if known is not None}
        return {**self.inputs, **written}

    def _all_sites(self) -> dict[Place, Site]:
        if self.part.device:
            self.site(self.part.device[-1])
        return self._sites

    def _range_of(self, index: int) -> Ints:
        """Return the range of a pixel's channels, whatever tensor that lies there is meant."""
        view = self.part.view(index)
        site = self._sites.get(view.place)
        known = self.inputs.get(view.place) if site is None else site.output_range
        if known is None:
            return np.array([[-128], [127]], np.int64).repeat(view.channels, axis=1)
        return known

    def words(self, channels: int) -> int:
        """Return the words of a pixel of so many channels."""
        return -(-channels // self.config.columns)

    def tensor_words(self, index: int) -> int:
        """Return the words of a whole tensor."""
        tensor = self.graph.tensors[index]
        channels = tensor.shape[-1] if tensor.shape else 1
        return tensor.size // channels * self.words(channels)

    def room(self, op: ir.Operator, *, over: bool = False) -> int:
        """Return the words of memory beside the tensors that are kept while an operator runs.

        If ``over``, its output lies over an operand that nothing else needs.
        """
        device = self.part.device
        now = device.index(op)
        read = [set(map(self.part.place, activations(self.graph, o))) for o in device[now:]]
        there = {*self.part.inputs, *(Place(earlier.output) for earlier in device[:now])}
        later = set(self.part.outputs).union(*read[1:])
        kept = there & (read[0] | later) | {Place(op.output)}
        left = self.config.memory_depth - sum(self.tensor_words(place) for place in kept)
        if over and (gone := [self.tensor_words(place) for place in read[0] - later]):
            left += min(max(gone), self.tensor_words(op.output))
        return left

    def _macs(self, op: ir.WeightedOp) -> int:
        """Return the multiplications of an operator as the network defines it."""
        return self.source.macs(next(o for o in self.source.ops if o.name == op.name))
