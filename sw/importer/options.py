"""Tables of options: which operators have one that is read, and its fields."""

from __future__ import annotations

from sw.importer.flatbuffer import Scalar, Schema

__all__ = ["OPTIONS", "SCHEMAS"]

_BYTE, _INT = Scalar(1), Scalar(4)


def _schema(name: str, *fields: Scalar, first: int = 0) -> Schema:
    return Schema(name, dict(enumerate(fields, first)))


# Every options table that is read holds numbers only, each checked at its own width, since the
# last field may end the table.
SCHEMAS: dict[str, Schema] = {
    schema.name: schema
    for schema in (
        _schema("Conv2DOptions", _BYTE, _INT, _INT, _BYTE, _INT, _INT),
        _schema("DepthwiseConv2DOptions", _BYTE, _INT, _INT, _INT, _BYTE, _INT, _INT),
        _schema("TransposeConvOptions", _BYTE, _INT, _INT, _BYTE),
        _schema("Pool2DOptions", _BYTE, _INT, _INT, _INT, _INT, _BYTE),
        _schema("FullyConnectedOptions", _BYTE, _BYTE, _BYTE),
        _schema("SoftmaxOptions", _INT),
        _schema("AddOptions", _BYTE),
        _schema("SubOptions", _BYTE),
        _schema("MulOptions", _BYTE),
        _schema("ReducerOptions", _BYTE),
        _schema("ArgMaxOptions", _BYTE),
        _schema("ConcatenationOptions", _INT, _BYTE),
        _schema("PackOptions", _INT, _INT),
        _schema("UnpackOptions", _INT, _INT),
        _schema("StridedSliceOptions", _INT, _INT, _INT, _INT, _INT, _BYTE),
        # The first two fields are no longer used.
        _schema("ResizeBilinearOptions", _BYTE, _BYTE, first=2),
        _schema("ResizeNearestNeighborOptions", _BYTE, _BYTE),
        _schema("LeakyReluOptions", _INT),
        _schema("MirrorPadOptions", _BYTE),
        _schema("GatherOptions", _INT, _INT),
    )
}
"""Fields of the tables that are read."""

OPTIONS: dict[str, str | None] = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "SOFTMAX": "SoftmaxOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_PROD": "ReducerOptions",
    "ARG_MAX": "ArgMaxOptions",
    "CONCATENATION": "ConcatenationOptions",
    "PACK": "PackOptions",
    "UNPACK": "UnpackOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "MIRROR_PAD": "MirrorPadOptions",
    "GATHER": "GatherOptions",
}
"""The table of options that the importer reads, for every operator that has one."""
