"""What detectors' outputs say."""

from __future__ import annotations

import numpy as np
import pytest
from support.detections import cells, detector

from common.errors import InputError
from sw import golden, importer
from sw.fuzz.builder import NetworkBuilder
from sw.outputs.detections import check_threshold, detector_of

NAMES = ["cup", "face"]


def grid(*objects: tuple[int, int, int, int], size: int = 6, classes: int = 3) -> np.ndarray:
    """Return an output: (row, column, class, value) of some cells, background elsewhere."""
    result = np.full((1, size, size, classes), -128, np.int8)
    result[..., 0] = 127
    for row, column, number, value in objects:
        result[0, row, column, number] = value
    return result


def test_neighbouring_cells_of_a_class_are_one_object() -> None:
    reading = detector_of(importer.loads(cells()))
    assert reading is not None
    output = grid((1, 1, 2, 100), (2, 2, 2, 127), (2, 1, 1, 60), (5, 5, 2, 20), (4, 0, 1, -20))
    found = reading.found([output], NAMES)
    assert [(one.number, one.label) for one in found] == [(2, "face"), (1, "cup"), (2, "face")]
    # The best of the object's cells, in parts of 256 above the zero point.
    assert [one.score for one in found] == [255 / 256, 188 / 256, 148 / 256]
    places = [(one.left * 6, one.top * 6, one.width * 6, one.height * 6) for one in found]
    np.testing.assert_allclose(places, [(1, 1, 2, 2), (1, 2, 1, 1), (5, 5, 1, 1)])
    # At the threshold is found.
    assert [one.score for one in reading.found([output], [], 188 / 256)] == [255 / 256, 188 / 256]
    assert len(reading.found([output], NAMES, 108 / 256)) == 4
    assert reading.found([grid()], NAMES) == []
    assert reading.found([grid()], NAMES, 1.0) == []


def test_cells_that_do_not_touch_are_two_objects() -> None:
    reading = detector_of(importer.loads(cells()))
    apart = grid((0, 0, 1, 100), (0, 2, 1, 100), (2, 0, 1, 100))
    assert len(reading.found([apart])) == 3
    ring = grid(*((row, column, 1, 100) for row, column in
                  [(0, 1), (1, 0), (1, 2), (2, 1), (3, 2), (4, 3)]))
    (one,) = reading.found([ring])
    np.testing.assert_allclose((one.left, one.top, one.width * 6, one.height * 6), (0, 0, 4, 5))


@pytest.mark.parametrize(("names", "label"), [
    (["background", "cup", "face"], "face"), (NAMES, "face"), ([], "2"), (["cup"], "2"),
])
def test_names_with_and_without_the_background(names: list[str], label: str) -> None:
    reading = detector_of(importer.loads(cells()))
    assert reading.found([grid((0, 0, 2, 127))], names)[0].label == label


def test_a_grid_through_the_golden_model() -> None:
    graph = importer.loads(cells())
    rng = np.random.default_rng(3)
    output = golden.run(
        graph, rng.integers(-128, 128, (1, 24, 24, 1)).astype(np.int8))[graph.outputs[0]]
    values = (output[0].astype(float) + 128) / 256
    found = detector_of(graph).found([output], [], 0.3)
    for number in (1, 2):
        mine = [one for one in found if one.number == number]
        assert bool(mine) is bool((values[..., number] >= 0.3).any())
        if mine:
            assert max(one.score for one in mine) == values[..., number].max()
    assert found


@pytest.mark.parametrize("options", [
    {}, {"classes_each": 2}, {"use_regular_nms": True, "detections_per_class": 5},
    # Fewer than there are lines.
    {"use_regular_nms": True, "detections_per_class": 1},
])
def test_boxes_are_the_outputs_lines(options: dict[str, int | bool]) -> None:
    net, outputs = detector(**options)
    graph = importer.loads(net.build(outputs=outputs))
    rng = np.random.default_rng(1)
    scores = rng.permutation(256)[:160].astype(np.uint8).reshape(1, 40, 4)
    tensors = golden.run(graph, [rng.integers(0, 256, (1, 40, 4)).astype(np.uint8), scores])
    got = [tensors[index] for index in graph.outputs]
    boxes, classes, rated, count = got
    found = detector_of(graph).found(got, ["background", "a", "b", "c"], 0.0)
    lines = int(count[0]) * int(options.get("classes_each", 1))
    assert 0 < lines == len(found)
    order = np.argsort(-rated[0, :lines], kind="stable")
    np.testing.assert_array_equal([one.score for one in found], rated[0, order])
    assert [one.label for one in found] == ["abc"[int(number)] for number in classes[0, order]]
    top, left, bottom, right = boxes[0, order].T.astype(float)
    expected = np.stack([left, top, right - left, bottom - top])
    np.testing.assert_array_equal(
        np.array([(one.left, one.top, one.width, one.height) for one in found]).T, expected)
    limit = float(rated[0, order[0]])
    assert len(detector_of(graph).found(got, (), limit)) == int((rated[0, :lines] >= limit).sum())


def test_boxes_in_another_order_of_outputs() -> None:
    net, (boxes, classes, scores, count) = detector()
    graph = importer.loads(net.build(outputs=[count, scores, boxes, classes]))
    rng = np.random.default_rng(1)
    tensors = golden.run(graph, [rng.integers(0, 256, (1, 40, 4)).astype(np.uint8)] * 2)
    found = detector_of(graph).found([tensors[i] for i in graph.outputs], (), 0.0)
    assert len(found) == int(tensors[count][0])
    assert found[0].score == tensors[scores].max()


def test_what_is_no_detector() -> None:
    net = NetworkBuilder(seed=1)
    x = net.input((1, 24, 24, 1))
    # A segmentation: a class for every pixel, or for every third.
    for stride in (1, 3):
        y = net.softmax(net.conv_2d(x, 3, kernel=(1, 1), stride=(stride, stride)))
        assert detector_of(importer.loads(net.build(outputs=[y]))) is None
    # Numbers that are no probabilities; one cell; a part of the outputs.
    assert detector_of(importer.loads(cells(softmax=False))) is None
    y = net.softmax(net.conv_2d(x, 3, kernel=(24, 24)))
    assert detector_of(importer.loads(net.build(outputs=[y]))) is None
    net, outputs = detector()
    assert detector_of(importer.loads(net.build(outputs=outputs[:2]))) is None


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_thresholds(threshold: float) -> None:
    with pytest.raises(InputError, match="a threshold is from 0 to 1, not"):
        check_threshold(threshold)
