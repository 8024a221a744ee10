"""Scenes: garments, where they are, and how well they are found."""

from __future__ import annotations

import numpy as np
import pytest
from support.fashion import images

from sw.networks.fashion_mnist import LABELS
from sw.networks.scenes import KIND_OF, KINDS, SIZE, Garment, Scene, f1, scene
from sw.networks.shipped import default_scenes
from sw.outputs.detections import Found


def test_scenes_depend_on_images_and_number_alone() -> None:
    split = images(3)
    for number in range(5):
        one, again = scene(split, number), scene(split, number)
        assert one.garments == again.garments
        np.testing.assert_array_equal(one.image, again.image)
    assert len({scene(split, number).image.tobytes() for number in range(20)}) == 20


def test_garments_lie_apart_on_the_canvas() -> None:
    scenes = default_scenes(60)
    counts = {len(one.garments) for one in scenes}
    assert counts == {0, 1, 2, 3, 4}
    for one in scenes:
        assert one.image.shape == (SIZE, SIZE) and one.image.dtype == np.uint8
        for number, garment in enumerate(one.garments):
            assert 0 <= garment.left <= SIZE - garment.side
            assert 0 <= garment.top <= SIZE - garment.side
            assert not any(garment.overlaps(other) for other in one.garments[:number])
    assert {garment.kind for one in scenes for garment in one.garments} == set(range(len(KINDS)))


def test_kinds() -> None:
    assert len(KIND_OF) == len(LABELS) and set(KIND_OF) == set(range(len(KINDS)))
    assert KINDS[KIND_OF[LABELS.index("Ankle boot")]] == "shoe"


def found(number: int, x: float, y: float) -> Found:
    """Return something found around a point, in pixels."""
    return Found(number=number, label="", score=0.9, left=(x - 4) / SIZE, top=(y - 4) / SIZE,
                 width=8 / SIZE, height=8 / SIZE)


@pytest.mark.parametrize(("items", "score"), [
    ([], 0.0),
    ([found(1, 20, 20), found(3, 70, 70)], 1.0),
    # Of another kind; beside it; twice.
    ([found(2, 20, 20), found(3, 70, 70)], 0.5),
    ([found(1, 45, 20), found(3, 70, 70)], 0.5),
    ([found(1, 20, 20), found(1, 21, 20), found(3, 70, 70)], 0.8),
    ([found(1, 20, 20)], 2 / 3),
])
def test_f1(items: list[Found], score: float) -> None:
    garments = (Garment(kind=0, left=8, top=8, side=24), Garment(kind=2, left=60, top=60, side=30))
    one = Scene(image=np.zeros((SIZE, SIZE), np.uint8), garments=garments)
    assert f1([one], [items]) == pytest.approx(score)


def test_f1_of_nothing() -> None:
    empty = Scene(image=np.zeros((SIZE, SIZE), np.uint8), garments=())
    assert f1([empty], [[]]) == 1.0
    assert f1([empty], [[found(1, 5, 5)]]) == 0.0
