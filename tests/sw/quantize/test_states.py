"""Weights of other frameworks, by their names and layouts, and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.float_networks import random_images, random_weights

from common.errors import InputError
from sw import golden, importer
from sw.networks.architecture import Architecture, mobilenet_v1, mobilenet_v2
from sw.networks.detectors import fomo
from sw.quantize import states, weights
from sw.quantize.__main__ import main
from sw.quantize.accuracy import accuracy, golden_outputs
from sw.quantize.weights import LayerWeights, Weights

V1 = mobilenet_v1(0.125, 32, classes=5)
V2 = mobilenet_v2(0.25, 32, classes=5, head=24)
State = dict[str, np.ndarray]


def same(a: Weights, b: Weights, epsilon: float) -> None:
    assert a.keys() == b.keys()
    for name, x in a.items():
        y = b[name]
        np.testing.assert_array_equal(x.weight, y.weight, err_msg=name)
        assert (x.bias is None) == (y.bias is None)
        if x.bias is not None:
            np.testing.assert_array_equal(x.bias, y.bias)
        assert (x.norm is None) == (y.norm is None)
        if x.norm is not None and y.norm is not None:
            assert x.norm.epsilon == epsilon
            for part in ("gamma", "beta", "mean", "variance"):
                np.testing.assert_array_equal(getattr(x.norm, part), getattr(y.norm, part))


def keras(state: State, name: str, norm: str, layer: LayerWeights, kernel: str) -> None:
    """Add a layer as Keras stores it: kernels (rows, columns, inputs, outputs)."""
    w = layer.weight
    if w.ndim == 3:
        w = w[..., None]
    elif w.ndim == 4:
        w = w.transpose(1, 2, 3, 0)
    else:
        w = w.T
    state[f"{name}/{kernel}"] = w
    if layer.bias is not None:
        state[f"{name}/bias"] = layer.bias
    if layer.norm is not None:
        state[f"{norm}/gamma"] = layer.norm.gamma
        state[f"{norm}/beta"] = layer.norm.beta
        state[f"{norm}/moving_mean"] = layer.norm.mean
        state[f"{norm}/moving_variance"] = layer.norm.variance


def keras_v1(found: Weights, depthwise: str = "kernel") -> State:
    state: State = {}
    keras(state, "conv1", "conv1_bn", found["stem"], "kernel")
    for n in range(1, 14):
        keras(state, f"conv_dw_{n}", f"conv_dw_{n}_bn", found[f"block{n}_depthwise"], depthwise)
        keras(state, f"conv_pw_{n}", f"conv_pw_{n}_bn", found[f"block{n}_pointwise"], "kernel")
    keras(state, "conv_preds", "", found["classifier"], "kernel")
    # A convolution of 1 × 1, where V2 has a dense layer.
    state["conv_preds/kernel"] = state["conv_preds/kernel"][None, None]
    return state


def keras_v2(found: Weights) -> State:
    state: State = {}
    keras(state, "Conv1", "bn_Conv1", found["stem"], "kernel")
    for n in range(1, 18):
        prefix = "expanded_conv" if n == 1 else f"block_{n - 1}"
        for part in ("expand", "depthwise", "project"):
            if f"block{n}_{part}" in found:
                name = f"{prefix}_{part}"
                keras(state, name, f"{name}_BN", found[f"block{n}_{part}"], "kernel")
    keras(state, "Conv_1", "Conv_1_bn", found["head"], "kernel")
    keras(state, "predictions", "", found["classifier"], "kernel")
    return state


def torch(state: State, name: str, norm: str, layer: LayerWeights) -> None:
    """Add a layer as PyTorch stores it: kernels (outputs, inputs, rows, columns)."""
    w = layer.weight
    if w.ndim == 3:
        w = w.transpose(2, 0, 1)[:, None]
    elif w.ndim == 4:
        w = w.transpose(0, 3, 1, 2)
    state[f"{name}.weight"] = w
    if layer.bias is not None:
        state[f"{name}.bias"] = layer.bias
    if layer.norm is not None:
        state[f"{norm}.weight"] = layer.norm.gamma
        state[f"{norm}.bias"] = layer.norm.beta
        state[f"{norm}.running_mean"] = layer.norm.mean
        state[f"{norm}.running_var"] = layer.norm.variance
        state[f"{norm}.num_batches_tracked"] = np.array(100)


def torchvision_v2(found: Weights) -> State:
    state: State = {}
    torch(state, "features.0.0", "features.0.1", found["stem"])
    block = found["block1_depthwise"], found["block1_project"]
    torch(state, "features.1.conv.0.0", "features.1.conv.0.1", block[0])
    torch(state, "features.1.conv.1", "features.1.conv.2", block[1])
    for n in range(2, 18):
        prefix = f"features.{n}.conv"
        torch(state, f"{prefix}.0.0", f"{prefix}.0.1", found[f"block{n}_expand"])
        torch(state, f"{prefix}.1.0", f"{prefix}.1.1", found[f"block{n}_depthwise"])
        torch(state, f"{prefix}.2", f"{prefix}.3", found[f"block{n}_project"])
    torch(state, "features.18.0", "features.18.1", found["head"])
    torch(state, "classifier.1", "", found["classifier"])
    return state


@pytest.mark.parametrize("depthwise", ["kernel", "depthwise_kernel"])
@pytest.mark.parametrize("decorated", ["{}", "mobilenet/{}", "{}:0"])
def test_keras_v1(depthwise: str, decorated: str) -> None:
    found = random_weights(V1)
    state = {decorated.format(k): v for k, v in keras_v1(found, depthwise).items()}
    same(states.load(state, V1), found, 1e-3)


def test_keras_v2() -> None:
    found = random_weights(V2)
    same(states.load(keras_v2(found), V2), found, 1e-3)


def test_torchvision_v2() -> None:
    net = mobilenet_v2(0.25, 32, classes=5, head=24, padding="symmetric")
    found = random_weights(net)
    state = torchvision_v2(found)
    # By name: the order does not matter.
    shuffled = dict(sorted(state.items(), reverse=True))
    same(states.load(shuffled, net), found, 1e-5)


def test_torchvision_names_and_shapes() -> None:
    """What torchvision's mobilenet_v2() has, some of it written out."""
    net = mobilenet_v2(padding="symmetric")
    state = torchvision_v2(random_weights(net))
    expected = {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.0.1.running_var": (32,),
        "features.1.conv.0.0.weight": (32, 1, 3, 3),
        "features.1.conv.1.weight": (16, 32, 1, 1),
        "features.1.conv.2.weight": (16,),
        "features.2.conv.0.0.weight": (96, 16, 1, 1),
        "features.2.conv.2.weight": (24, 96, 1, 1),
        "features.17.conv.1.0.weight": (960, 1, 3, 3),
        "features.17.conv.3.running_mean": (320,),
        "features.18.0.weight": (1280, 320, 1, 1),
        "classifier.1.weight": (1000, 1280),
        "classifier.1.bias": (1000,),
    }
    assert {name: state[name].shape for name in expected} == expected
    assert len(state) == 314
    states.load(state, net)


@pytest.mark.parametrize("v2", [False, True])
def test_other_torch_modules_by_order(v2: bool) -> None:
    make = mobilenet_v2 if v2 else mobilenet_v1
    net = make(0.25, 32, classes=5, padding="symmetric")
    found = random_weights(net)
    state: State = {}
    for number, (name, layer) in enumerate(found.items()):
        torch(state, f"body.{number}.conv", f"body.{number}.{name}.bn", layer)
    same(states.load(state, net), found, 1e-5)


def test_own_names(tmp_path: Path) -> None:
    found = random_weights(V2)
    weights.save(tmp_path / "w.npz", found)
    same(states.load(states.read(tmp_path / "w.npz"), V2), found, 1e-3)


# Bad input


def symmetric(net: Architecture) -> Architecture:
    return Architecture(**{**net.__dict__, "padding": "symmetric"})


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("keras missing", "no 'conv_pw_3/kernel' among the weights"),
        ("keras dense kernel", "weight of layer 'block2_depthwise' has the shape"),
        ("keras padding", "padding 'same', not 'symmetric'"),
        ("keras odd", "use a resolution that is a multiple of 32"),
        ("torch padding", "make the network with the padding 'symmetric'"),
        ("torchvision v1", "take a V2"),
        ("torchvision missing", "no 'features.18.1.running_mean' among the weights"),
        ("torch width", "has the shape"),
        ("torch count", "so it is another network"),
        ("torch dense kernel", "weight of layer 'block1_depthwise' has the shape"),
        ("own missing", "no 'head/weight' among the weights"),
        ("unknown", "names such as 'a' are not those of"),
        ("empty", r"names such as '\(none\)'"),
    ],
)
def test_wrong_states(case: str, message: str) -> None:
    v1, v2 = random_weights(V1), random_weights(V2)
    state: dict[str, Any] = {}
    net = V1
    match case:
        case "keras missing":
            state = keras_v1(v1)
            del state["conv_pw_3/kernel"]
        case "keras dense kernel":
            state = keras_v1(v1)
            state["conv_dw_2/kernel"] = np.zeros((3, 3, 8, 8))
        case "keras padding":
            state, net = keras_v1(v1), symmetric(V1)
        case "keras odd":
            net = mobilenet_v1(0.125, 28, classes=5)
            state = keras_v1(random_weights(net))
        case "torch padding":
            state, net = torchvision_v2(v2), V2
        case "torchvision v1":
            state, net = torchvision_v2(v2), symmetric(V1)
        case "torchvision missing":
            state, net = torchvision_v2(v2), symmetric(V2)
            del state["features.18.1.running_mean"]
        case "torch width" | "torch dense kernel" | "torch count":
            for name, layer in v1.items():
                torch(state, f"{name}.a", f"{name}.b", layer)
            net = symmetric(V1 if case != "torch width" else mobilenet_v1(0.25, 32, classes=5))
            if case == "torch dense kernel":
                state["block1_depthwise.a.weight"] = np.zeros((4, 4, 3, 3))
            if case == "torch count":
                del state["stem.b.weight"]
        case "own missing":
            state, net = {"stem/weight": v2["stem"].weight}, V2
            state = {f"{k}/weight": w.weight for k, w in v2.items() if k != "head"}
        case "unknown":
            state = {"a": np.zeros(3)}
    with pytest.raises(InputError, match=message):
        states.load(state, net)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        states.read(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("nothing")
    with pytest.raises(InputError, match=r"not a \.npz file"):
        states.read(tmp_path / "text.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(InputError, match="one array without a name"):
        states.read(tmp_path / "one.npy")
    (tmp_path / "text.pt").write_text("nothing")
    with pytest.raises(InputError, match=r"needs PyTorch|not a state dictionary"):
        states.read(tmp_path / "text.pt")


# The command line

OPTIONS = [
    "--network", "v1", "--alpha", "0.125", "--resolution", "32", "--classes", "5",
    "--preprocessing", "keras",
]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    images = random_images(V1, 12)
    np.savez(tmp_path / "w.npz", **keras_v1(random_weights(V1)))
    np.savez(tmp_path / "images.npz", images=images)
    np.savez(tmp_path / "test.npz", images=images, labels=np.arange(12) % 5)
    return {
        name: str(tmp_path / name) for name in ("w.npz", "images.npz", "test.npz", "out.tflite")
    }


def test_command(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    code = main([
        files["w.npz"], *OPTIONS, "--images", files["images.npz"], "--test", files["test.npz"],
        "--output", files["out.tflite"],
    ])
    printed = capsys.readouterr()
    assert (code, printed.err) == (0, "")
    graph = importer.load(files["out.tflite"])
    data = np.load(files["test.npz"])
    int8 = accuracy(golden_outputs(graph, data["images"]).argmax(axis=1), data["labels"])
    assert "12 test images: float " in printed.out
    assert f"int8 {int8:.2%}" in printed.out
    assert f"{V1.macs:,} multiply-adds" in printed.out
    assert [op.kind for op in graph.ops][-1] == "SOFTMAX"
    assert golden.run(graph, np.zeros((1, 32, 32, 3), np.int8))


def test_a_detector(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    net = fomo(mobilenet_v1(0.125, 32, classes=5), head=16)
    weights.save(files["w.npz"], random_weights(net))
    arguments = [
        files["w.npz"], *OPTIONS, "--fomo", "--head", "16", "--images", files["images.npz"],
        "--output", files["out.tflite"],
    ]
    assert main(arguments) == 0
    graph = importer.load(files["out.tflite"])
    assert graph.tensors[graph.outputs[0]].shape == (1, 4, 4, 6)
    assert f"{net.macs:,} multiply-adds" in capsys.readouterr().out
    assert main([*arguments, "--test", files["test.npz"]]) == 2
    assert "--test is for classifiers" in capsys.readouterr().err


def test_folder_of_images(files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for number, image in enumerate(random_images(V1, 3)):
        Image.fromarray(image).resize((40, 50)).save(tmp_path / f"folder/{number}.png")
    assert main([
        files["w.npz"], *OPTIONS, "--images", str(tmp_path / "folder"), "--logits",
        "--output", files["out.tflite"],
    ]) == 0
    assert importer.load(files["out.tflite"]).ops[-1].kind == "RESHAPE"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--alpha", "0.25"], "another width multiplier"),
        (["--alpha", "0.25"], "w.npz: "),
        (["--resolution", "64"], "images.npz: "),
        (["--test", "WEIGHTS"], "w.npz: there is no array 'images' in it"),
        (["--images", "FOLDER"], "note.txt: not a readable image"),
        (["--head", "10"], "--head is for --network v2 and --fomo"),
        (["--quantile", "3"], "quantile"),
        (["--resolution", "64"], "takes images of uint8"),
        (["--images", "/nonexistent.npz"], "cannot be read"),
        (["--output", "/nonexistent/x.tflite"], "cannot be written"),
        (["--test", "IMAGES"], "0 labels for 12 images"),
    ],
)
def test_command_errors(
    files: dict[str, str], changes: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(files["w.npz"]).parent / "folder"
    folder.mkdir()
    (folder / "note.txt").write_text("no picture")
    places = {"IMAGES": files["images.npz"], "WEIGHTS": files["w.npz"], "FOLDER": str(folder)}
    changes = [places.get(change, change) for change in changes]
    arguments = [
        files["w.npz"], *OPTIONS, "--images", files["images.npz"],
        "--output", files["out.tflite"], *changes,
    ]
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    assert message in lines[0]
