"""Choices of boxes against the reference interpreter, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.detections import detector
from support.judges import LiteRT

from common.errors import UnsupportedError
from sw import golden, importer, ir
from sw.fuzz.builder import NetworkBuilder
from sw.golden import detection

Bytes = npt.NDArray[np.uint8]
Scores = Callable[[np.random.Generator, tuple[int, ...]], Bytes]

REGULAR = {"use_regular_nms": True}


def any_scores(rng: np.random.Generator, shape: tuple[int, ...]) -> Bytes:
    """Return scores of which many are equal."""
    return (rng.integers(0, 256, shape) >> rng.integers(0, 5)).astype(np.uint8)


def different_scores(rng: np.random.Generator, shape: tuple[int, ...]) -> Bytes:
    """Return scores of which none are equal."""
    return rng.permutation(256)[: int(np.prod(shape))].astype(np.uint8).reshape(shape)


def compare(net: NetworkBuilder, outputs: list[int], scores: Scores, frames: int = 6) -> list[int]:
    """Compare what the reference writes, and return how many boxes were chosen."""
    model = net.build(outputs=outputs)
    graph, judge = importer.loads(model), LiteRT(model)
    rng = np.random.default_rng(7)
    found = []
    for _ in range(frames):
        boxes, rated = (graph.tensors[i].shape for i in graph.inputs)
        values = [rng.integers(0, 256, boxes).astype(np.uint8), scores(rng, rated)]
        judge.run(*values)
        tensors = golden.run(graph, values)
        found.append(int(tensors[outputs[3]][0]))
        for op in graph.ops:
            value, expected = tensors[op.output], judge.tensor(op.output)
            assert (value.shape, value.dtype) == (expected.shape, expected.dtype)
            mask = np.ones(value.shape, np.bool_)
            if isinstance(op, ir.Detection):
                mask = golden.written(op.suppression, op.part, found[-1])
                assert not value[~mask].any()
            assert value[mask].tobytes() == expected[mask].tobytes(), op.name
    return found


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize(
    ("shape", "options", "scores"),
    [
        ((40, 4, 3), {}, any_scores),
        ((300, 2, 1), {"nms_iou_threshold": 0.3}, any_scores),
        ((40, 3, 3), {"nms_score_threshold": 0.2}, any_scores),
        ((40, 3, 3), {"nms_score_threshold": 1.5}, any_scores),
        ((40, 3, 2), {"encoding": 7, "detections": 50, "nms_iou_threshold": 1.0}, any_scores),
        ((40, 3, 3), {"detections": 1, **REGULAR}, different_scores),
        ((40, 4, 3), REGULAR, different_scores),
        ((40, 5, 5), {**REGULAR, "detections": 100, "detections_per_class": 3}, different_scores),
        ((40, 4, 3), {**REGULAR, "classes_each": 2}, different_scores),
        ((40, 4, 3), {**REGULAR, "nms_score_threshold": 1.5}, different_scores),
        ((40, 6, 5), {"classes_each": 3}, different_scores),
        ((40, 4, 3), {"classes_each": 5}, different_scores),
    ],
)
def test_the_choice_is_the_reference_s(
    shape: tuple[int, int, int], options: dict[str, Any], scores: Scores, real: bool
) -> None:
    found = compare(*detector(*shape, real=real, **options), scores)
    most = options.get("detections", 10)
    if options.get("nms_score_threshold") == 1.5:
        assert set(found) == {0}
    else:
        assert 0 < max(found) <= most


def test_boxes_are_suppressed_and_kept() -> None:
    """The thresholds above are neither so high nor so low that nothing depends on them."""
    found = [
        compare(*detector(200, 2, 1, detections=200, nms_iou_threshold=overlap), any_scores, 2)
        for overlap in (0.1, 0.5, 1.0)
    ]
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize("options", [REGULAR, {"classes_each": 2}])
def test_an_order_that_is_the_library_s_is_refused(options: dict[str, Any]) -> None:
    net, outputs = detector(**options)
    graph = importer.loads(net.build(outputs=outputs), "net")
    values = [net.random(0), np.full((1, 40, 4), 9, np.uint8)]
    with pytest.raises(UnsupportedError, match=r"^net: operator .*partial_sort are equal.*; cut"):
        golden.run(graph, values)
    values[1][:] = np.arange(4)
    values[1][0, :, 1:] = np.arange(120).reshape(40, 3) + 50
    assert golden.run(graph, values)[outputs[3]] > 1


@pytest.mark.parametrize(
    ("anchor", "found"), [(-1.0, "the wrong way round"), (3e38, "no finite number")]
)
def test_boxes_that_the_reference_refuses_are_refused(anchor: float, found: str) -> None:
    net, outputs = detector(real=True)
    anchors = next(spec for spec in net.file.tensors if spec.name == "anchors")
    assert anchors.data is not None
    anchors.data = np.where(np.arange(4) == 2, np.float32(anchor), anchors.data)
    graph = importer.loads(net.build(outputs=outputs), "net")
    values = [np.full((1, 40, 4), 255, np.uint8), net.random(1)]
    with pytest.raises(UnsupportedError, match=found):
        golden.run(graph, values)


def test_a_size_that_is_the_library_s_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    net, outputs = detector()
    graph = importer.loads(net.build(outputs=outputs), "net")
    values = [net.random(0), net.random(1)]
    golden.run(graph, values)
    monkeypatch.setattr(detection, "EXP_ERROR", 1 << 26)
    with pytest.raises(UnsupportedError, match="the size of a box depends on the C library"):
        golden.run(graph, values)
