"""Labels and normalisation from a file's metadata."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.judges import LiteRT
from support.metadata import VALUE_LABELS, classifier, metadata, packed

import boards
from common.errors import GraphError, InputError
from sw import images, importer
from sw.compiler import compile_network, load_plan, save_plan
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Normalisation

NAMES = ("cat", "dog", "horse", "a fish")
TEXT = "".join(f"{name}\n" for name in NAMES).encode()


def all_values(channels: int) -> np.ndarray:
    """Pixels (12, 12, C) that have all 256 values in three images' worth of a channel."""
    return np.arange(12 * 12 * channels).reshape(12, 12, channels).astype(np.uint8)


@pytest.mark.parametrize(
    "text",
    [TEXT, TEXT.rstrip(), TEXT.replace(b"\n", b"\r\n"), TEXT.replace(b"\n", b"\r"),
     b"\xef\xbb\xbf" + TEXT],
)
def test_labels(text: bytes) -> None:
    data = metadata(labels="labels.txt")
    graph = importer.loads(classifier(data, packed({"other.txt": b"no", "labels.txt": text})))
    assert graph.labels == NAMES
    assert graph.remarks == ()


def test_labels_may_hold_what_unicode_calls_an_end_of_line() -> None:
    text = "cat\u2028tabby\ndog\x0b\n\nfish\x85\n".encode()
    graph = importer.loads(classifier(metadata(labels="l"), packed({"l": text})))
    assert graph.labels == ("cat\u2028tabby", "dog\x0b", "", "fish\x85")


def test_ten_thousand_labels() -> None:
    text = "".join(f"class {n}\r\n" for n in range(10_000)).encode()
    data = metadata(labels="labels.txt")
    graph = importer.loads(classifier(data, packed({"labels.txt": text})))
    assert graph.labels == ()
    assert "has 10,000 of them, and output 'activation_10' 4 classes" in graph.remarks[0]
    graph = importer.loads(classifier(data, packed({"labels.txt": text}), classes=10_000))
    assert graph.labels[-1] == "class 9999"


def test_labels_of_values_need_not_be_as_many_as_the_output_has() -> None:
    data = metadata(labels="labels.txt", kind=VALUE_LABELS)
    graph = importer.loads(classifier(data, packed({"labels.txt": b"a\nb\n"})))
    assert graph.labels == ("a", "b") and not graph.remarks


def corrupted(behind: bytes) -> bytes:
    """A ZIP whose only member is damaged."""
    return behind[:40] + bytes(b ^ 0xFF for b in behind[40:50]) + behind[50:]


@pytest.mark.parametrize(
    ("behind", "reason"),
    [
        (b"", "missing or damaged"),
        (packed({"other.txt": TEXT}), "'labels.txt' is not in the file"),
        (packed({"labels.txt": b"caf\xe9\n" * 4}), "no text in UTF-8"),
        (packed({"labels.txt": b"a\n" * (1 << 20)}), "larger than 1 MB"),
        (packed({"labels.txt": b"a\nb\n"}), "2 of them, and output 'activation_10' 4 classes"),
        (corrupted(packed({"labels.txt": TEXT})), "missing or damaged"),
        (packed({"labels.txt": TEXT})[:-9], "missing or damaged"),
    ],
)
def test_labels_that_do_not_fit_are_left_out_with_a_word(behind: bytes, reason: str) -> None:
    file = classifier(metadata(labels="labels.txt", mean=[127.5], std=[127.5]), behind)
    graph = importer.loads(file)
    assert graph.labels == ()
    assert graph.tensors[graph.inputs[0]].normalisation is not None
    (remark,) = graph.remarks
    assert reason in remark


CASES = {
    # mean, std, scale, zero point, type
    "-1 to 1": ([127.5], [127.5], 1 / 127.5, -1, "int8"),
    "0 to 1": ([0.0], [255.0], 1 / 255, -128, "int8"),
    "wide, uint8": ([127.5], [127.5], 0.0078125, 128, "uint8"),
    "narrow, uint8": ([127.5], [127.5], 0.01, 120, "uint8"),
    "by channel": ([123.7, 116.3, 103.5], [58.4, 57.1, 57.4], 0.0187, -14, "int8"),
    "clamped": ([127.5], [64.0], 1 / 127.5, 0, "int8"),
}
CANCELS = "wide, uint8"


def test_a_normalisation_that_the_quantisation_undoes_leaves_pixels_as_they_are() -> None:
    """As published networks with uint8 inputs want them."""
    mean, std, scale, zero_point, dtype = CASES[CANCELS]
    graph = importer.loads(
        classifier(metadata(mean=mean, std=std), dtype=dtype, scale=scale, zero_point=zero_point)
    )
    tensor = graph.tensors[graph.inputs[0]]
    pixels = all_values(3)
    np.testing.assert_array_equal(images.from_pixels(pixels, tensor)[0], pixels)
    assert tensor.normalisation is None and not graph.remarks


@pytest.mark.parametrize("case", sorted(CASES.keys() - {CANCELS}))
def test_pixels_are_normalised_and_quantised(case: str) -> None:
    mean, std, scale, zero_point, dtype = CASES[case]
    graph = importer.loads(
        classifier(metadata(mean=mean, std=std), dtype=dtype, scale=scale, zero_point=zero_point)
    )
    tensor = graph.tensors[graph.inputs[0]]
    pixels = all_values(3)
    got = images.from_pixels(pixels, tensor)
    real = (pixels - np.array(mean)) / np.array(std)
    limits = np.iinfo(dtype)
    exact = np.clip(real / np.float32(scale) + zero_point, limits.min, limits.max)
    assert np.abs(got[0] - exact).max() < 0.5001
    assert tensor.normalisation is not None


@pytest.mark.parametrize("case", CASES)
def test_a_float_input_has_the_integers_of_its_own_quantize(case: str) -> None:
    mean, std, scale, zero_point, dtype = CASES[case]
    file = classifier(
        metadata(mean=mean, std=std), dtype=dtype, scale=scale, zero_point=zero_point,
        float_input=True,
    )
    graph = importer.loads(file)
    pixels = all_values(3)
    got = images.from_pixels(pixels, graph.tensors[graph.inputs[0]])
    judge = LiteRT(file)
    real = (pixels.astype(np.float32) - np.float32(mean)) / np.float32(std)
    judge.run(real[None])
    np.testing.assert_array_equal(got, judge.tensor(graph.inputs[0]))


def test_channels_first() -> None:
    net = NetworkBuilder(seed=1)
    x = net.file.tensor((1, 3, 4, 6), "int8", [0.0187], [-14], name="image")
    net.file.metadata["TFLITE_METADATA"] = metadata(mean=[120, 110, 100], std=[60, 57, 55])
    graph = importer.loads(net.file.build([x], [net.reshape(x, (1, 72))]))
    assert not graph.remarks
    pixels = np.full((4, 6, 3), 110, np.uint8)
    got = images.from_pixels(pixels, graph.tensors[0])
    assert [got[0, c, 0, 0] for c in range(3)] == [-23, -14, -4]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mean": [0.0], "std": [1.0]}, "contradict the scale"),
        ({"mean": [127.5], "std": [1e-38]}, "contradict the scale"),
        ({"mean": [127.5], "std": [1e9]}, "contradict the scale"),
        ({"mean": [127.5], "std": [0.0]}, "are none for the 3 channels"),
        ({"mean": [127.5], "std": [-1.0]}, "are none for the 3 channels"),
        ({"mean": [float("nan")], "std": [1.0]}, "are none for the 3 channels"),
        ({"mean": [127.5], "std": [float("inf")]}, "are none for the 3 channels"),
        ({"mean": [1.0, 2.0], "std": [127.5]}, "are none for the 3 channels"),
        ({"mean": [], "std": [127.5]}, "are none for the 3 channels"),
        ({"mean": [127.5], "std": [127.5], "inputs": 2}, "2 inputs, and the network 1"),
    ],
)
def test_a_normalisation_that_contradicts_is_left_out_with_a_word(
    change: dict[str, object], reason: str
) -> None:
    graph = importer.loads(classifier(metadata(**change)))  # type: ignore[arg-type]
    tensor = graph.tensors[graph.inputs[0]]
    assert tensor.normalisation is None
    (remark,) = graph.remarks
    assert reason in remark
    pixels = all_values(3)
    np.testing.assert_array_equal(images.from_pixels(pixels, tensor)[0], pixels.astype(int) - 128)


def test_colour() -> None:
    for colour, channels, right in ((1, 3, True), (2, 1, True), (0, 3, True), (2, 3, False),
                                    (1, 1, False)):
        graph = importer.loads(classifier(metadata(colour=colour), shape=(1, 12, 12, channels)))
        assert (not graph.remarks) is right
        if not right:
            assert f"has {channels} channels, which decide" in graph.remarks[0]


def test_outputs_that_are_not_the_networks() -> None:
    data = metadata(labels="labels.txt", outputs=2)
    graph = importer.loads(classifier(data, packed({"labels.txt": TEXT})))
    assert graph.labels == ()
    assert "2 outputs, and the network 1" in graph.remarks[0]


def test_damaged_metadata_stops_nothing() -> None:
    good = metadata(labels="labels.txt", mean=[127.5], std=[127.5], colour=1)
    behind = packed({"labels.txt": TEXT})
    rng = np.random.default_rng(0)
    damaged = [b"", b"M001", good[:20], good[:4] + b"M002" + good[8:], good[: len(good) // 2]]
    for _ in range(150):
        data = bytearray(good)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        damaged.append(bytes(data))
    remarked = 0
    for data in damaged:
        graph = importer.loads(classifier(data, behind))
        images.from_pixels(all_values(3), graph.tensors[graph.inputs[0]])
        remarked += bool(graph.remarks)
        assert graph.labels in ((), NAMES)
    assert remarked > len(damaged) / 3


def test_a_damaged_list_of_entries_stops_nothing() -> None:
    file = bytearray(classifier(metadata(mean=[127.5], std=[127.5])))
    place = file.index(b"TFLITE_METADATA") - 4
    file[place : place + 4] = struct.pack("<I", 1 << 30)
    graph = importer.loads(bytes(file))
    assert graph.remarks == ("all of the file's metadata ignored: damaged",)


def test_other_metadata_is_nothing() -> None:
    net = NetworkBuilder(seed=1)
    x = net.input((1, 4, 4, 3))
    net.file.metadata["min_runtime_version"] = b"1.5.0"
    graph = importer.loads(net.build(outputs=[net.reshape(x, (1, 48))]))
    assert graph.remarks == () and graph.labels == ()


def test_a_compiled_program_has_it_too(tmp_path: Path) -> None:
    data = metadata(labels="labels.txt", mean=[120.0, 110, 100], std=[127.5], colour=2)
    graph = importer.loads(classifier(data, packed({"labels.txt": TEXT})))
    board = boards.get("icebreaker")
    plan = compile_network(
        graph, board.config, board=board.name, flash_address=board.flash.program_base
    )
    save_plan(plan, tmp_path / "my.prog")
    loaded = load_plan(tmp_path / "my.prog").network
    assert loaded.labels == NAMES and loaded.remarks == graph.remarks != ()
    a, b = graph.tensors[graph.inputs[0]], loaded.tensors[loaded.inputs[0]]
    assert a.normalisation == b.normalisation == Normalisation((120.0, 110.0, 100.0), (127.5,))
    np.testing.assert_array_equal(
        images.from_pixels(all_values(3), a), images.from_pixels(all_values(3), b)
    )


def test_a_normalisation_that_cannot_be_is_no_graph() -> None:
    graph = importer.loads(classifier(metadata(mean=[127.5], std=[127.5])))
    for wrong in (Normalisation((1.0,), (0.0,)), Normalisation((1.0, 2.0), (1.0,)),
                  Normalisation((), ())):
        tensors = list(graph.tensors)
        index = graph.inputs[0]
        tensors[index] = replace(tensors[index], normalisation=wrong)
        with pytest.raises(GraphError, match="a normalisation"):
            replace(graph, tensors=tuple(tensors)).check()


def test_previews_of_normalised_inputs() -> None:
    graph = importer.loads(classifier(metadata(mean=[123.7, 116, 103], std=[90.0, 95, 85]),
                                      scale=0.0125, zero_point=-12))
    tensor = graph.tensors[graph.inputs[0]]
    assert tensor.normalisation is not None
    pixels = all_values(3)
    shown = images.to_pixels(images.from_pixels(pixels, tensor), tensor)
    assert np.abs(shown.astype(int) - pixels).max() <= 8
    np.testing.assert_array_equal(images.from_pixels(shown, tensor),
                                  images.from_pixels(pixels, tensor))


def test_sizes_are_still_checked() -> None:
    graph = importer.loads(classifier(metadata(mean=[127.5], std=[127.5])))
    with pytest.raises(InputError, match=re.escape("uint8[5, 6, 3]")):
        images.from_pixels(np.zeros((5, 6, 3), np.uint8), graph.tensors[graph.inputs[0]])
