"""The classes that outputs rate best."""

import numpy as np
import pytest

from sw import importer
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph
from sw.outputs.classes import best, classify, scores


def classifier(outputs: int, softmax: bool) -> Graph:
    net = NetworkBuilder(seed=1)
    y = net.fully_connected(net.reshape(net.input((1, 2, 2, 1)), (1, 4)), outputs)
    return importer.loads(net.build(outputs=[net.softmax(y) if softmax else y]))


def test_scores_of_a_softmax_are_its_own() -> None:
    graph = classifier(3, softmax=True)
    got = scores(graph, np.array([[-128, 0, 127]], np.int8))
    np.testing.assert_array_equal(got, [0, 128 / 256, 255 / 256])


def test_scores_of_logits_are_their_softmax() -> None:
    graph = classifier(3, softmax=False)
    q = graph.tensors[graph.outputs[0]].quantization
    values = np.array([[-100, 20, 25]], np.int8)
    real = (values.ravel() - float(q.zero_point)) * q.scale
    got = scores(graph, values)
    np.testing.assert_allclose(got, np.exp(real) / np.exp(real).sum())
    assert got.sum() == pytest.approx(1)
    single = classifier(1, softmax=False)
    q = single.tensors[single.outputs[0]].quantization
    got = scores(single, np.array([[30]], np.int8))
    np.testing.assert_allclose(got, [1 / (1 + np.exp(-(30 - q.zero_point) * q.scale))])


def test_labels() -> None:
    graph = classifier(7, softmax=True)
    output = np.array([[3, 9, -1, 9, 0, 3, 3]], np.int8)
    top = classify(graph, output, ["zero", "one", "two", "three"])
    assert [(t.number, t.label) for t in top] == [
        (1, "one"), (3, "three"), (0, "zero"), (5, "5"), (6, "6")
    ]
    assert [t.score for t in top] == [(v + 128) / 256 for v in (9, 9, 3, 3, 3)]


def test_floats_are_ordered_as_floats() -> None:
    assert best(np.array([0.1, 0.9, 0.2], np.float32), 2) == [1, 2]


def test_a_choice_has_no_score() -> None:
    net = NetworkBuilder(seed=1)
    y = net.fully_connected(net.reshape(net.input((1, 2, 2, 1)), (1, 4)), 3)
    graph = importer.loads(net.build(outputs=[net.arg_max(y, 1)]))
    (top,) = classify(graph, np.array([2], np.int32), ["a", "b", "c"])
    assert (top.number, top.label, top.score) == (2, "c", None)
    assert classify(graph, np.array([7], np.int32), ["a"])[0].label == "7"
