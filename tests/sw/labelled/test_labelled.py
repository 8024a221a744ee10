"""``python -m sw.run --labelled``: accuracy on a folder of pictures."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.command import BOARD, error_of
from support.metadata import classifier, metadata, packed

from common import progress, tool
from sw import golden, images, importer, labelled, run
from sw.fuzz.builder import NetworkBuilder
from sw.labelled import Answer, Folder, Picture, Score

NAMES = ("cat", "dog", "horse", "fish")
TEXT = "".join(f"{name}\n" for name in NAMES).encode()


def save_picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    data = metadata(labels="labels.txt", mean=[120.0, 110, 100], std=[130.0])
    path.write_bytes(classifier(data, packed({"labels.txt": TEXT})))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes by label, one by number; six pictures each."""
    root = tmp_path / "pictures"
    for number, name in enumerate(("cat", "fish", "2")):
        for seed in range(6):
            save_picture(root / name / f"{seed}.png", 10 * number + seed)
    return root


@pytest.mark.parametrize("backend", ["sim", "golden"])
def test_report(
    model: Path, folder: Path, tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.json"
    (folder / "cat" / "notes.txt").write_text("not a picture")
    (folder / ".hidden").mkdir()
    arguments = [str(model), "--labelled", str(folder), *BOARD, "--backend", backend]
    assert run.main([*arguments, "--sample", "2", "--json", str(target)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    data = json.loads(target.read_text())
    graph = importer.load(model)
    found = {}
    for name, truth in (("cat", 0), ("fish", 3), ("2", 2)):
        for path in sorted((folder / name).glob("*.png")):
            output = golden.run(graph, images.load(path, graph))[graph.outputs[0]]
            found[str(path)] = (truth, int(output.argmax()))
    got = data["labelled"]
    assert {p["input"]: (p["truth"], p["top"][0]) for p in got["pictures"]} == found
    right = sum(truth == answer for truth, answer in found.values())
    assert (got["images"], got["right"], got["accuracy"]) == (18, right, right / 18)
    assert got["top5"] is None and got["skipped"] == [] and got["others"] == 1
    confusion = {(c["truth"], c["found"]): c["images"] for c in got["confusion"]}
    assert confusion == Counter(found.values())
    assert [(c["class"], c["label"], c["images"]) for c in got["classes"]] == [
        (0, "cat", 6), (2, "horse", 6), (3, "fish", 6)
    ]
    assert [entry["input"] for entry in data["results"]] == [
        str(folder / "2" / "0.png"), str(folder / "2" / "1.png")
    ]
    for entry in data["results"]:
        assert entry["exact"] is (True if backend == "sim" else None)
        assert (entry["cycles"] is not None) is (backend == "sim")
        assert entry["top"] == next(
            p["top"] for p in got["pictures"] if p["input"] == entry["input"]
        )
    out = captured.out.splitlines()
    assert re.fullmatch(r"all +18 +\d+ +[\d.]+%", next(x for x in out if x.startswith("all")))
    assert any(line.startswith("2 horse ") for line in out)
    assert "1 files are no pictures by their names, and left out" in out
    summary = out[: out.index(next(line for line in out if line.startswith(str(folder))))]
    assert max(map(len, summary)) <= 80


def test_unreadable_pictures_are_named_and_counted(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.json"
    (folder / "2" / "0.png").write_bytes(b"no picture")
    np.save(folder / "cat" / "a.npy", np.zeros((3, 3)))
    arguments = [str(model), "--labelled", str(folder), *BOARD, "--backend", "golden"]
    assert run.main([*arguments, "--json", str(target)]) == tool.USER_ERROR
    errors = capsys.readouterr().err.splitlines()
    assert all(line.startswith("error: ") for line in errors)
    assert "2/0.png: not a readable image" in errors[0]
    assert "cat/a.npy: the network takes int8" in errors[1]
    assert errors[2] == "error: 2 pictures cannot be read and are not counted"
    data = json.loads(target.read_text())["labelled"]
    assert data["images"] == 17
    assert [Path(entry["input"]).name for entry in data["skipped"]] == ["0.png", "a.npy"]
    assert len(json.loads(target.read_text())["results"]) == 5


def test_labels_given_stand_before_those_of_the_file(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\nfish\nx/y\nz\n")
    (folder / "2").rename(folder / "x-y")
    arguments = [str(model), "--labelled", str(folder), *BOARD, "--backend", "golden"]
    assert run.main([*arguments, "--labels", str(labels)]) == 0
    assert re.search(r"^1 fish +6 ", out := capsys.readouterr().out, re.MULTILINE)
    assert re.search(r"^2 x/y +6 ", out, re.MULTILINE)


def test_labels_of_the_file_are_printed(
    model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = folder / "cat" / "0.png"
    assert run.main([str(model), str(picture), *BOARD, "--backend", "golden"]) == 0
    top = next(line for line in capsys.readouterr().out.splitlines() if "top" in line)
    assert top.split()[-1] in NAMES


def test_remarks_are_one_line(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(classifier(metadata(labels="labels.txt"), packed({"labels.txt": b"one\n"})))
    assert run.main([str(path), str(folder / "2" / "0.png"), *BOARD, "--backend", "golden"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("note: net: labels of the file's metadata ignored: 'labels.txt' has 1")


def test_user_errors(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, flat, damaged = tmp_path / "empty", tmp_path / "flat", tmp_path / "damaged"
    empty.mkdir()
    save_picture(flat / "a.png", 0)
    (tmp_path / "hollow" / "cat").mkdir(parents=True)
    save_picture(tmp_path / "unknown" / "cow" / "a.png", 0)
    save_picture(tmp_path / "beyond" / "4" / "a.png", 0)
    damaged.joinpath("cat").mkdir(parents=True)
    damaged.joinpath("cat", "a.png").write_bytes(b"no picture")
    save_picture(tmp_path / "twice" / "cat" / "a.png", 0)
    double = tmp_path / "double.txt"
    double.write_text("cat\ndog\ncat\nfish\n")
    net = NetworkBuilder(seed=1)
    no_classifier = tmp_path / "map.tflite"
    no_classifier.write_bytes(net.build(outputs=[net.conv_2d(net.input((1, 12, 12, 3)), 8)]))
    cases = {
        (str(tmp_path / "missing"),): "missing: does not exist",
        (str(model),): "net.tflite: is not a folder",
        (str(empty),): "has no folders of classes",
        (str(flat),): "has no folders of classes",
        (str(tmp_path / "hollow"),): "hollow/cat: has no pictures",
        (str(tmp_path / "unknown"),): "cow: is no class of the network; name it by a number up to 3"
        " or a label, 'cat', 'dog', 'horse', …",
        (str(tmp_path / "beyond"),): "4: is no class",
        (str(damaged),): "damaged: none of its pictures can be read",
        (str(tmp_path / "twice"), "--labels", str(double)): "2 classes are called so, 0 and 2",
        (str(folder), "--sample", "0"): "at least 1, not 0",
        (str(folder), "--images", "2"): "leave out other inputs",
        (str(folder), "--input", "image=x.png"): "leave out other inputs",
    }
    for arguments, expected in cases.items():
        code = run.main([str(model), *BOARD, "--backend", "golden", "--labelled", *arguments])
        assert code == tool.USER_ERROR, arguments
        assert expected in error_of(capsys)
    assert run.main([str(model), "x.png", *BOARD, "--sample", "2"]) == tool.USER_ERROR
    assert "give that, too" in error_of(capsys)
    arguments = [str(no_classifier), *BOARD, "--labelled", str(folder)]
    assert run.main(arguments) == tool.USER_ERROR
    assert "is no classifier" in error_of(capsys)


def test_ctrl_c(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def each(items: list[Picture], *_: object, **options: object) -> object:
        yield items[0]
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "each", each)
    target = tmp_path / "report.json"
    arguments = [str(model), "--labelled", str(folder), *BOARD, "--backend", "golden"]
    assert run.main([*arguments, "--json", str(target)]) == 130
    assert error_of(capsys) == "error: interrupted"
    assert not target.exists()


def test_what_arg_max_writes_is_the_class() -> None:
    net = NetworkBuilder(seed=3)
    y = net.conv_2d(net.input((1, 12, 12, 3)), 7, kernel=(3, 3), stride=(2, 2))
    y = net.reshape(net.mean(y), (1, 7))
    graph = importer.loads(net.build(outputs=[net.arg_max(y, 1)]))
    assert labelled.class_count(graph) == 7
    x = np.random.default_rng(0).integers(-128, 128, (1, 12, 12, 3)).astype(np.int8)
    output = golden.run(graph, x)[graph.outputs[0]]
    result = run.Run(input="x", outputs=[output])
    assert result.top() == [int(output[0])]
    assert f"{int(output[0])}:" in "\n".join(run.describe(result, ["l"] * 7, 39.0))


def scored(classes: int, count: int, total: int) -> Score:
    """A score of ``count`` classes with 1,234 pictures each, some found as another class."""
    answers = [
        Answer(picture=Picture(path=Path(f"{truth}/{n}.png"), truth=truth),
               top=[truth if n % 3 else (truth + 1) % total, 0, 1, 2, 3][: min(5, classes)])
        for truth in range(count) for n in range(1234)
    ]
    return Score(classes=classes, answers=answers)


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "count"), [(2, 2), (20, 20), (1001, 20), (21, 21), (6, 6)])
def test_tables_have_eighty_columns(classes: int, count: int) -> None:
    score = scored(classes, count, classes)
    folder = Folder(path=Path("x"), pictures=[], others=0)
    names = [f"a long name of a class {n}" for n in range(classes)]
    text = labelled.lines(score, folder, names)
    assert max(map(len, text)) <= 80
    assert ("top-5" in text[0]) is (classes > 5)
    tables = [n for n, line in enumerate(text) if line.startswith("true class")]
    assert bool(tables) is (count <= 20)
    if tables:
        columns = [name for n in tables for name in text[n].split()[4:]]
        other = ["other"] if classes > count else []
        assert columns == [*map(str, range(count)), *other]
        first = [int(cell) for n in tables for cell in text[n + 1][24:].split()]
        assert sum(first) == 1234 and first[0] == score.confusion[0, 0]
    else:
        assert "too many to print" in text[-1]
    everything = labelled.score_json(score, folder, names)
    assert sum(c["images"] for c in everything["confusion"]) == 1234 * count
