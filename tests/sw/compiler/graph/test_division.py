"""Division of networks into pieces."""

from __future__ import annotations

import pytest
from support.divided import heads_over_the_host, host_alone, host_between

from sw import importer, ir
from sw.compiler.graph.division import divide
from sw.compiler.graph.partition import host_rule, partition
from sw.fuzz.builder import NetworkBuilder


def pieces(data: bytes, *more: int) -> tuple[ir.Graph, list[ir.Graph]]:
    """Return a network and its pieces; operators by their numbers are the host's, too."""
    graph = importer.loads(data, "divided")
    host = {op.name for op in graph.ops if host_rule(graph, op) is not None}
    host |= {graph.ops[number].name for number in more}
    return graph, divide(graph, host)


def kinds(graph: ir.Graph) -> list[str]:
    return [op.kind for op in graph.ops]


def test_what_needs_no_division_is_the_network_itself() -> None:
    net = NetworkBuilder(seed=1)
    x = net.conv_2d(net.transpose(net.input((1, 3, 4, 4)), (0, 2, 3, 1)), 8)
    graph, found = pieces(net.build(outputs=[net.softmax(net.reshape(x, (1, 128)))]))
    assert len(found) == 1 and found[0] is graph
    graph, found = pieces(host_alone())
    assert len(found) == 1 and found[0] is graph


def test_the_host_is_in_front_of_the_next_piece() -> None:
    graph, (first, second) = pieces(host_between())
    assert kinds(first) == ["CONV_2D"]
    assert kinds(second) == ["TRANSPOSE", *kinds(graph)[2:]]
    assert second.inputs == first.outputs == (graph.ops[0].output,)
    assert first.inputs == graph.inputs and second.outputs == graph.outputs


def test_tensors_live_as_long_as_they_are_read() -> None:
    graph, found = pieces(heads_over_the_host())
    assert [kinds(piece) for piece in found] == [
        ["CONV_2D"], ["TRANSPOSE", "CONV_2D"], ["TRANSPOSE", "CONV_2D", "ADD"]
    ]
    first, host, second = (op.output for op in graph.ops[:3])
    assert [piece.outputs for piece in found[:2]] == [(first,), (host, second)]
    assert set(found[2].inputs) == {first, second}
    # All outputs are there at the end.
    assert set(graph.outputs) <= {index for piece in found for index in piece.outputs}


@pytest.mark.parametrize("number", range(4))
def test_any_operator_can_be_the_hosts(number: int) -> None:
    net = NetworkBuilder(seed=2)
    x = net.input((1, 5, 5, 4))
    for _ in range(4):
        x = net.conv_2d(x, 8, kernel=(1, 1))
    graph, found = pieces(net.build(outputs=[x]), number)
    # In front and at the end it needs no piece of its own.
    assert len(found) == (1 if number in (0, 3) else 2)
    assert [op for piece in found for op in piece.ops] == list(graph.ops)


def test_a_reshape_stays_with_what_it_reshapes() -> None:
    net = NetworkBuilder(seed=6)
    x = net.reshape(net.conv_2d(net.input((1, 4, 4, 4)), 8, kernel=(1, 1)), (1, 2, 8, 8))
    x = net.conv_2d(net.transpose(x, (0, 2, 1, 3)), 8, kernel=(1, 1))
    _, (first, second) = pieces(net.build(outputs=[x]))
    assert kinds(first) == ["CONV_2D", "RESHAPE"] and kinds(second) == ["TRANSPOSE", "CONV_2D"]


def test_single_integers_are_the_devices_between_layers_only() -> None:
    """In front, behind and beside the host's operators the host has them."""
    net = NetworkBuilder(seed=7)

    def product(x: int) -> int:
        return net.mul(x, net.constant((8,)))

    x = product(net.conv_2d(product(net.input((1, 4, 4, 8))), 8))
    x = product(net.conv_2d(x, 8))
    x = product(net.transpose(x, (0, 2, 1, 3)))
    x = product(net.conv_2d(x, 8))
    _, (first, second) = pieces(net.build(outputs=[x]))
    assert kinds(first) == ["MUL", "CONV_2D", "MUL", "CONV_2D", "MUL"]
    assert kinds(second) == ["TRANSPOSE", "MUL", "CONV_2D", "MUL"]
    for piece, device in ((first, 3), (second, 1)):
        assert len(partition(piece).device) == device
