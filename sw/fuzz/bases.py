"""Small networks that mutants are made of: all operators, both types."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sw.fuzz.assemble import build_network
from sw.fuzz.layers import Input, Layer
from sw.fuzz.network import Network
from sw.quantize.flatbuffer import OperatorSpec, TensorSpec

__all__ = ["BASES", "Specification", "base", "base_bytes"]


@dataclass
class Specification:
    """A file before it is written.

    Attributes
    ----------
    tensors : list of TensorSpec
    operators : list of OperatorSpec
    inputs, outputs : list of int
    """

    tensors: list[TensorSpec]
    operators: list[OperatorSpec]
    inputs: list[int]
    outputs: list[int]


def _conv(x: int, channels: int, **more: object) -> Layer:
    return Layer(kind="CONV_2D", inputs=(x,), channels=channels, seed=x, **more)  # type: ignore[arg-type]


def _layer(kind: str, *inputs: int, **more: object) -> Layer:
    return Layer(kind=kind, inputs=inputs, seed=inputs[0], **more)  # type: ignore[arg-type]


_THREE = {"kernel": (3, 3), "stride": (2, 2), "activation": "RELU6"}


def _every_operator() -> Network:
    """Return a network with every operator; the device cannot run all of it."""
    return Network(
        inputs=(Input(shape=(1, 8, 8, 3)),),
        layers=(
            _conv(0, 4, **_THREE),
            _layer("DEPTHWISE_CONV_2D", 1, kernel=(3, 3), activation="RELU"),
            _layer("ADD", 1, 2),
            _layer("MUL", 3, constant="scalar"),
            _layer("SUB", 4, constant="channel"),
            _layer("PAD", 5, numbers=(1, 0, 0, 1)),
            _layer("AVERAGE_POOL_2D", 6, kernel=(2, 2)),
            _layer("MEAN", 7, keep_dims=False),
            _layer("FULLY_CONNECTED", 8, channels=5),
            _layer("SOFTMAX", 9),
            _layer("QUANTIZE", 10, dtype="uint8"),
            _layer("TRANSPOSE", 11, numbers=(1, 0)),
            _layer("RESHAPE", 12, form="flat"),
        ),
        outputs=(13,),
    )


def _v1() -> Network:
    return Network(
        inputs=(Input(shape=(1, 7, 6, 3)),),
        layers=(
            _conv(0, 8, **_THREE),
            _layer("DEPTHWISE_CONV_2D", 1, kernel=(3, 3), stride=(2, 2), activation="RELU6"),
            _conv(2, 10, activation="RELU"),
            _layer("AVERAGE_POOL_2D", 3, kernel=(0, 0)),
            _layer("RESHAPE", 4),
            _layer("FULLY_CONNECTED", 5, channels=7),
            _layer("SOFTMAX", 6),
        ),
        outputs=(7,),
    )


def _v2() -> Network:
    return Network(
        inputs=(Input(shape=(1, 4, 5, 3)),),
        layers=(
            _conv(0, 8, **_THREE),
            _conv(1, 11, activation="RELU6"),
            _layer("DEPTHWISE_CONV_2D", 2, kernel=(3, 3), activation="RELU6"),
            _conv(3, 8, same_scale=True),
            _layer("ADD", 4, 1, gain=1.0),
            _layer("MEAN", 5, gain=1.0),
            _conv(6, 5),
            _layer("RESHAPE", 7),
        ),
        outputs=(8,),
    )


def _padded() -> Network:
    return Network(
        inputs=(Input(shape=(1, 3, 5, 6)),),
        layers=(
            _layer("TRANSPOSE", 0, numbers=(0, 2, 3, 1)),
            _layer("PAD", 1, numbers=(1, 1, 1, 1)),
            _conv(2, 8, **_THREE | {"padding": "VALID"}),
            _layer("PAD", 3, numbers=(1, 1, 1, 1)),
            _layer("DEPTHWISE_CONV_2D", 4, kernel=(3, 3), padding="VALID"),
        ),
        outputs=(5,),
    )


def _multiplied() -> Network:
    return Network(
        inputs=(Input(shape=(1, 5, 6, 1)),),
        layers=(
            _layer("DEPTHWISE_CONV_2D", 0, channels=8, **_THREE),
            _layer("DEPTHWISE_CONV_2D", 1, kernel=(3, 3)),
            _layer("RESHAPE", 2, form="flat"),
            _layer("FULLY_CONNECTED", 3, channels=3),
        ),
        outputs=(4,),
    )


def _retyped() -> Network:
    return Network(
        inputs=(Input(shape=(1, 4, 4, 2)),),
        layers=(
            _layer("QUANTIZE", 0, dtype="uint8"),
            _conv(1, 8, kernel=(3, 3)),
            _layer("QUANTIZE", 2, dtype="int8"),
            _conv(3, 8),
            _layer("AVERAGE_POOL_2D", 4, kernel=(0, 0)),
            _layer("SOFTMAX", 5),
        ),
        outputs=(4, 6),
    )


def _two_inputs() -> Network:
    return Network(
        inputs=(Input(shape=(1, 3, 3, 8)), Input(shape=(1, 3, 3, 8))),
        layers=(
            _conv(0, 8, same_scale=True),
            _layer("ADD", 2, 1, gain=1.0, activation="RELU"),
            _layer("DEPTHWISE_CONV_2D", 3, kernel=(3, 3)),
            _layer("AVERAGE_POOL_2D", 4, kernel=(0, 0)),
        ),
        outputs=(3, 5),
    )


def _dense() -> Network:
    return Network(
        inputs=(Input(shape=(1, 20)),),
        layers=(
            _layer("FULLY_CONNECTED", 0, channels=10, activation="RELU"),
            _layer("FULLY_CONNECTED", 1, channels=5, bias="absent"),
        ),
        outputs=(2,),
    )


def _host() -> Network:
    return Network(
        inputs=(Input(shape=(1, 5, 5, 3)),),
        layers=(
            _layer("MUL", 0, constant="channel"),
            _layer("SUB", 1, constant="full"),
            _conv(2, 6, kernel=(5, 5), padding="VALID"),
            _layer("SOFTMAX", 3, beta=0.7),
        ),
        outputs=(4,),
    )


def _around() -> Network:
    """Return a network of operators that the host runs, in front, in the middle and at the end."""
    return Network(
        inputs=(Input(shape=(1, 6, 6, 4)),),
        layers=(
            _layer("MIRROR_PAD", 0, numbers=(0, 0, 1, 1, 1, 1, 0, 0)),
            _conv(1, 8, **_THREE),
            _layer("LEAKY_RELU", 2),
            _layer("MAX_POOL_2D", 3, kernel=(2, 2), stride=(2, 2), padding="VALID"),
            _layer("RESIZE_NEAREST_NEIGHBOR", 4, numbers=(4, 4), form="centres"),
            _layer("CONCATENATION", 5, 5, numbers=(3,)),
            _conv(6, 8),
            _layer("HARD_SWISH", 7),
            _layer("SPLIT", 8, numbers=(3, 2)),
            _layer("STRIDED_SLICE", 9, numbers=(0, 0, 0, 0, 1, 4, 4, 4, 1, 2, 1, 1, 0, 0, 1)),
            _layer("PRELU", 10, constant="channel"),
            _layer("SLICE", 11, numbers=(0, 0, 1, 1, 2, -1)),
            _layer("LOGISTIC", 12),
            _layer("ARG_MAX", 12, numbers=(2,), dtype="int64"),
        ),
        outputs=(13, 14),
    )


def _images() -> Network:
    return Network(
        inputs=(Input(shape=(1, 4, 5, 3)),),
        layers=(
            _layer("RESIZE_BILINEAR", 0, numbers=(8, 7)),
            _layer("TRANSPOSE_CONV", 1, channels=4, kernel=(3, 3), stride=(2, 2)),
            _conv(2, 8, **_THREE),
            _layer("MAXIMUM", 3, constant="channel"),
            _layer("UNPACK", 4, numbers=(1,)),
            _layer("PACK", 5, 5, numbers=(1,)),
            _layer("PADV2", 6, numbers=(0, 0, 0, 0, 1, 0, 0, 2, 5)),
            _layer("MEAN", 7, numbers=(-1,)),
            _layer("SQUEEZE", 8),
            _layer("DEQUANTIZE", 9),
            _layer("EXPAND_DIMS", 10, numbers=(0,)),
        ),
        outputs=(11,),
    )


BASES = {
    network.__name__.strip("_"): network
    for network in (
        _every_operator, _v1, _v2, _padded, _multiplied, _retyped, _two_inputs, _dense, _host,
        _around, _images,
    )
}
"""By name."""


def _typed(network: Network, dtype: str) -> Network:
    """Return a network with inputs of another type, and QUANTIZE to the other one."""
    if dtype == "int8":
        return network
    swapped = {"int8": "uint8", "uint8": "int8"}
    data = network.to_json()
    for entry in data["inputs"]:
        entry |= {"dtype": "uint8", "zero_point": 128}
    for entry in data["layers"]:
        if entry["kind"] == "QUANTIZE":
            entry["dtype"] = swapped[entry.get("dtype", "int8")]
    return Network.from_json(data)


@cache
def _built(name: str, dtype: str) -> tuple[Specification, bytes]:
    network = _typed(BASES[name](), dtype)
    built = build_network(network.inputs, network.layers, network.outputs)
    file = built.net.file
    specification = Specification(
        file.tensors, file.operators, built.net.inputs, list(built.outputs)
    )
    return specification, built.data


def base(name: str, dtype: str) -> Specification:
    """Return one of :data:`BASES` with int8 or uint8 inputs; not to be changed."""
    return _built(name, dtype)[0]


def base_bytes(name: str, dtype: str) -> bytes:
    """Return its file."""
    return _built(name, dtype)[1]
