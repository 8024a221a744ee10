"""Constraints that an operator must satisfy to be supported.

Each constraint is a function whose docstring *is* the user's error text: the rule, then what to
do.  It returns ``None`` when the rule holds, and otherwise a few words on what was found.
"""

from __future__ import annotations

import inspect

from common.errors import UnsupportedError
from sw.importer import data_rules as data
from sw.importer import detection_rules as detection
from sw.importer import moving_rules as moving
from sw.importer import scale_rules as scales
from sw.importer import shape_rules as shape
from sw.importer import weight_rules as weights
from sw.importer.operands import Constraint
from sw.importer.read import RawOperator
from sw.ir import Detection

__all__ = ["CONSTRAINTS", "check", "rule", "supported_operators"]

_PARTS: tuple[Constraint, ...] = (data.operand_count_fits, data.one_output)
_QUANTISATION: tuple[Constraint, ...] = (
    data.data_is_quantised,
    data.zero_points_in_range,
    data.activations_are_per_tensor,
)
_INTEGERS: tuple[Constraint, ...] = (
    data.data_is_not_float,
    data.data_is_8_bit,
    *_QUANTISATION,
)
_DATA: tuple[Constraint, ...] = (*_PARTS, *_INTEGERS)
_ONE_TYPE: tuple[Constraint, ...] = (*_DATA, data.data_has_one_type)
_MOVED: tuple[Constraint, ...] = (
    moving.data_is_movable,
    *_QUANTISATION,
    data.data_has_one_type,
)
_KEPT: tuple[Constraint, ...] = (*_MOVED, data.data_keeps_quantisation)
_WEIGHTS: tuple[Constraint, ...] = (
    weights.weights_are_constant,
    weights.weights_fit,
    weights.weight_scales_fit,
    weights.uint8_weights_are_per_tensor,
    weights.int8_weights_are_symmetric,
    weights.bias_is_int32,
    weights.bias_is_symmetric,
    weights.bias_scale_fits,
    data.scale_ratio_is_usual,
    data.activation_is_a_clamp,
)
_WINDOW: tuple[Constraint, ...] = (shape.padding_is_known, shape.kernel_is_at_most_64)
_POOL: tuple[Constraint, ...] = (
    *_ONE_TYPE,
    shape.input_is_4d,
    data.pool_keeps_quantisation,
    shape.stride_is_positive,
    *_WINDOW,
    data.activation_is_a_clamp,
)
_SUM: tuple[Constraint, ...] = (
    *_ONE_TYPE,
    shape.add_shapes_fit,
    data.sum_scale_is_usual,
    data.activation_is_a_clamp,
)
_REDUCTION: tuple[Constraint, ...] = (
    *_ONE_TYPE,
    shape.second_input_is_constant,
    moving.axes_are_valid,
    data.scale_ratio_is_usual,
)
_RESIZE: tuple[Constraint, ...] = (
    *_ONE_TYPE,
    data.data_keeps_quantisation,
    shape.input_is_4d,
    moving.resized_as_stated,
)
_PADDED: tuple[Constraint, ...] = (
    *_ONE_TYPE,
    data.data_keeps_quantisation,
    moving.rank_is_at_most_5,
    shape.second_input_is_constant,
    shape.paddings_are_reasonable,
)
_RESHAPED: tuple[Constraint, ...] = (*_PARTS, *_KEPT, shape.element_count_is_kept)
_CLAMP: tuple[Constraint, ...] = (
    *_ONE_TYPE,
    data.scale_ratio_is_usual,
    scales.output_scale_is_usual,
)
_FUNCTION: tuple[Constraint, ...] = (
    *_PARTS,
    scales.numbers_are_integers,
    *_INTEGERS,
    data.data_has_one_type,
)
_SPLIT: tuple[Constraint, ...] = (data.operand_count_fits, *_KEPT)

CONSTRAINTS: dict[str, tuple[Constraint, ...]] = {
    "CONV_2D": (*_ONE_TYPE, shape.input_is_4d, *_WEIGHTS, shape.stride_is_positive, *_WINDOW),
    "DEPTHWISE_CONV_2D": (
        *_ONE_TYPE,
        shape.input_is_4d,
        *_WEIGHTS,
        weights.depth_multiplier_fits,
        shape.stride_is_positive,
        *_WINDOW,
    ),
    "FULLY_CONNECTED": (*_ONE_TYPE, *_WEIGHTS, weights.weights_format_is_default),
    "TRANSPOSE_CONV": (
        *_ONE_TYPE,
        shape.input_is_4d,
        *_WEIGHTS,
        shape.stride_is_positive,
        *_WINDOW,
        shape.new_shape_is_output,
        moving.transposed_size_fits,
    ),
    "ADD": _SUM,
    "SUB": _SUM,
    "MUL": (
        *_ONE_TYPE,
        shape.add_shapes_fit,
        data.scale_ratio_is_usual,
        data.activation_is_a_clamp,
    ),
    "MAXIMUM": (*_ONE_TYPE, shape.add_shapes_fit),
    "MINIMUM": (*_ONE_TYPE, shape.add_shapes_fit),
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": _POOL,
    "MEAN": _REDUCTION,
    "SUM": (*_REDUCTION, moving.sum_is_uint8),
    "ARG_MAX": (
        *_DATA,
        shape.second_input_is_constant,
        moving.axes_are_valid,
        moving.one_axis,
        moving.index_is_an_integer,
    ),
    "RESIZE_BILINEAR": (*_RESIZE, moving.corners_or_centres, moving.resized_inside),
    "RESIZE_NEAREST_NEIGHBOR": _RESIZE,
    "PAD": _PADDED,
    "PADV2": (*_PADDED, moving.padding_value_fits),
    "MIRROR_PAD": (*_PADDED, moving.mirror_is_known),
    "RESHAPE": (*_RESHAPED, shape.new_shape_is_output),
    "SQUEEZE": _RESHAPED,
    "EXPAND_DIMS": _RESHAPED,
    "TRANSPOSE": (
        *_PARTS,
        *_KEPT,
        moving.rank_is_at_most_5,
        shape.second_input_is_constant,
        shape.permutation_is_valid,
    ),
    "SLICE": (
        *_PARTS,
        *_KEPT,
        moving.rank_is_at_most_5,
        moving.numbers_are_constant,
        moving.slice_is_inside,
    ),
    "STRIDED_SLICE": (
        *_PARTS,
        *_KEPT,
        moving.rank_is_at_most_5,
        moving.numbers_are_constant,
        moving.strided_slice_is_plain,
        moving.strided_slice_is_inside,
    ),
    "SPLIT": (*_SPLIT, moving.numbers_are_constant, moving.parts_fit),
    "SPLIT_V": (*_SPLIT, moving.numbers_are_constant, moving.parts_fit),
    "UNPACK": (*_SPLIT, moving.parts_fit),
    "CONCATENATION": (
        *_PARTS,
        *_MOVED,
        moving.joined_tensors_fit,
        moving.joined_tensors_keep_quantisation,
        moving.joined_scales_are_usual,
        moving.concatenation_has_no_activation,
    ),
    "PACK": (
        *_PARTS,
        *_MOVED,
        moving.joined_tensors_fit,
        moving.joined_tensors_keep_quantisation,
    ),
    "QUANTIZE": (
        *_PARTS,
        scales.float_side_is_float32,
        *_INTEGERS,
        data.scale_ratio_is_usual,
    ),
    "DEQUANTIZE": (*_DATA, scales.float_side_is_float32),
    "RELU": _CLAMP,
    "RELU6": _CLAMP,
    "RELU_N1_TO_1": _CLAMP,
    "RELU_0_TO_1": _CLAMP,
    "LEAKY_RELU": (
        *_ONE_TYPE,
        data.scale_ratio_is_usual,
        scales.negative_scale_is_usual,
        scales.alpha_is_not_negative,
    ),
    "PRELU": (
        *_ONE_TYPE,
        scales.alpha_fits,
        data.scale_ratio_is_usual,
        scales.negative_scale_is_usual,
    ),
    "HARD_SWISH": (*_ONE_TYPE, scales.hard_swish_scales_are_usual),
    "EXP": (*_FUNCTION, scales.exponential_is_int8, scales.exponential_fits),
    "LOGISTIC": (*_FUNCTION, scales.logistic_output_is_standard),
    "TANH": (*_FUNCTION, scales.output_scale_is_usual),
    "SOFTMAX": (
        *_FUNCTION,
        data.softmax_output_is_standard,
        data.softmax_scale_is_usual,
    ),
    Detection.kind: (
        data.operand_count_fits,
        detection.four_outputs,
        detection.detection_types_fit,
        *_QUANTISATION,
        detection.detection_shapes_fit,
        detection.detection_numbers_fit,
    ),
}
"""Constraints of each supported operator, in the order in which they are checked."""


def rule(constraint: Constraint) -> str:
    """Return the text of a constraint as one line, without the full stop."""
    return " ".join((inspect.getdoc(constraint) or constraint.__name__).split()).rstrip(".")


def supported_operators() -> dict[str, list[str]]:
    """Return every supported operator with its rules, for documentation."""
    return {kind: [rule(c) for c in CONSTRAINTS[kind]] for kind in sorted(CONSTRAINTS)}


def check(op: RawOperator) -> None:
    """Check an operator against its constraints.

    Raises
    ------
    UnsupportedError
        Naming the operator, the rule, what was found and what to do.
    """
    if op.kind not in CONSTRAINTS:
        raise UnsupportedError(
            f"{op.where} is not supported: the supported operators are "
            f"{', '.join(sorted(CONSTRAINTS))}; replace it or leave it out of the exported model"
        )
    for constraint in CONSTRAINTS[op.kind]:
        found = constraint(op)
        if found is not None:
            raise UnsupportedError(f"{op.where}: {rule(constraint)} (here {found})")
