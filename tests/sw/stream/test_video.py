"""Videos, and how a camera is treated; a real camera is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.networks import small_model
from support.places import REPOSITORY

from common import tool
from common.errors import InputError
from sw import images, importer
from sw.stream import sources, video
from sw.stream.__main__ import main
from sw.stream.open import open_source
from sw.stream.sources import Preparer
from sw.stream.video import CameraSource, VideoSource

cv2 = pytest.importorskip("cv2", reason="OpenCV is missing: pip install 'separable[video]'")

FRAMES = 6
COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250)]
"""RGB; the codec changes them a little."""


@pytest.fixture
def prepare() -> Preparer:
    return Preparer(importer.loads(small_model(), "small"), previews=True)


def clip(path: Path, size: tuple[int, int] = (64, 48)) -> Path:
    """Write a video of plain frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, size)
    assert writer.isOpened()
    for number in range(FRAMES):
        red, green, blue = COLOURS[number % 3]
        writer.write(np.full((size[1], size[0], 3), (blue, green, red), np.uint8))
    writer.release()
    return path


def test_every_frame_in_its_colours(tmp_path: Path, prepare: Preparer) -> None:
    source = open_source(str(clip(tmp_path / "clip.avi")), prepare)
    assert isinstance(source, VideoSource) and not source.live
    frames = list(sources.frames(source))
    assert [frame.name for frame in frames] == [f"clip.avi #{n}" for n in range(FRAMES)]
    for number, frame in enumerate(frames):
        assert frame.seconds > 0
        assert frame.picture.size == (48, 48)
        pixels = images.to_pixels(frame.x, prepare.tensor)
        assert pixels.shape == (12, 12, 3)
        np.testing.assert_allclose(pixels.reshape(-1, 3).mean(0), COLOURS[number % 3], atol=12)


def test_a_video_begins_again(tmp_path: Path, prepare: Preparer) -> None:
    frames = sources.frames(open_source(str(clip(tmp_path / "clip.avi")), prepare), loop=True)
    taken = [next(frames) for _ in range(2 * FRAMES)]
    assert [frame.number for frame in taken] == list(range(2 * FRAMES))
    assert taken[FRAMES].name == "clip.avi #0"
    np.testing.assert_array_equal(taken[FRAMES].x, taken[0].x)


def test_as_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "small.tflite"
    model.write_bytes(small_model())
    options = ["--board", "icebreaker", "--backend", "golden", "--json-lines", "--limit", "4"]
    assert main([str(model), str(clip(tmp_path / "clip.avi")), *options]) == 0
    data = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["input"] for entry in data] == [f"clip.avi #{n}" for n in range(4)]
    assert data[0]["output"] == data[3]["output"] != data[1]["output"]


def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    path, model = tmp_path / "clip.mp4", tmp_path / "small.tflite"
    path.write_bytes(b"no video" * 1000)
    model.write_bytes(small_model())
    # In a process of its own: what OpenCV prints by itself is settled when it is first used.
    command = [sys.executable, "-m", "sw.stream", str(model), str(path), "--board", "icebreaker"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == tool.USER_ERROR
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "clip.mp4: neither a picture nor a video that OpenCV opens" in line


def test_a_video_that_is_cut_off(tmp_path: Path, prepare: Preparer) -> None:
    path = clip(tmp_path / "clip.avi", (640, 480))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 5000])
    frames = list(sources.frames(open_source(str(path), prepare)))
    assert 0 < len(frames) < FRAMES
    assert not any(frame.error for frame in frames)


def test_there_is_no_such_camera(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "small.tflite"
    model.write_bytes(small_model())
    arguments = [str(model), "99", "--board", "icebreaker", "--backend", "golden"]
    assert main(arguments) == tool.USER_ERROR
    captured = capfd.readouterr()
    assert captured.err.startswith("error: camera 99: cannot be opened: is it plugged in")
    assert len(captured.err.splitlines()) == 1 and captured.out == ""


class FakeCapture:
    """A camera that gives three pictures, one of them damaged, and is then unplugged."""

    def __init__(self, number: int) -> None:
        self.number, self.grabbed, self.released = number, 0, False

    def isOpened(self) -> bool:
        return self.number == 1

    def set(self, key: int, value: float) -> bool:
        assert (key, value) == (cv2.CAP_PROP_BUFFERSIZE, 1)
        return True

    def grab(self) -> bool:
        self.grabbed += 1
        return self.grabbed <= 3

    def retrieve(self) -> tuple[bool, Any]:
        if self.grabbed == 2:
            return False, None
        return True, np.full((48, 64, 3), (0, 0, 200 + self.grabbed), np.uint8)

    def release(self) -> None:
        self.released = True


def test_a_camera_as_opencv_shows_it(monkeypatch: pytest.MonkeyPatch, prepare: Preparer) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    source = open_source("1", prepare)
    assert isinstance(source, CameraSource)
    assert source.live and not source.repeatable
    first, third, last = sources.frames(source)
    assert (first.name, third.name) == ("camera 1 #0", "camera 1 #2")
    for frame, red in ((first, 201), (third, 203)):
        pixels = images.to_pixels(frame.x, prepare.tensor)
        assert (pixels == (red, 0, 0)).all()
    assert last.error == "camera 1: it gives no more pictures"
    capture = source._capture
    source.close()
    assert capture.released
    with pytest.raises(InputError, match="camera 2: cannot be opened"):
        video.CameraSource(2, prepare)
