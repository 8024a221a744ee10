"""Files of other formats and for other machines, each told in one sentence what to do about it."""

from __future__ import annotations

from collections.abc import Mapping

from common.errors import UnsupportedError
from sw.importer.operands import WEIGHTED
from sw.importer.read import RawModel, RawOperator

__all__ = ["check_format"]

_INT8 = (
    "quantise it to int8 (full integer post-training quantisation with a representative data set, "
    "and TFLITE_BUILTINS_INT8 as the only supported operators)"
)

_CUSTOM = {
    "ethos-u": "the file was compiled for an Arm Ethos-U, and its network is in that machine's "
    "instructions; give the .tflite file that Vela was given",
    "edgetpu-custom-op": "the file was compiled for the Edge TPU, and its network is in that "
    "machine's instructions; give the .tflite file that edgetpu_compiler was given",
}
"""What custom operators are that people's files have."""

_CONTROL = frozenset({"IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_WHILE", "STABLEHLO_COMPOSITE"})


def _custom(op: RawOperator) -> str:
    if op.custom.startswith("Flex"):
        return "it is one of TensorFlow's own operators; convert without SELECT_TF_OPS"
    other = "custom operators are unknown here; convert with TFLITE_BUILTINS_INT8 only, or cut the "
    return _CUSTOM.get(op.custom, other + "file before this operator")


def check_format(model: RawModel) -> None:
    """Refuse what no rule of one operator would tell as well.

    Raises
    ------
    UnsupportedError
        For files that were compiled for another machine, custom operators, control flow; for
        networks in float, with float16 or int4 weights, with weights in integers and data in float,
        and with 16-bit data.
    """
    for op in model.operators:
        if op.kind == "CUSTOM":
            raise UnsupportedError(f"{op.where} is not supported: {_custom(op)}")
        if op.kind in _CONTROL:
            raise UnsupportedError(
                f"{op.where} is control flow, which is not supported: convert one function without "
                "loops and conditions, with fixed shapes"
            )
    writers = {t.index: op for op in model.operators for t in op.outputs}
    for op in model.operators:
        if op.kind in WEIGHTED and len(op.inputs) > 1:
            reason = _numbers(op, writers)
            if reason:
                raise UnsupportedError(f"{op.where}: {reason}")


def _numbers(op: RawOperator, writers: Mapping[int, RawOperator]) -> str:
    """Return what is wrong with the numbers of an operator with weights, if something is."""
    weights = op.operand(1)
    data, stored = op.operand(0).dtype, weights.dtype
    writer = writers.get(weights.index)
    if writer is not None and writer.kind == "DEQUANTIZE" and data.startswith("float"):
        stored = writer.operand(0).dtype
    if stored in ("float16", "bfloat16"):
        return f"the weights are {stored} and are computed with in float32; {_INT8}"
    if stored in ("int4", "uint4", "int2"):
        return f"the weights are {stored}, and 8 bits are supported; {_INT8}"
    if data == "int16":
        return (
            "activations are int16 and weights int8 (16x8 quantisation), and activations of 8 bits "
            f"are supported; {_INT8}"
        )
    if data.startswith("float") and stored in ("int8", "uint8"):
        return (
            f"weights are {stored} and activations {data} (dynamic range quantisation): without "
            f"representative data there are no scales to compute in integers; {_INT8}"
        )
    if data.startswith("float"):
        return f"the network is {data}; {_INT8}"
    return ""
