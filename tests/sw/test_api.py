"""The Python API: networks of every kind of name, inputs of every kind, results, files, types."""

from __future__ import annotations

import dataclasses
import gc
import json
import pickle
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.detections import cells
from support.networks import SMALL_SHAPE, small_model, small_network
from support.places import REPOSITORY

import boards
import separable
from common.errors import InputError, SeparableError
from sw import api, golden, images, importer, inference
from sw import compile as sw_compile
from sw.answers import Outputs
from sw.driver import GoldenDevice
from sw.fuzz.builder import NetworkBuilder
from sw.networks.shipped import default_images, default_labels
from sw.outputs.classes import best

INPUT = np.random.default_rng(0).integers(-128, 128, SMALL_SHAPE).astype(np.int8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("api") / "small.tflite"
    path.write_bytes(small_model())
    return path


@pytest.fixture(scope="module")
def net(model: Path) -> Iterator[separable.Network]:
    with separable.compile(model, "icebreaker") as found:
        yield found


def test_five_lines(net: separable.Network, model: Path) -> None:
    out = net.run(INPUT)
    graph = importer.load(model)
    (expected,) = (golden.run(graph, INPUT)[index] for index in graph.outputs)
    np.testing.assert_array_equal(out.outputs[0], expected)
    assert out.cycles == net.cycles == sum(layer.cycles or 0 for layer in net.layers)
    assert out.layer_cycles == tuple(layer.cycles for layer in net.layers)
    assert out.seconds == out.cycles / (net.board.config.core_mhz * 1e6)
    assert out.exact is None
    top = out.top(2)
    assert [entry.number for entry in top] == best(expected, 2)
    assert out.label == top[0].label == str(top[0].number)
    quantization = graph.tensors[graph.outputs[0]].q
    assert top[0].integer == expected.max()
    assert top[0].value == quantization.scale * (int(expected.max()) - quantization.zero_point)
    assert len(out.top(99)) == expected.size
    assert f"{out.cycles:,} cycles" in repr(out) and "small" in repr(net)


def test_a_detector(tmp_path: Path) -> None:
    (tmp_path / "cells.tflite").write_bytes(cells())
    x = np.random.default_rng(3).integers(-128, 128, (1, 24, 24, 1)).astype(np.int8)
    found_by = {}
    for name in ("golden", "sim"):
        with separable.compile(tmp_path / "cells.tflite", "icebreaker", backend=name,
                               labels=["cup", "face"]) as net:
            out = net.run(x)
        found_by[name] = out.found(0.9)
        assert repr(out).startswith(f"<Result {len(out.found())} found")
        with pytest.raises(InputError, match="use found instead of top"):
            out.top()
        with pytest.raises(InputError, match="a threshold is from 0 to 1"):
            out.found(-1)
    assert found_by["sim"] == found_by["golden"] != []
    assert {one.label for one in found_by["sim"]} <= {"cup", "face"}


def test_a_classifier_finds_nothing(net: separable.Network) -> None:
    with pytest.raises(InputError, match="use top instead of found"):
        net.run(INPUT).found()


def test_verify(net: separable.Network, monkeypatch: pytest.MonkeyPatch) -> None:
    assert net.verify(INPUT).exact is True

    class Wrong:
        @staticmethod
        def run(graph: object, x: object) -> dict[int, np.ndarray]:
            tensors = golden.run(net.plan.network, x)  # type: ignore[arg-type]
            return {index: value ^ 1 for index, value in tensors.items()}

    monkeypatch.setattr(inference, "golden", Wrong)
    with pytest.raises(separable.Difference, match=r"layer .* is .*, the golden model's"):
        net.verify(INPUT)


def test_the_golden_model_is_not_compared_with_itself(model: Path) -> None:
    net = separable.compile(model, backend="golden")
    out = net.run(INPUT)
    assert (out.cycles, out.seconds, out.layer_cycles) == (None, None, None)
    with pytest.raises(InputError, match="backend 'golden' runs the golden model"):
        net.verify(INPUT)
    # What the core would take is known all the same.
    assert net.cycles > 0


@pytest.mark.parametrize(
    "board",
    ["icebreaker", boards.get("icebreaker"), boards.get("icebreaker").config, None],
    ids=["name", "Board", "CoreConfig", "default"],
)
def test_boards(board: object, net: separable.Network, model: Path) -> None:
    found = separable.compile(str(model), board, backend="golden")  # type: ignore[arg-type]
    assert found.board.config == boards.get("icebreaker").config
    assert found.cycles == net.cycles


def test_networks(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEPARABLE_MODELS", str(model.parent))
    assert separable.compile("small", backend="golden").plan.model == "small"
    assert separable.compile(small_network(), backend="golden").plan.model == "small"
    shipped = separable.compile(backend="golden")
    pixels, truth = default_images()
    out = shipped.run(pixels[1])
    assert out.label == default_labels()[truth[1]]
    assert separable.compile(model, labels=["a", "b", "c", "d"], backend="golden").run(
        INPUT
    ).label in "abcd"


def test_labels_for_other_classes() -> None:
    with pytest.raises(separable.SeparableError, match=r"3 labels, .* tells 10 classes"):
        separable.compile(labels=["a", "b", "c"], backend="golden")


@pytest.mark.parametrize("labels", [5, [1, 2], {"a": 1}, b"file"])
def test_labels_that_are_none(labels: object) -> None:
    with pytest.raises(separable.SeparableError, match="labels are the name of a file, or"):
        separable.compile(labels=labels, backend="golden")  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", [None, 3, ""])
def test_backends_that_are_none(backend: object) -> None:
    with pytest.raises(separable.SeparableError, match="a backend is 'sim', "):
        separable.compile(backend=backend)  # type: ignore[arg-type]


@pytest.mark.parametrize("file", [None, b"a", 3, ""])
def test_files_that_are_none(file: object, net: separable.Network) -> None:
    for use in (separable.load, net.save, separable.compile):
        if use is not separable.compile or file is not None:
            with pytest.raises(separable.SeparableError, match="the name of a file"):
                use(file)  # type: ignore[operator]


@pytest.mark.parametrize("value", [None, b"text", 3, object(), [["a"]]])
def test_inputs_that_are_none(value: object, net: separable.Network) -> None:
    with pytest.raises(separable.SeparableError, match="not a value of type"):
        net.run(value)  # type: ignore[arg-type]


def test_modes_of_pillow_that_it_does_not_convert() -> None:
    net = separable.compile(backend="golden")
    with pytest.raises(separable.SeparableError, match="mode La"):
        net.run(Image.new("La", (28, 28)))


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_numbers_of_classes_that_are_none(count: object, net: separable.Network) -> None:
    out = net.run(INPUT)
    assert len(out.top(1000)) == out.outputs[0].size
    with pytest.raises(separable.SeparableError, match="1 or more"):
        out.top(count)  # type: ignore[arg-type]


def test_a_network_is_not_pickled(net: separable.Network) -> None:
    with pytest.raises(TypeError, match="save"):
        pickle.dumps(net)


def test_threads_wait_for_each_other(net: separable.Network) -> None:
    inputs = [np.full_like(INPUT, value) for value in range(6)]
    alone = [net.run(x).outputs[0] for x in inputs]
    with ThreadPoolExecutor(3) as pool:
        together = [out.outputs[0] for out in pool.map(net.run, inputs)]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(
    ("network", "board", "said"),
    [
        (small_network(), 3, "a board is a name"),
        ("nosuch", None, "no file and no known network 'nosuch'"),
        ("nosuch.tflite", None, "cannot be read"),
        (small_network(), "icebraker", "did you mean icebreaker"),
    ],
)
def test_refused(network: object, board: object, said: str) -> None:
    with pytest.raises(separable.SeparableError, match=said):
        separable.compile(network, board)  # type: ignore[arg-type]


def test_files(net: separable.Network, tmp_path: Path) -> None:
    path = tmp_path / "small.prog"
    net.save(path)
    with separable.load(path, backend="golden") as again:
        assert again.board == net.board and again.report() == net.report()
        np.testing.assert_array_equal(again.run(INPUT).outputs[0], net.run(INPUT).outputs[0])
    with pytest.raises(InputError, match=r"compiled already; open it with separable\.load"):
        separable.compile(path)
    with pytest.raises(SeparableError, match="not a compiled program"):
        separable.load(__file__)
    config = dataclasses.replace(boards.get("icebreaker").config, core_mhz=30.0)
    with pytest.raises(InputError, match="compiled for board 'icebreaker', not configuration"):
        separable.load(path, config)
    own = separable.compile(small_network(), config, backend="golden")
    own.save(path)
    with pytest.raises(InputError, match="'configuration', which is none of the boards"):
        separable.load(path)
    assert separable.load(path, config, backend="golden").run(INPUT).cycles is None


def test_the_report_is_the_commands(
    net: separable.Network, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    assert sw_compile.main([str(model), "--board", "icebreaker", "--json", str(path)]) == 0
    said, ours = json.loads(path.read_text()), json.loads(json.dumps(net.report()))
    assert said == ours and said["cycles"] == net.cycles


def test_kinds_of_input(net: separable.Network, tmp_path: Path) -> None:
    expected = net.run(INPUT).outputs[0]
    np.save(tmp_path / "x.npy", INPUT)
    name = net.plan.network.tensors[net.plan.network.inputs[0]].name
    pixels = (INPUT[0].astype(int) + 128).astype(np.uint8)
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "x.png")
    for given in (
        INPUT[0], tmp_path / "x.npy", str(tmp_path / "x.png"), picture, pixels, pixels[None],
        {name: INPUT}, np.asfortranarray(INPUT),
    ):
        np.testing.assert_array_equal(net.run(given).outputs[0], expected)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (INPUT.astype(np.int16), r"the array is int16\[1, 12, 12, 3\]; give a picture"),
        (INPUT[:, :4], r"takes int8\[1, 12, 12, 3\], the array is int8"),
        (np.zeros((12, 12, 2), np.uint8), r"the array is uint8\[12, 12, 2\]"),
        (np.zeros((0, 12, 3), np.uint8), "has no pixels"),
        (None, "not a value of type NoneType"),
        ([[1, 2], [3]], "not what is no array"),
        ({"nosuch": INPUT}, "nosuch"),
        ({}, "is missing"),
        ("nosuch.png", "nosuch.png: cannot be read"),
    ],
)
def test_inputs_refused(given: object, said: str, model: Path) -> None:
    net = separable.compile(model, backend="golden")
    with pytest.raises(InputError, match=said):
        net.run(given)  # type: ignore[arg-type]


def test_a_picture_whose_file_is_cut(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with Image.open(path) as picture, pytest.raises(InputError, match="picture cannot be read"):
        separable.compile(model, backend="golden").run(picture)


def test_grey_pixels_and_other_types() -> None:
    builder = NetworkBuilder(seed=1)
    x = builder.input((1, 4, 6, 1))
    graph = importer.loads(builder.build(outputs=[builder.reshape(x, (24,))]))
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    for given in (pixels, pixels[..., None], pixels[None, ..., None]):
        np.testing.assert_array_equal(
            images.take(given, graph)[0, ..., 0], pixels.astype(int) - 128
        )


def test_several_inputs_and_outputs() -> None:
    builder = NetworkBuilder(seed=1)
    xs = [builder.input((1, 4, 4, 8)) for _ in range(2)]
    ys = [builder.conv_2d(x, 8, kernel=(1, 1)) for x in xs]
    graph = importer.loads(builder.build(outputs=ys), "two")
    net = separable.compile(graph, backend="golden")
    arrays = [np.full((4, 4, 8), value, np.int8) for value in (1, 2)]
    out = net.run(*arrays)
    names = [graph.tensors[index].name for index in graph.inputs]
    same = net.run({names[1]: arrays[1], names[0]: arrays[0]})
    for number, array in enumerate(out.outputs):
        np.testing.assert_array_equal(array, same.outputs[number])
        np.testing.assert_array_equal(array, out.outputs[out.outputs.names[number]])
    assert len(out.outputs) == 2
    with pytest.raises(InputError, match=r"takes 2 inputs, .*, not 1"):
        net.run(arrays[0])
    with pytest.raises(InputError, match="no output is called 'nosuch'; outputs, by number"):
        out.outputs["nosuch"]
    with pytest.raises(IndexError):
        out.outputs[2]
    with pytest.raises(InputError, match="several outputs are called 'a'"):
        Outputs(["a", "a"], arrays)["a"]


def test_closed(model: Path) -> None:
    with separable.compile(model, backend="golden") as net:
        net.run(INPUT)
    with pytest.raises(InputError, match="is closed; compile or load it again"):
        net.run(INPUT)
    net.close()


def test_what_nobody_refers_to_is_closed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    class Device(GoldenDevice):
        def __exit__(self, *_: object) -> None:
            closed.append(True)

    monkeypatch.setattr(api, "open_loaded", lambda name, board, graph, plan: Device(graph))
    net = separable.compile(model)
    net.run(INPUT)
    assert not closed
    del net
    gc.collect()
    assert closed


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "docs/api.md"])
def test_the_documents_lines(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(
        r"```python\n(import separable\n.*?)```", (REPOSITORY / name).read_text(), re.DOTALL
    )
    (tmp_path / "net.tflite").write_bytes(small_model())
    Image.fromarray(np.full((20, 30, 3), 77, np.uint8)).save(tmp_path / "cat.png")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, name, "exec"), {})
    label, cycles = capsys.readouterr().out.split()
    assert int(label) in range(4) and int(cycles) > 0


@pytest.mark.slow
def test_no_warnings_at_exit(model: Path) -> None:
    code = (
        "import sys, numpy, separable\n"
        "net = separable.compile(sys.argv[1], 'icebreaker')\n"
        f"print(net.verify(numpy.zeros({SMALL_SHAPE[1:]}, numpy.int8)).exact)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code, model], cwd=REPOSITORY,
        capture_output=True, text=True, check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


@pytest.mark.slow
def test_types(tmp_path: Path) -> None:
    script = tmp_path / "user.py"
    script.write_text(textwrap.dedent("""\
        import separable
        net = separable.compile("net.tflite", separable.board("icebreaker"))
        out = net.run("cat.png")
        reveal_type(net)
        reveal_type(out.cycles)
        out.cycels
        separable.comple
    """))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(script)],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )
    found = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    assert found[:2] == [
        'note: Revealed type is "sw.api.Network"', 'note: Revealed type is "int | None"',
    ]
    assert '"Result" has no attribute "cycels"' in found[2]
    assert 'Module has no attribute "comple"' in found[3]
    assert found[4].startswith("2 errors") or "Found 2 errors" in done.stdout
