"""Networks that break one rule of the importer, and what is said of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers

from common.errors import UnsupportedError
from sw import importer
from sw.fuzz.builder import NetworkBuilder, TensorSpec
from sw.importer.constraints import CONSTRAINTS, rule
from sw.importer.operands import Constraint

Network = tuple[NetworkBuilder, list[int]]
Change = Callable[[NetworkBuilder], None]
Case = tuple[Constraint, Network, Change, str]
"""A rule, a network that keeps it, a change by which it does not, and what is found then."""


def unary(kind: str, *arguments: Any) -> Network:
    """An operator; tensors are 0 input, 1 output, then constants; or 1 constant where noted."""
    net = NetworkBuilder()
    return net, [getattr(net, kind)(net.input((1, 4, 4, 3)), *arguments)]


def tensor(number: int, **changes: Any) -> Change:
    """Return a change of a tensor."""

    def change(net: NetworkBuilder) -> None:
        spec: TensorSpec = net[number]
        for name, value in changes.items():
            assert hasattr(spec, name)
            setattr(spec, name, value)

    return change


def option(**changes: int) -> Change:
    """Return a change of the operator's options."""

    def change(net: NetworkBuilder) -> None:
        options = net.file.operators[0].options
        assert options is not None
        options[1].update(changes)

    return change


def custom(**changes: float) -> Change:
    """Return a change of a custom operator's options."""

    def change(net: NetworkBuilder) -> None:
        operator = net.file.operators[0]
        options = {**flexbuffers.Loads(operator.custom), **changes}
        operator.custom = bytes(flexbuffers.Dumps(options))

    return change


def computed(number: int) -> Change:
    """Return a change that makes a constant an input of the network."""

    def change(net: NetworkBuilder) -> None:
        net[number].data = None
        net.inputs.append(number)

    return change


def each(*changes: Change) -> Change:
    """Return several changes as one."""

    def change(net: NetworkBuilder) -> None:
        for one in changes:
            one(net)

    return change


def ints(*values: Any) -> Any:
    """Return an int32 array."""
    return np.array(values, np.int32)


def check_refused(case: Case) -> None:
    """Check that the changed network is refused by the case's rule, in one line."""
    constraint, (net, outputs), change, found = case
    net.build(outputs=outputs)
    change(net)
    with pytest.raises(UnsupportedError) as caught:
        importer.loads(net.build(outputs=outputs), "net")
    message = str(caught.value)
    assert rule(constraint) in message, message
    assert re.search(f"here .*{found}", message), message
    assert re.match(rf"net: operator 0 \({net.file.operators[0].kind}, writing '", message)
    assert "\n" not in message


def rules_of(*modules: ModuleType) -> set[Constraint]:
    """Return the rules of modules that operators have."""
    used = {constraint for rules in CONSTRAINTS.values() for constraint in rules}
    names = {module.__name__ for module in modules}
    return {constraint for constraint in used if constraint.__module__ in names}
