"""Files that are none, have no end, or state more than they hold: one sentence, little memory."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.float_networks import random_images, random_weights
from support.places import REPOSITORY

from common import reading
from common.errors import InputError, ModelFormatError
from sw import images, importer, run
from sw.fuzz.builder import NetworkBuilder
from sw.networks import shipped
from sw.networks.architecture import mobilenet_v1
from sw.quantize import __main__ as quantize
from sw.quantize import states, weights

NET = mobilenet_v1(0.1, 17, classes=3, channels=1)
OPTIONS = [
    "--network", "v1", "--alpha", "0.1", "--resolution", "17", "--classes", "3", "--channels", "1",
]
MODEL = str(shipped.default_model())
GOLDEN = ["--board", "icebreaker", "--backend", "golden"]


@pytest.fixture(params=["pipe", "device", "folder", "missing"])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What is named like a file and is none."""
    path = tmp_path / "odd"
    match request.param:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
    return path


def test_no_file(odd: Path) -> None:
    """Whoever reads a whole file says what it is, and does not wait for it."""
    for read in (
        reading.read, reading.read_lines, images.open_picture, states.read,
        lambda path: importer.load(path),
    ):
        with pytest.raises((InputError, ModelFormatError), match=r": (is a|cannot be)") as caught:
            read(odd)
        assert "\n" not in str(caught.value)
    graph = importer.load(MODEL)
    for suffix in (".npy", ".dat", ".png"):
        named = odd.with_name(f"named{suffix}")
        named.symlink_to(odd)
        with pytest.raises(InputError, match=r"is a|cannot be read"):
            images.load(named, graph)


def test_no_file_on_the_command_line(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([str(odd), *GOLDEN], [MODEL, *GOLDEN, "--labels", str(odd)]):
        assert run.main(arguments) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and "odd" in lines[0]


def test_limits(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(reading.LIMIT + 1)
    for read in (reading.read, reading.read_lines, images.open_picture, states.read):
        with pytest.raises(InputError, match=r"is larger than \d+ MB"):
            read(path)
    with pytest.raises(ModelFormatError, match="is larger than 256 MB"):
        importer.load(path)
    # Of no size until it is read.
    with pytest.raises(InputError, match="is larger"):
        reading.read("/proc/self/status", limit=10)


# Pictures


def png(width: int, height: int, rows: int = 0) -> bytes:
    """Return a PNG that states a size, with data of some rows of zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    pixels = zlib.compress(bytes((1 + (width + 7) // 8) * rows), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + bytes([1, 0, 0, 0, 0]))
        + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def icon(picture: bytes) -> bytes:
    """Return an icon of 16 × 16 pixels, as its directory says, with another picture in it."""
    entry = bytes([16, 16, 0, 0, 1, 0, 32, 0])
    entry += len(picture).to_bytes(4, "little") + (22).to_bytes(4, "little")
    return bytes([0, 0, 1, 0, 1, 0]) + entry + picture


@pytest.mark.parametrize("size", [(5001, 5000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_pictures_that_state_too_many_pixels(tmp_path: Path, size: tuple[int, int]) -> None:
    for name, data in (("x.png", png(*size)), ("x.ico", icon(png(*size)))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"x.*{images.PIXELS:,} pixels|not a readable image"):
            images.open_picture(tmp_path / name)


def test_first_of_several_pictures(tmp_path: Path) -> None:
    frames = [Image.new("L", (6, 4), value) for value in (10, 200, 90)]
    for suffix in ("tiff", "gif", "png", "webp"):
        path = tmp_path / f"x.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
        assert np.asarray(images.open_picture(path).convert("L")).tolist() == [[10] * 6] * 4


# Arrays


def npy(array: np.ndarray, shape: str | None = None) -> bytes:
    """Return a .npy file, whose header may state another shape."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    data = buffer.getvalue()
    if shape is None:
        return data
    length = int.from_bytes(data[8:10], "little")
    header = f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': {shape}, }}"
    return data[:10] + header.ljust(length - 1).encode() + b"\n" + data[10 + length :]


LIES = {
    "large shape": (npy(np.zeros(4), "(99999999999,)"), "more than"),
    "negative shape": (npy(np.zeros(4), "(-4,)"), "not a NumPy array"),
    "enormous dimension": (npy(np.zeros(4), f"(0, {10**30})"), "not a NumPy array"),
    "objects": (npy(np.array([None])), "Python objects"),
    "no array": (b"text", "not a NumPy array"),
    "truncated": (npy(np.zeros(400))[:-8], "truncated, 3192 of 3200 bytes"),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_lying_headers(tmp_path: Path, lie: str, method: int) -> None:
    data, message = LIES[lie]
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.npy", data)
    with pytest.raises(InputError, match=rf"w\.npz: 'a\.npy'.*{message}"):
        states.read(path)


def test_archives(tmp_path: Path) -> None:
    """Those that are damaged in any byte, and those that unpack to much."""
    path = tmp_path / "w.npz"
    np.savez(path, a=np.arange(12.0).reshape(3, 4), b=np.asfortranarray(np.eye(3)))
    found = states.read(path)
    np.testing.assert_array_equal(found["a"], np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(found["b"], np.eye(3))
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(good[: rng.integers(len(good))] if rng.integers(4) == 0 else good)
        if damaged:
            damaged[int(rng.integers(len(damaged)))] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            states.read(path)
        except InputError as error:
            assert "\n" not in str(error)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        piece = npy(np.zeros(1 << 20))
        for number in range(40):
            archive.writestr(f"{number}.npy", piece)
    with pytest.raises(InputError, match="larger than 256 MB unpacked"):
        states.read(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", npy(np.zeros(4)))
    with pytest.raises(InputError, match="unusual way"):
        states.read(path)


def test_types_of_raw_tensors(tmp_path: Path) -> None:
    net = NetworkBuilder(seed=1)
    graph = importer.loads(net.build(outputs=[net.reshape(net.input((1, 4, 6, 3)), (72,))]))
    path = tmp_path / "x.npy"
    for array in (
        np.zeros((1, 4, 6, 3), [("a", "i1")]), np.zeros((1, 4, 6, 3), bool),
        np.full((1, 4, 6, 3), "a"), np.zeros((1, 4, 6, 3), ">i2"),
    ):
        np.save(path, array)
        with pytest.raises(InputError, match="takes int8"):
            images.load(path, graph)


# The quantiser's command line


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    weights.save(tmp_path / "w.npz", random_weights(NET))
    np.savez(tmp_path / "images.npz", images=random_images(NET, 3))
    return [
        str(tmp_path / "w.npz"), *OPTIONS, "--images", str(tmp_path / "images.npz"),
        "--output", str(tmp_path / "out.tflite"),
    ]


def refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Check that the quantiser ends in one line, and writes nothing."""
    assert quantize.main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and message in lines[0]
    assert not Path(arguments[arguments.index("--output") + 1]).exists()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array(["cat", "dog", "owl"]), "labels are of the type <U3"),
        (np.array([0.0, np.nan, 1.0]), "labels are of the type float64"),
        (np.array([0, -1, 2]), "labels are from -1 to 2; the network's 3 classes are 0 to 2"),
        (np.array([0, 1, 3]), "labels are from 0 to 3"),
        (np.array([0, 1]), "2 labels for 3 images"),
        (np.array([], np.int64), "0 labels for 3 images"),
    ],
)
def test_labels(
    arguments: list[str], labels: np.ndarray, message: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.savez(tmp_path / "test.npz", images=random_images(NET, 3), labels=labels)
    refused([*arguments, "--test", str(tmp_path / "test.npz")], message, capsys)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("stem/epsilon", np.array(np.nan), "has the epsilon nan"),
        ("stem/epsilon", np.array(np.inf), "has the epsilon inf"),
        ("stem/epsilon", np.array(-1e-3), "has the epsilon -0.001"),
        ("stem/epsilon", np.array("small"), "'stem/epsilon' is not one number"),
        ("stem/epsilon", np.zeros(2), "'stem/epsilon' is not one number"),
        ("stem/variance", np.array([-1, 1, 1]), "negative variances"),
        ("stem/variance", np.array([np.nan, 1, 1]), "variance of layer 'stem' is not finite"),
        ("stem/gamma", np.array([1e38, 1, 1]), "reach 2^40"),
        ("stem/gamma", np.array([1, 2, 3j]), "of the type complex128; save numbers"),
        ("stem/gamma", np.array(["a", "b", "c"]), "of the type <U1; save numbers"),
        ("classifier/weight", np.full((3, 102), np.nan), "is not finite"),
        ("classifier/weight", np.full((3, 102), 1e300), "reach 2^40"),
    ],
)
def test_weights(
    arguments: list[str], name: str, value: np.ndarray, message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with np.load(arguments[0]) as data:
        state = {**data, name: value}
    np.savez(arguments[0], **state)
    refused(arguments, message, capsys)


def test_variances_of_zero_with_no_epsilon(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(arguments[0]) as data:
        state = {**data, "stem/variance": np.zeros(3), "stem/epsilon": np.array(0.0)}
    np.savez(arguments[0], **state)
    refused(arguments, "variances of 0 and an epsilon of 0", capsys)


def test_folder_with_a_bomb(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/0.png").write_bytes(png(9000, 9000, 9000))
    arguments[arguments.index("--images") + 1] = str(tmp_path / "folder")
    refused(arguments, f"0.png: has more than {images.PIXELS:,} pixels", capsys)


MEASURE = """
import sys
from sw.run import main
code = main(sys.argv[1:])
# Not getrusage: its greatest size is also that of the process that began this one.
with open("/proc/self/status") as status:
    peak = next(line for line in status if line.startswith("VmHWM"))
print(code, peak.split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak of memory")
@pytest.mark.parametrize("kind", ["refused", "largest", "device"])
def test_memory(kind: str, tmp_path: Path) -> None:
    """A picture of a few KB takes no 1.5 GB: refused, or with the largest size that is read."""
    path = tmp_path / "x.png"
    match kind:
        case "refused":
            path.write_bytes(png(9400, 9400, 9400))
        case "largest":
            path.write_bytes(png(5000, 5000, 5000))
        case "device":
            path.symlink_to("/dev/zero")
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, MODEL, str(path), *GOLDEN],
        capture_output=True, text=True, check=True, cwd=REPOSITORY, timeout=60,
    )
    code, kilobytes = map(int, done.stdout.split()[-2:])
    assert code == (0 if kind == "largest" else 2)
    assert kilobytes < 300 << 10
    assert time.monotonic() - start < 30
