"""Where frames come from, and that they are prepared ahead."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from support.networks import SMALL_SHAPE, small_model
from support.streams import picture, tensor

from common.errors import InputError
from sw import images, importer
from sw.ir import Graph
from sw.stream import sources
from sw.stream.open import open_source
from sw.stream.prefetch import Prefetch
from sw.stream.sources import Frame, Item, PictureSource, Preparer, RawSource, Source


@pytest.fixture(scope="module")
def graph() -> Graph:
    return importer.loads(small_model(), "small")


@pytest.fixture
def prepare(graph: Graph) -> Preparer:
    return Preparer(graph)


def test_a_folder_in_the_order_of_numbers(tmp_path: Path, prepare: Preparer, graph: Graph) -> None:
    for name in ("10.png", "9.jpg", "011.bmp", "a2.png", "A.PNG"):
        picture().save(tmp_path / name)
    np.save(tmp_path / "3.npy", tensor(3))
    (tmp_path / "4.dat").write_bytes(tensor(4).tobytes())
    (tmp_path / "labels.txt").write_text("none of it")
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    source = open_source(str(tmp_path), prepare)
    frames = list(sources.frames(source))
    names = [frame.name for frame in frames]
    assert names == ["3.npy", "4.dat", "9.jpg", "10.png", "011.bmp", "A.PNG", "a2.png"]
    assert [frame.number for frame in frames] == list(range(7))
    np.testing.assert_array_equal(frames[0].x, tensor(3))
    np.testing.assert_array_equal(frames[1].x, tensor(4))
    for frame in frames:
        assert frame.x is not None and frame.x.shape == SMALL_SHAPE and frame.x.dtype == np.int8
        assert not frame.error and frame.seconds > 0 and frame.picture is None
    cut = images.crop(picture(), graph.tensors[0])
    np.testing.assert_array_equal(frames[3].x, images.from_image(cut, graph.tensors[0]))


def test_square_pictures_are_what_sw_run_makes_of_them(tmp_path: Path, graph: Graph) -> None:
    square, wide = tmp_path / "square.png", tmp_path / "wide.png"
    picture(1, (50, 50)).save(square)
    picture(1, (80, 50)).save(wide)
    for path, stretch, same in ((square, False, True), (wide, True, True), (wide, False, False)):
        (frame,) = sources.frames(PictureSource(path, Preparer(graph, stretch=stretch)))
        assert np.array_equal(frame.x, images.load(path, graph)) is same


def test_previews(tmp_path: Path, graph: Graph) -> None:
    picture(size=(1200, 900)).save(tmp_path / "large.png")
    picture().convert("L").save(tmp_path / "grey.png")
    np.save(tmp_path / "raw.npy", tensor(0))
    picture(size=(12, 12)).save(tmp_path / "small.png")
    source = PictureSource(tmp_path, Preparer(graph, previews=True))
    grey, large, raw, small = sources.frames(source)
    assert large.picture.size == (sources.PREVIEW, sources.PREVIEW)
    assert (grey.picture.size, grey.picture.mode) == ((30, 30), "L")
    assert raw.picture is None and small.picture is None


def test_a_damaged_picture_does_not_end_the_stream(tmp_path: Path, prepare: Preparer) -> None:
    picture().save(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(b"no picture")
    (tmp_path / "3.dat").write_bytes(b"too short")
    picture().save(tmp_path / "4.png")
    first, second, third, fourth = sources.frames(open_source(str(tmp_path), prepare))
    assert first.x is not None and fourth.x is not None and fourth.number == 3
    assert second.x is None and "2.png: not a readable image" in second.error
    assert third.x is None and "which is 432 bytes; the file has 9" in third.error


@pytest.mark.parametrize("chunk", [1, 100, 433, 10_000])
def test_raw_frames(prepare: Preparer, chunk: int) -> None:
    data = io.BytesIO(b"".join(tensor(seed).tobytes() for seed in range(3)))

    class Pipe:
        def read(self, size: int) -> bytes:
            return data.read(min(size, chunk))

    frames = list(sources.frames(RawSource(prepare, file=Pipe())))
    assert [frame.name for frame in frames] == ["frame 0", "frame 1", "frame 2"]
    for seed, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.x, tensor(seed))


def test_raw_pixels(prepare: Preparer, graph: Graph) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, SMALL_SHAPE[1:], np.uint8)
    source = RawSource(prepare, pixels=True, file=io.BytesIO(pixels.tobytes()))
    (frame,) = sources.frames(source)
    np.testing.assert_array_equal(frame.x, pixels[None].astype(int) - 128)


def test_a_raw_frame_of_the_wrong_length(prepare: Preparer) -> None:
    source = RawSource(prepare, file=io.BytesIO(tensor(0).tobytes() + b"x" * 100))
    good, bad = sources.frames(source)
    assert not good.error
    assert bad.number == 1
    assert bad.error == (
        "standard input ends within frame 1: 100 of 432 bytes (int8[1, 12, 12, 3])"
    )
    assert list(sources.frames(RawSource(prepare, file=io.BytesIO()))) == []


def test_loops(tmp_path: Path, prepare: Preparer) -> None:
    for number in range(2):
        picture(number).save(tmp_path / f"{number}.png")
    frames = sources.frames(open_source(str(tmp_path), prepare), loop=True)
    taken = [next(frames) for _ in range(5)]
    assert [frame.name for frame in taken] == ["0.png", "1.png", "0.png", "1.png", "0.png"]
    assert [frame.number for frame in taken] == [0, 1, 2, 3, 4]
    # Never again once nothing of it is of use: no loop of errors.
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(b"")
    rest = list(islice(frames, 20))
    assert [bool(frame.error) for frame in rest] in ([True], [True] * 3)


def test_what_is_no_source(tmp_path: Path, prepare: Preparer) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("")
    cases = {
        str(tmp_path / "missing"): "does not exist; SOURCE is a folder of pictures",
        "http://somewhere/video.mp4": "does not exist",
        str(empty): "no pictures or raw tensors .* it is empty",
        str(other): "none of its 1 entries is one",
        "/dev/null": "is not a file",
    }
    for text, message in cases.items():
        with pytest.raises(InputError, match=message):
            open_source(text, prepare)


# -- prefetch --------------------------------------------------------------------------------------


def numbered(count: int) -> Iterator[Frame]:
    for number in range(count):
        yield Frame(number=number, name=str(number))


def taken(prefetch: Prefetch) -> list[int]:
    result = []
    while (frame := prefetch.take()) is not None:
        result.append(frame.number)
    return result


def test_frames_come_in_order() -> None:
    prefetch = Prefetch(numbered(100))
    assert taken(prefetch) == list(range(100))
    assert prefetch.take() is None
    assert prefetch.dropped == 0
    assert prefetch.close()


def test_the_next_frame_is_prepared_while_nobody_asks() -> None:
    made: list[int] = []
    enough = threading.Event()

    def frames() -> Iterator[Frame]:
        for frame in numbered(10):
            made.append(frame.number)
            if len(made) == 3:
                enough.set()
            yield frame

    prefetch = Prefetch(frames(), depth=2)
    # Two wait, and a third is in the thread's hands: no more than that.
    assert enough.wait(5)
    time.sleep(0.05)
    assert made == [0, 1, 2]
    assert prefetch.take().number == 0
    assert prefetch.close()
    assert prefetch.take() is None


def test_a_live_source_gives_the_newest() -> None:
    gate = threading.Event()

    def frames() -> Iterator[Frame]:
        yield from numbered(5)
        gate.set()

    prefetch = Prefetch(frames(), newest=True)
    assert gate.wait(5)
    assert taken(prefetch) == [4]
    assert prefetch.dropped == 4


def test_a_source_that_is_not_ready() -> None:
    gate = threading.Event()

    def frames() -> Iterator[Frame]:
        yield Frame(number=0, name="")
        gate.wait(5)
        yield Frame(number=1, name="")

    prefetch = Prefetch(frames())
    assert prefetch.take().number == 0
    assert prefetch.take(wait=False) is None
    gate.set()
    assert prefetch.take().number == 1
    assert prefetch.take() is None


def test_stopping_a_source_that_waits() -> None:
    gate = threading.Event()

    def frames() -> Iterator[Frame]:
        gate.wait(10)
        yield from numbered(1)

    prefetch = Prefetch(frames())
    timer = threading.Timer(0.05, prefetch.stop)
    timer.start()
    began = time.monotonic()
    assert prefetch.take() is None
    assert time.monotonic() - began < 5
    assert not prefetch.close(seconds=0.05)
    gate.set()
    assert prefetch.close(seconds=5)
    timer.join()


def test_defects_are_not_swallowed() -> None:
    class Broken(Source):
        name = "broken"

        def items(self) -> Iterator[Item]:
            yield Item(name="good", load=lambda: (tensor(0), None))
            raise RuntimeError("a defect")

    prefetch = Prefetch(sources.frames(Broken()))
    assert prefetch.take().name == "good"
    with pytest.raises(RuntimeError, match="a defect"):
        prefetch.take()
