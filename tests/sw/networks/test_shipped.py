"""The networks and images that ship: whole, exact, accurate, and used when none are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.command import BOARD, error_of
from support.judges import LiteRT

import boards
from common.errors import InputError
from sim import layer
from sw import compile as compile_tool
from sw import golden, importer, run
from sw.compiler import compile_graph
from sw.figures import store
from sw.figures.store import lookup
from sw.fuzz.builder import NetworkBuilder
from sw.networks import samples, shipped
from sw.networks.shipped import NETWORKS, default_images, default_labels, default_model
from sw.quantize.accuracy import golden_outputs

LARGEST = 1 << 20
RIGHT = {name: lookup(store.read(), f"accuracy/{network.name}/right")
         for name, network in NETWORKS.items()}
"""Of the 400 images that ship, as the documents say."""


def test_files_are_small() -> None:
    for path in shipped.DATA.iterdir():
        assert path.stat().st_size < LARGEST, path


def test_images() -> None:
    images, labels = default_images()
    assert images.shape == (400, 28, 28) and images.dtype == np.uint8
    assert labels.tolist() == list(range(10)) * 40
    assert len({image.tobytes() for image in images}) == 400
    assert default_labels()[9] == "Ankle boot"


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_network(name: str) -> None:
    """As accurate on the images that ship as the documents say; the reference's integers."""
    path = default_model(name)
    graph = importer.load(path)
    assert graph.name == NETWORKS[name].name
    images, labels = default_images()
    outputs = golden_outputs(graph, images)
    assert int((outputs.argmax(axis=1) == labels).sum()) == RIGHT[name]
    judge = LiteRT(path)
    for image, output in zip(images[:10], outputs, strict=False):
        x = (image.astype(np.int16) - 128).astype(np.int8)[None, ..., None]
        judge.run(x)
        np.testing.assert_array_equal(judge.tensor(graph.outputs[0]).ravel(), output)
        expected = golden.run(graph, x)
        for op in graph.ops:
            np.testing.assert_array_equal(
                judge.tensor(op.output).ravel(), expected[op.output].ravel(), err_msg=op.name
            )


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_network_is_its_architecture(name: str) -> None:
    board = boards.get("icebreaker")
    program = compile_graph(importer.load(default_model(name)), board.config, board=board.name)
    assert program.macs == NETWORKS[name].macs


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_simulated(name: str, tmp_path: Path) -> None:
    """Every tensor of some images, on the simulated core."""
    target = tmp_path / "report.json"
    code = run.main([
        str(default_model(name)), *BOARD, "--images", "3", "--verify", "--json", str(target),
    ])
    data = json.loads(target.read_text())
    assert code == 0
    assert all(entry["exact"] for entry in data["layers"])
    outputs = golden_outputs(importer.load(default_model(name)), default_images()[0][:3])
    assert [entry["output"] for entry in data["results"]] == outputs.tolist()
    assert [entry["truth"] for entry in data["results"]] == [0, 1, 2]


def test_run_without_model_and_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.json"
    assert run.main([*BOARD, "--backend", "golden", "--json", str(target)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert printed.err == ""
    images, labels = default_images()
    outputs = golden_outputs(importer.load(default_model()), images[: samples.FEW])
    names = default_labels()
    for number, found in enumerate(outputs.argmax(axis=1)):
        assert lines[number].startswith(f"test image {number}")
        assert f"label {names[found]}" in lines[number]
        assert f"truth {names[labels[number]]}" in lines[number]
        assert lines[number].endswith("WRONG") == (found != labels[number])
    right = int((outputs.argmax(axis=1) == labels[: samples.FEW]).sum())
    assert lines[samples.FEW] == f"{right} of {samples.FEW} test images classified rightly"
    assert json.loads(target.read_text())["model"] == NETWORKS["v1"].name


def test_own_input_with_default_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels are known then, truth is not; options may stand between MODEL and INPUT."""
    np.save(tmp_path / "x.npy", default_images()[0][8][..., None].view(np.int8) ^ -128)
    model = str(default_model())
    assert run.main([model, *BOARD, str(tmp_path / "x.npy"), "--backend", "golden"]) == 0
    assert "top          8:" in capsys.readouterr().out


def test_own_input_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is called like an image is an INPUT, not the MODEL; its classes have names."""
    path = tmp_path / "bag.png"
    Image.fromarray(default_images()[0][8]).resize((56, 56), Image.Resampling.NEAREST).save(path)
    assert run.main([*BOARD, str(path), "--backend", "golden"]) == 0
    first = capsys.readouterr().out.splitlines()
    assert first[0] == str(path)
    assert first[1].split()[:2] == ["top", "8:"]
    assert first[1].endswith("Bag")


@pytest.mark.slow
def test_compile_without_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert compile_tool.main(BOARD) == 0
    assert NETWORKS["v1"].name in capsys.readouterr().out


@pytest.mark.slow
def test_layer_without_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert layer.main([*BOARD, "--layer", "12"]) == 0
    assert "conv_2d_12" in capsys.readouterr().out


# Bad input


def test_other_networks_need_an_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = NetworkBuilder(seed=3)
    y = net.conv_2d(net.input((1, 12, 12, 3)), 8, kernel=(3, 3))
    path = tmp_path / "other.tflite"
    path.write_bytes(net.build(outputs=[y]))
    assert run.main([str(path), *BOARD]) == 2
    assert "name an INPUT" in error_of(capsys)


@pytest.mark.parametrize("count", ["0", "-1", "401"])
def test_bad_count(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([*BOARD, "--images", count]) == 2
    assert "ask for 1 to 400" in error_of(capsys)


def test_images_and_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    model = str(default_model())
    assert run.main([model, "x.npy", *BOARD, "--images", "3"]) == 2
    assert "leave it out, or the INPUTs" in error_of(capsys)


def test_missing_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no network 'v3' ships with the project; there are v1"):
        default_model("v3")
    monkeypatch.setattr(shipped, "DATA", tmp_path)
    for call in (default_model, default_images):
        with pytest.raises(InputError, match="install the project again"):
            call()
