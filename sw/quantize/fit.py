"""Quantisation that a board's compiler takes.

The compiler proves every output of a layer, and now and then there are no integers for the
hardware that give the reference's: then a scale that is some thousandths larger nearly always has
some.  Where a whole network is refused, these functions find what to change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from common import progress
from common.errors import UnsupportedError
from hw.contract.board import Board
from hw.contract.config import CoreConfig
from sw import importer
from sw.compiler import compile_graph
from sw.compiler.exact.reference import ChannelSums, Reference
from sw.compiler.exact.requantisation import encode
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.golden.primitives import activation_range, quantize_multiplier
from sw.golden.requantisation import Requantisation
from sw.ir import Activation
from sw.networks.architecture import Architecture
from sw.quantize.calibrate import ActivationQuantization, groups
from sw.quantize.flatbuffer import ACTIVATIONS, FileBuilder
from sw.quantize.reference import POOL, sum_name

__all__ = ["STRETCHES", "check", "refused_channels", "settle"]

STRETCHES = tuple(1 + n / 512 for n in range(32))
"""Factors of a scale that are tried, one after the other."""


def check(model: bytes, name: str, board: Board) -> None:
    """Check that a file compiles.

    Raises
    ------
    UnsupportedError
        If it does not, saying why.
    """
    graph = importer.loads(model, name)
    with progress.stage(f"checking that {name} compiles for {board.name}"):
        compile_graph(
            graph, board.config, board=board.name, flash_address=board.flash.program_base
        )


def refused_channels(
    weights: npt.NDArray[np.int8],
    biases: npt.NDArray[np.int32],
    scales: npt.NDArray[np.float32],
    x: ActivationQuantization,
    y: ActivationQuantization,
    activation: Activation,
    core: CoreConfig,
) -> npt.NDArray[np.bool_]:
    """Return which channels of a convolution have no integers of their own for the hardware.

    What takes guards or pieces besides could be run, and would cost cycles.

    Parameters
    ----------
    weights : (C, K) int8
    biases, scales : (C,)
    x, y : ActivationQuantization
        Of input and output.
    activation : Activation
        The fused one.
    core : CoreConfig

    Returns
    -------
    (C,) bool
        Whatever the inputs: more than the compiler asks, which may know something of them.
    """
    pairs = [quantize_multiplier(float(np.float32(x.scale)) * float(s) / y.scale) for s in scales]
    multiplier, shift = np.array(pairs, np.int64).T
    low, high = activation_range(activation, "int8", y.scale, y.zero_point)
    requantisation = Requantisation(zero_point=y.zero_point, act_min=low, act_max=high)

    def refused(part: slice) -> bool:
        try:
            encoded = encode(
                Reference(
                    multiplier=multiplier[part], shift=shift[part], requantisation=requantisation
                ),
                ChannelSums(
                    weights=weights[part].astype(np.int64),
                    bias=biases[part].astype(np.int64),
                    input_zero_point=x.zero_point,
                    input_range=np.array([[[-128]], [[127]]], np.int64),
                ),
                RequantiserSpec.of(core),
                where="a layer",
            )
        except UnsupportedError:
            return True
        return bool(encoded.guards or encoded.pieces)

    if not refused(slice(None)):
        return np.zeros(len(scales), np.bool_)
    return np.array([refused(slice(c, c + 1)) for c in range(len(scales))])


def sum_is_taken(
    x: ActivationQuantization, y: ActivationQuantization, *, core: CoreConfig
) -> bool:
    """Return whether a core can add two tensors of one quantisation."""
    file = FileBuilder()
    operands = [_tensor(file, name, 1, x) for name in ("first", "second")]
    output = _tensor(file, "sum", 1, y)
    options = {"FusedActivationFunction": ACTIVATIONS["NONE"]}
    file.operator("ADD", operands, [output], ("AddOptions", options))
    return _is_taken(file.build(operands, [output]), core)


def average_is_taken(
    x: ActivationQuantization, y: ActivationQuantization, *, size: int, core: CoreConfig
) -> bool:
    """Return whether a core can average images of ``size`` × ``size`` pixels."""
    file = FileBuilder()
    image, output = _tensor(file, "image", size, x), _tensor(file, "average", 1, y)
    axes = file.tensor((2,), "int32", data=np.array([1, 2], np.int32), name="axes")
    file.operator("MEAN", [image, axes], [output], ("ReducerOptions", {"KeepDims": True}))
    return _is_taken(file.build([image], [output]), core)


def _tensor(file: FileBuilder, name: str, size: int, q: ActivationQuantization) -> int:
    return file.tensor((1, size, size, 8), "int8", [q.scale], [q.zero_point], name=name)


def _is_taken(model: bytes, core: CoreConfig) -> bool:
    try:
        compile_graph(importer.loads(model), core, board="")
    except UnsupportedError:
        return False
    return True


def settle(
    net: Architecture, chosen: Mapping[str, ActivationQuantization], core: CoreConfig
) -> dict[str, ActivationQuantization]:
    """Return quantisations with which a core can do all sums, and the average.

    Parameters
    ----------
    net : Architecture
    chosen : mapping
        From :func:`sw.quantize.calibrate.choose`.
    core : CoreConfig
    """
    settled = dict(chosen)
    together = {name: names for names in groups(net) for name in names}
    sums = [layer for layer in net.layers if layer.skip is not None]
    for layer in progress.each(
        sums, "finding scales that the core can add", total=len(sums), unit="sums",
        name=lambda layer: layer.name,
    ):
        found = _stretched(
            settled[sum_name(layer)], partial(sum_is_taken, settled[layer.name], core=core)
        )
        settled.update(dict.fromkeys(together[sum_name(layer)], found))
    last = net.layers[-2]
    settled[POOL] = _stretched(
        settled[POOL],
        partial(average_is_taken, settled[sum_name(last)], size=last.output_size, core=core),
    )
    return settled


def _stretched(
    q: ActivationQuantization, is_taken: Callable[[ActivationQuantization], bool]
) -> ActivationQuantization:
    """Return a quantisation with the least stretch that is taken; as it was if none is."""
    for stretch in STRETCHES:
        # With the same zero point both ends move outwards.
        wider = ActivationQuantization(float(np.float32(q.scale * stretch)), q.zero_point)
        if is_taken(wider):
            return wider
    return q
