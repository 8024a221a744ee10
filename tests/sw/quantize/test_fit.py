"""What the quantiser writes compiles: random networks, and what it changes where it must."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from support.float_networks import CORNERS, corner_weights, random_images, random_weights

import boards
from sw import importer, ir
from sw.compiler import compile_graph
from sw.networks.architecture import Architecture, mobilenet_v1, mobilenet_v2
from sw.quantize import fit
from sw.quantize.__main__ import main
from sw.quantize.calibrate import ActivationQuantization, calibrate, choose, groups
from sw.quantize.export import quantize
from sw.quantize.layer import quantize_layer
from sw.quantize.reference import POOL, FloatNetwork, sum_name
from sw.quantize.weights import save

BOARD = boards.get("icebreaker")
V1 = mobilenet_v1(0.1, 17, classes=3, channels=1, padding="symmetric")
V2 = mobilenet_v2(0.1, 24, classes=5, head=24, stem_stride=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("net", "corners"),
    [*((V1, (corner,)) for corner in CORNERS), (V1, CORNERS), (V2, CORNERS)],
    ids=lambda value: value.name if isinstance(value, Architecture) else " and ".join(value),
)
def test_random_networks_compile(net: Architecture, corners: tuple[str, ...]) -> None:
    """No sums beyond the accumulators, no factors of 1 and more, no scale that is 0."""
    images = random_images(net, 2)
    if len(corners) == 1:
        # One colour, so that many layers see one value only.
        images = np.full_like(images, 7)
    network = FloatNetwork(net, corner_weights(net, corners, seed=len(corners[0])))
    graph = importer.loads(quantize(network, images, quantile=0.999))
    compile_graph(graph, BOARD.config, board=BOARD.name)
    for op in graph.ops:
        if isinstance(op, ir.Conv2D | ir.DepthwiseConv2D):
            x, y = graph.tensors[op.input].q.scale, graph.tensors[op.output].q.scale
            factors = x * np.array(graph.tensors[op.weights].q.scales) / y
            assert np.all((factors >= 2**-16) & (factors < 1))


@pytest.mark.slow
def test_channels_without_integers_get_other_scales() -> None:
    """With few fraction bits there are many such channels, and neighbouring scales that have."""
    core = dataclasses.replace(BOARD.config, fraction_bits=9)
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(64, 200)), rng.normal(size=64)
    x, y = ActivationQuantization(0.02, -128), ActivationQuantization(0.1, -128)

    def refused(stretch: np.ndarray) -> np.ndarray:
        integers, biases, scales = quantize_layer(weight, bias, x, y, axis=0, stretch=stretch)
        return fit.refused_channels(integers, biases, scales, x, y, "RELU6", core)

    before = refused(np.ones(64))
    after = refused(np.where(before, fit.STRETCHES[1], 1))
    assert before.sum() > 0 and not after[~before].any()
    assert after.sum() < before.sum()


def test_sums_and_averages_that_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is added to another sum keeps the quantisation of the other operand."""
    network = FloatNetwork(V2, random_weights(V2))
    chosen = choose(network, calibrate(network, random_images(V2, 2)))
    scales = {q.scale for q in chosen.values()}
    monkeypatch.setattr(fit, "sum_is_taken", lambda x, y, core: y.scale not in scales)
    monkeypatch.setattr(fit, "average_is_taken", lambda x, y, size, core: y.scale not in scales)
    settled = fit.settle(V2, chosen, BOARD.config)
    changed = {name for name in chosen if settled[name] != chosen[name]}
    assert POOL in changed
    assert changed >= {sum_name(layer) for layer in V2.layers if layer.skip is not None}
    for names in groups(V2):
        assert len({settled[name] for name in names}) == 1
    for name in changed:
        assert 1 < settled[name].scale / chosen[name].scale < 1.01
        assert settled[name].zero_point == chosen[name].zero_point
    monkeypatch.setattr(fit, "average_is_taken", lambda x, y, size, core: False)
    assert fit.settle(V2, chosen, BOARD.config)[POOL] == chosen[POOL]


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 3])
def test_averages_are_judged_by_the_compiler(size: int) -> None:
    x, y = ActivationQuantization(0.0235, -128), ActivationQuantization(0.0235, -128)
    assert fit.average_is_taken(x, y, size=size, core=BOARD.config)
    assert not fit.average_is_taken(x, y, size=300, core=BOARD.config)


@pytest.mark.slow
def test_networks_that_do_not_compile_are_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here the last image is too large to be averaged; and the old file stays."""
    net = mobilenet_v1(0.05, 800, classes=2, channels=1)
    save(tmp_path / "w.npz", random_weights(net))
    np.savez(tmp_path / "images.npz", images=random_images(net, 1))
    output = tmp_path / "out.tflite"
    output.write_bytes(b"old")
    assert main([
        str(tmp_path / "w.npz"), "--network", "v1", "--alpha", "0.05", "--resolution", "800",
        "--classes", "2", "--channels", "1", "--images", str(tmp_path / "images.npz"),
        "--output", str(output),
    ]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: out: ")
    assert output.read_bytes() == b"old"


def test_board_must_be_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "w.npz", random_weights(V1))
    np.savez(tmp_path / "images.npz", images=random_images(V1, 1))
    assert main([
        str(tmp_path / "w.npz"), "--network", "v1", "--alpha", "0.1", "--resolution", "17",
        "--classes", "3", "--channels", "1", "--images", str(tmp_path / "images.npz"),
        "--output", str(tmp_path / "out.tflite"), "--board", "icebraker",
    ]) == 2
    assert "icebreaker" in capsys.readouterr().err
    assert not (tmp_path / "out.tflite").exists()
