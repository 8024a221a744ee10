"""TFLite_Detection_PostProcess in files: its rules, its options, and outputs without shapes."""

from __future__ import annotations

import numpy as np
import pytest
from flatbuffers import flexbuffers
from support.detections import detector
from support.rules import Case, check_refused, custom, each, rules_of, tensor

from common.errors import ModelFormatError, UnsupportedError
from sw import importer, ir
from sw.fuzz.builder import NetworkBuilder
from sw.importer import detection_rules as rules


def without_output(net: NetworkBuilder) -> None:
    """Leave out the number of boxes."""
    operator = net.file.operators[0]
    operator.outputs = operator.outputs[:3]


def case(constraint: rules.Constraint, change: object, found: str) -> Case:
    """Return a case; outputs are those that every change leaves."""
    net, outputs = detector()
    return constraint, (net, outputs[:1]), change, found  # type: ignore[return-value]


CASES: list[Case] = [
    case(rules.four_outputs, without_output, "it has 3"),
    case(rules.detection_types_fit, tensor(0, dtype="int8"), "tensor 0 .* is int8"),
    case(rules.detection_types_fit, tensor(1, dtype="int8"), "tensor 1 .* is int8"),
    case(rules.detection_types_fit, tensor(2, dtype="int8"), "boxes are uint8, anchors int8"),
    case(rules.detection_types_fit, tensor(4, dtype="int32"), "tensor 4 .* is int32"),
    case(rules.detection_shapes_fit, tensor(0, shape=(2, 40, 4)), r"\[2, 40, 4\], "),
    case(rules.detection_shapes_fit, tensor(0, shape=(1, 40, 3)), r"\[1, 40, 3\], "),
    case(rules.detection_shapes_fit, tensor(0, shape=(40, 4)), r"\[40, 4\], "),
    case(rules.detection_shapes_fit, tensor(1, shape=(1, 39, 4)), r"\[1, 39, 4\] and"),
    case(rules.detection_shapes_fit, tensor(1, shape=(40, 4)), r"\[40, 4\] and"),
    case(
        rules.detection_shapes_fit,
        tensor(2, shape=(39, 4), data=np.ones((39, 4), np.uint8)), r"and \[39, 4\]",
    ),
    case(rules.detection_shapes_fit, custom(num_classes=2), "with 2 classes"),
    case(rules.detection_shapes_fit, custom(num_classes=5), "with 5 classes"),
    case(rules.detection_numbers_fit, custom(max_detections=0), r"\(0, 1, 3, 1\)"),
    case(rules.detection_numbers_fit, custom(max_detections=-3), r"\(-3, 1, 3, 1\)"),
    case(rules.detection_numbers_fit, custom(max_detections=1 << 17), r"\(131072, 1"),
    case(rules.detection_numbers_fit, custom(max_classes_per_detection=0), r"\(10, 0"),
    case(
        rules.detection_numbers_fit,
        custom(use_regular_nms=True, detections_per_class=0), r"\(10, 1, 3, 0\)",
    ),
    case(rules.detection_numbers_fit, custom(nms_iou_threshold=0.0), r"\), 0, "),
    case(rules.detection_numbers_fit, custom(nms_iou_threshold=1.01), "1.01"),
    case(rules.detection_numbers_fit, custom(nms_score_threshold=float("nan")), "nan"),
    case(rules.detection_numbers_fit, custom(y_scale=0.0), r"\[0.0, 10.0"),
    case(rules.detection_numbers_fit, custom(w_scale=float("inf")), r"inf\]"),
    case(
        rules.detection_numbers_fit,
        each(custom(max_detections=1 << 12), custom(max_classes_per_detection=17)), r"\(4096, 17",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_constraint(case: Case) -> None:
    check_refused(case)


def test_every_constraint_has_a_test() -> None:
    assert rules_of(rules) <= {constraint for constraint, *_ in CASES}


def test_outputs_have_the_shapes_that_the_options_say() -> None:
    net, outputs = detector(detections=7, classes_each=2)
    for output in outputs:
        net[output].shape = ()
    net[outputs[0]].shape = (3,)
    graph = importer.loads(net.build(outputs=outputs))
    shapes = [graph.tensors[i].shape for i in graph.outputs]
    assert shapes == [(1, 14, 4), (1, 14), (1, 14), (1,)]


def test_options_that_are_missing_are_what_the_reference_takes_them_for() -> None:
    net, outputs = detector(use_regular_nms=True)
    custom(detections_per_class=5)(net)
    operator = net.file.operators[0]
    stated = flexbuffers.Loads(operator.custom)
    for name, expected in (("detections_per_class", (100, 1e-8)), ("nms_score_threshold", (5, 0))):
        options = {key: value for key, value in stated.items() if key != name}
        operator.custom = bytes(flexbuffers.Dumps(options))
        op = importer.loads(net.build(outputs=outputs)).ops[0]
        assert isinstance(op, ir.Detection)
        found = (op.suppression.per_class, op.suppression.score)
        assert found == tuple(np.float32(expected).tolist())


def test_damaged_options_are_refused() -> None:
    """Every byte is changed; what is read is then another number, or refused in a sentence."""
    net, outputs = detector(2)
    operator = net.file.operators[0]
    stated = operator.custom
    rng = np.random.default_rng(1)
    refused = 0
    for position in range(len(stated)):
        for value in rng.integers(0, 256, 2):
            operator.custom = stated[:position] + bytes([int(value)]) + stated[position + 1 :]
            try:
                importer.loads(net.build(outputs=outputs), "net")
            except ModelFormatError as error:
                refused += "has damaged options" in str(error)
            except UnsupportedError:
                pass
    assert refused
    for wrong in (b"", stated[:-1], stated[20:], bytes(flexbuffers.Dumps([1, 2]))):
        operator.custom = wrong
        with pytest.raises(ModelFormatError, match=r"net: operator 0 .*has damaged options"):
            importer.loads(net.build(outputs=outputs), "net")
    for name in ("max_detections", "y_scale"):
        operator.custom = bytes(flexbuffers.Dumps({**flexbuffers.Loads(stated), name: "x"}))
        with pytest.raises(ModelFormatError, match=f"damaged options \\({name} is no number"):
            importer.loads(net.build(outputs=outputs), "net")
