"""Constraints that an operator must satisfy to be supported.

Each constraint is a function whose docstring *is* the user's error text: the rule, then what to
do.  It returns ``None`` when the rule holds, and otherwise a few words on what was found.
"""

from __future__ import annotations

import inspect

from common.errors import UnsupportedError
from sw.importer import data_rules as data
from sw.importer import shape_rules as shape
from sw.importer import weight_rules as weights
from sw.importer.operands import Constraint
from sw.importer.read import RawOperator

__all__ = ["CONSTRAINTS", "check", "rule", "supported_operators"]

_DATA: tuple[Constraint, ...] = (
    data.operand_count_fits,
    data.one_output,
    data.data_is_not_float,
    data.data_is_8_bit,
    data.data_is_quantised,
    data.zero_points_in_range,
    data.activations_are_per_tensor,
)
_ONE_TYPE: tuple[Constraint, ...] = (*_DATA, data.data_has_one_type)
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
    "ADD": (*_ONE_TYPE, shape.add_shapes_fit, data.sum_scale_is_usual, data.activation_is_a_clamp),
    "SUB": (
        *_ONE_TYPE,
        shape.one_operand_is_constant,
        shape.add_shapes_fit,
        data.sum_scale_is_usual,
        data.activation_is_a_clamp,
    ),
    "MUL": (
        *_ONE_TYPE,
        shape.one_operand_is_constant,
        shape.add_shapes_fit,
        data.scale_ratio_is_usual,
        data.activation_is_a_clamp,
    ),
    "AVERAGE_POOL_2D": (
        *_ONE_TYPE,
        shape.input_is_4d,
        data.pool_keeps_quantisation,
        shape.stride_is_positive,
        *_WINDOW,
        data.activation_is_a_clamp,
    ),
    "MEAN": (
        *_ONE_TYPE,
        shape.second_input_is_constant,
        shape.mean_is_over_height_and_width,
        data.scale_ratio_is_usual,
    ),
    "PAD": (
        *_ONE_TYPE,
        data.data_keeps_quantisation,
        shape.second_input_is_constant,
        shape.paddings_are_reasonable,
    ),
    "RESHAPE": (
        *_ONE_TYPE,
        data.data_keeps_quantisation,
        shape.element_count_is_kept,
        shape.new_shape_is_output,
    ),
    "QUANTIZE": (*_DATA, data.scale_ratio_is_usual),
    "SOFTMAX": (*_ONE_TYPE, data.softmax_output_is_standard, data.softmax_scale_is_usual),
    "TRANSPOSE": (
        *_ONE_TYPE,
        data.data_keeps_quantisation,
        shape.second_input_is_constant,
        shape.permutation_is_valid,
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
