"""Inputs from files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from common.errors import InputError
from sw import images, importer
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph


def network(shape: tuple[int, ...] = (1, 4, 6, 3), dtype: str = "int8") -> Graph:
    """A network with an input of some shape."""
    net = NetworkBuilder(seed=1, dtype=dtype)
    x = net.input(shape)
    return importer.loads(net.build(outputs=[net.reshape(x, (int(np.prod(shape)),))]))


def picture(height: int = 4, width: int = 6, mode: str = "RGB") -> Image.Image:
    """A random picture."""
    channels = {"RGB": (3,), "RGBA": (4,), "L": ()}[mode]
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, *channels), np.uint8))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp"])
def test_pixels_become_integers(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image.{suffix}"
    picture().save(path, lossless=True)  # which only WebP looks at
    pixels = np.asarray(picture())[None]
    np.testing.assert_array_equal(images.load(path, network(dtype="uint8")), pixels)
    got = images.load(path, network())
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got, pixels.astype(int) - 128)


def test_grey_and_colour(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    picture().save(path)
    grey = images.load(path, network((1, 4, 6, 1), "uint8"))
    np.testing.assert_array_equal(grey[0, :, :, 0], np.asarray(picture().convert("L")))
    picture(mode="L").save(path)
    colour = images.load(path, network(dtype="uint8"))
    np.testing.assert_array_equal(colour[0, :, :, 2], np.asarray(picture(mode="L")))
    picture(mode="RGBA").save(path)
    assert images.load(path, network()).shape == (1, 4, 6, 3)


def test_resized_bilinear(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    picture(30, 20).save(path)
    expected = picture(30, 20).resize((6, 4), Image.Resampling.BILINEAR)
    got = images.load(path, network(dtype="uint8"))
    np.testing.assert_array_equal(got[0], np.asarray(expected))


def test_channels_first(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    picture().save(path)
    got = images.load(path, network((1, 3, 4, 6), "uint8"))
    np.testing.assert_array_equal(got[0], np.asarray(picture()).transpose(2, 0, 1))


def test_turned_as_exif_says(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture().save(path, exif=exif)
    got = images.load(path, network(dtype="uint8"))
    np.testing.assert_array_equal(got[0], np.asarray(picture())[::-1, ::-1])


def test_raw_tensors(tmp_path: Path) -> None:
    graph = network()
    x = np.arange(72, dtype=np.int8).reshape(1, 4, 6, 3)
    (tmp_path / "x.dat").write_bytes(x.tobytes())
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "no_batch.npy", x[0])
    np.save(tmp_path / "fortran.npy", np.asfortranarray(x))
    for name in ("x.dat", "x.npy", "no_batch.npy", "fortran.npy"):
        got = images.load(tmp_path / name, graph)
        assert got.dtype == np.int8
        np.testing.assert_array_equal(got, x)


def fails(path: Path, content: bytes, message: str, graph: Graph | None = None) -> None:
    """Check that loading some bytes ends in one line."""
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        images.load(path, graph or network())
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value) or graph is not None


@pytest.mark.parametrize(("size", "found"), [(0, "0"), (71, "71"), (73, "more")])
def test_dat_of_wrong_size(tmp_path: Path, size: int, found: str) -> None:
    fails(tmp_path / "x.dat", bytes(size), rf"72 bytes; the file has {found}")


def npy(array: npt.NDArray[np.generic]) -> bytes:
    """Return an array as a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def test_npy_that_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    good = npy(np.zeros((1, 4, 6, 3), np.int8))
    fails(path, npy(np.zeros((1, 4, 6, 3), np.uint8)), r"takes int8.*holds uint8")
    fails(path, npy(np.zeros((4, 6, 4), np.int8)), r"holds int8\[4, 6, 4\]")
    fails(path, npy(np.array([None])), "holds object")
    fails(path, good[:-1], "truncated, 71 of 72")
    fails(path, b"", "not a NumPy array")
    fails(path, good[:20], "not a NumPy array")
    fails(path, b"\x93NUMPY\x01\x00\x10\x00" + b"{" * 16, "not a NumPy array")
    for length in range(len(good)):
        fails(path, good[:length], "x.npy")


def test_npy_stating_an_enormous_shape(tmp_path: Path) -> None:
    content = npy(np.zeros((1, 4, 6, 3), np.int8)).replace(b"(1, 4, 6, 3)", b"(9999999999,)")
    fails(tmp_path / "x.npy", content, "9999999999")


def test_damaged_images(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    picture(40, 40).save(buffer, "png")
    good = buffer.getvalue()
    path = tmp_path / "x.png"
    fails(path, b"", "not a readable image|cannot be read")
    fails(path, b"hello", "not a readable image|cannot be read")
    fails(path, good[: len(good) // 2], "not a readable image|cannot be read")
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(good)
        damaged[int(rng.integers(len(good)))] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            assert images.load(path, network()).shape == (1, 4, 6, 3)
        except InputError as error:
            assert "\n" not in str(error)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    for name in ("none.png", "none.npy", "none.dat", "."):
        with pytest.raises(InputError, match="cannot be read"):
            images.load(tmp_path / name, network())


def test_network_that_takes_no_image(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    picture().save(path)
    with pytest.raises(InputError, match="not an image"):
        images.load(path, network((1, 72)))


def test_pixels_of_wrong_size() -> None:
    tensor = network().tensors[0]
    with pytest.raises(InputError, match=r"uint8\[5, 6, 3\]"):
        images.from_pixels(np.zeros((5, 6, 3), np.uint8), tensor)


@pytest.mark.parametrize("size", [(6, 4), (60, 40), (61, 40), (60, 41), (5, 400), (400, 5), (1, 1)])
def test_the_middle_has_the_inputs_proportions(size: tuple[int, int]) -> None:
    tensor = network().tensors[0]
    assert images.picture_size(tensor) == (4, 6, 3)
    wide, high = size
    image = Image.new("RGB", size)
    cut = images.crop(image, tensor)
    # One side is whole, and the other as near to 6 : 4 as pixels allow.
    assert cut.size in ((wide, max(1, wide * 4 // 6)), (max(1, high * 6 // 4), high))
    assert cut.width <= wide and cut.height <= high
    assert images.from_image(cut, tensor).shape == (1, 4, 6, 3)


def test_the_middle_is_in_the_middle() -> None:
    tensor = network((1, 2, 2, 1), "uint8").tensors[0]
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 6)
    cut = images.crop(Image.fromarray(pixels), tensor)
    np.testing.assert_array_equal(np.asarray(cut), pixels[:, 2:4])
    # Turned first: what is stored as 2 × 6 is looked at as 6 × 2.
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(pixels)
    turned.info["exif"] = exif.tobytes()
    buffer = io.BytesIO()
    turned.save(buffer, "PNG", exif=exif.tobytes())
    cut = images.crop(Image.open(buffer), tensor)
    np.testing.assert_array_equal(np.asarray(cut), np.rot90(pixels, -1)[2:4])


def test_the_middle_of_odd_remainders() -> None:
    """One column or row more is cut off behind."""
    tensor = network((1, 2, 2, 1), "uint8").tensors[0]
    pixels = np.arange(10, dtype=np.uint8).reshape(2, 5)
    cut = images.crop(Image.fromarray(pixels), tensor)
    np.testing.assert_array_equal(np.asarray(cut), pixels[:, 1:3])
    cut = images.crop(Image.fromarray(pixels.T), tensor)
    np.testing.assert_array_equal(np.asarray(cut), pixels.T[1:3])


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("shape", [(1, 4, 6, 3), (1, 3, 4, 6), (1, 4, 6, 1)])
def test_pixels_and_back(shape: tuple[int, ...], dtype: str) -> None:
    tensor = network(shape, dtype).tensors[0]
    size = images.picture_size(tensor)
    pixels = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    np.testing.assert_array_equal(
        images.to_pixels(images.from_pixels(pixels, tensor), tensor), pixels
    )


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    unknown, cut, missing = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"
    unknown.write_bytes(b"no picture")
    picture(40, 60).save(cut)
    cut.write_bytes(cut.read_bytes()[:1000])
    for path, reason in ((unknown, "no format"), (cut, "not a readable"), (missing, "No such")):
        with pytest.raises(InputError, match=reason) as caught:
            images.open_picture(path)
        assert str(path) in str(caught.value)
