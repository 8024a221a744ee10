"""Dead channels: the reference's multiplier is 0, or leaves nothing of any sum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.compiled import check
from support.judges import LiteRT, Micro
from support.on_core import check_on_core
from support.plans import load_program, save_program

from common.errors import ModelFormatError, UnsupportedError
from sw import golden, importer
from sw.fuzz.builder import NetworkBuilder

ENDS = {0: (1 << 31) - 1, 3: -(1 << 31), 5: -(1 << 31) + 7}


def network(kind: str, scale: float, *, channels: dict[int, int] = ENDS) -> tuple[bytes, int]:
    """Return a layer with some channels of this weight scale and bias, between two others."""
    net = NetworkBuilder(seed=3)
    x = net.input((1, 5, 5, 8))
    if kind == "DEPTHWISE_CONV_2D":
        y = net.depthwise_conv_2d(x)
    elif kind == "CONV_2D":
        y = net.conv_2d(x, 8)
    else:
        y = net.fully_connected(net.average_pool_2d(x, window=(5, 5)), 8, per_channel=True)
    operator = net.file.operators[-1]
    weights, bias = (net[i] for i in operator.inputs[1:])
    data = np.array(bias.data)
    for channel, value in channels.items():
        weights.scales[channel] = bias.scales[channel] = scale
        data[channel] = value
    bias.data = data
    if kind != "FULLY_CONNECTED":
        y = net.conv_2d(y, 9)
    return net.build(outputs=[y]), operator.outputs[0]


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.0, 1e-20])
@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_dead_channels_are_the_zero_point(kind: str, scale: float, tmp_path: Path) -> None:
    """Their sums wrap in int32: nothing is left of them."""
    model, index = network(kind, float(np.float32(scale)))
    graph = importer.loads(model)
    micro, reference = Micro(model), LiteRT(model)
    value = np.full((1, 5, 5, 8), 101, np.int8)
    outputs = golden.run(graph, value)[index]
    for judge in (micro, reference):
        judge.run(value)
        # TensorFlow Lite Micro rounds what lives in a fully connected layer otherwise.
        of_dead = judge.tensor(index).reshape(outputs.shape)[..., list(ENDS)]
        assert np.all(of_dead == graph.tensors[index].q.zero_point)
    np.testing.assert_array_equal(reference.tensor(index), outputs)
    check(model, remove_constant_channels=True)
    save_program(check_on_core(model), tmp_path / "network.sep")
    load_program(tmp_path / "network.sep")


def test_channels_that_only_seem_dead_are_refused() -> None:
    """Where something is left of a sum that wraps, the reference is undefined."""
    for kind in ("CONV_2D", "FULLY_CONNECTED"):
        model, _ = network(kind, float(np.float32(3e-7)))
        with pytest.raises(UnsupportedError, match="overflow"):
            check_on_core(model)


def test_a_tensors_own_scale_of_zero_is_refused() -> None:
    for kind in ("CONV_2D", "FULLY_CONNECTED"):
        model, _ = network(kind, 0.0, channels=dict.fromkeys(range(8), 5))
        with pytest.raises(ModelFormatError, match="only some channels of weights may have 0"):
            importer.loads(model)
