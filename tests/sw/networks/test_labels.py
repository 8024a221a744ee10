"""Labels: one for each class."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import BOARD, error_of
from support.divided import heads_over_the_host
from support.networks import SMALL_SHAPE, small_model

from common.errors import InputError
from sw import importer, run
from sw.fuzz.builder import NetworkBuilder
from sw.networks.labels import classes_of, labels_of
from sw.stream.__main__ import main as stream


@pytest.mark.parametrize("count", [3, 5])
def test_another_number_of_labels_is_refused(count: int, tmp_path: Path) -> None:
    graph = importer.loads(small_model(), "small")
    file = tmp_path / "labels.txt"
    file.write_text("".join(f"class {n}\n" for n in range(count)))
    message = rf"labels\.txt: {count} labels, and network 'small' tells 4 classes apart"
    with pytest.raises(InputError, match=message):
        labels_of(graph, "small.tflite", str(file))
    file.write_text("".join(f"class {n}\n" for n in range(4)))
    assert labels_of(graph, "small.tflite", str(file)) == [f"class {n}" for n in range(4)]


@pytest.mark.parametrize("main", [run.main, stream])
def test_by_the_commands(
    main: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(main)
    model, file = tmp_path / "small.tflite", tmp_path / "labels.txt"
    model.write_bytes(small_model())
    file.write_text("one\ntwo\n")
    assert main([str(model), "x.npy", *BOARD, "--backend", "golden", "--labels", str(file)]) == 2
    assert "2 labels, and network 'small' tells 4 classes apart" in error_of(capsys)


def test_classes() -> None:
    net = NetworkBuilder(seed=3)
    y = net.reshape(net.mean(net.conv_2d(net.input(SMALL_SHAPE), 7)), (1, 7))
    assert classes_of(importer.loads(net.build(outputs=[net.arg_max(y, 1)]))) == 7
    # What tells no classes apart takes labels of any number.
    assert classes_of(importer.loads(heads_over_the_host())) is None
