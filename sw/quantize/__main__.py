"""Quantise float weights of a MobileNet to an int8 .tflite file.

WEIGHTS is a .npz of named arrays or a PyTorch state dictionary (.pt, .pth): of Keras'
MobileNet and MobileNetV2, torchvision's mobilenet_v2, another PyTorch implementation, or this
project's own training.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import boards
from common import door, files, tool
from common.errors import InputError
from common.terminal import printable
from sw import images, importer
from sw.networks.architecture import Architecture, mobilenet_v1, mobilenet_v2
from sw.networks.detectors import CELL, HEAD, fomo
from sw.quantize import states
from sw.quantize.accuracy import accuracy, float_predictions, golden_outputs
from sw.quantize.export import quantize
from sw.quantize.reference import (
    KERAS,
    TORCHVISION,
    UNIT,
    FloatNetwork,
    Preprocessing,
    check_images,
)

__all__ = ["main"]

PREPROCESSING: dict[str, Preprocessing] = {
    "unit": UNIT,
    "keras": KERAS,
    "torchvision": TORCHVISION,
}
CALIBRATION = 500

Pixels = npt.NDArray[np.uint8]


@contextmanager
def _of(path: str) -> Iterator[None]:
    """Let errors of what is in a file name it."""
    try:
        yield
    except InputError as error:
        named = str(error).startswith(f"{path}: ")
        raise InputError(str(error) if named else f"{path}: {error}") from None


def _images(path: str, net: Architecture) -> Pixels:
    """Return images to calibrate with: the first ones of a file or a folder."""
    if not Path(path).is_dir():
        return _array(path, net)[0][:CALIBRATION]
    mode = "L" if net.channels == 1 else "RGB"
    pixels = []
    for file in sorted(Path(path).iterdir())[:CALIBRATION]:
        image = images.open_picture(file).convert(mode)
        small = image.resize((net.size,) * 2, Image.Resampling.BILINEAR)
        pixels.append(np.asarray(small, np.uint8).reshape(net.size, net.size, -1))
    if not pixels:
        raise InputError(f"{path}: there are no images in it")
    with _of(path):
        return check_images(net, np.stack(pixels))


def _array(path: str, net: Architecture) -> tuple[Pixels, npt.NDArray[np.generic] | None]:
    """Return the images of a file and, where there are any, labels."""
    data = states.read(path)
    if "images" not in data:
        raise InputError(f"{path}: there is no array 'images' in it")
    with _of(path):
        return check_images(net, data["images"]), data.get("labels")


def _test(path: str, net: Architecture) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Return images and their classes."""
    pixels, labels = _array(path, net)
    count = 0 if labels is None else labels.size
    if labels is None or count != len(pixels):
        raise InputError(
            f"{path}: there are {count} labels for {len(pixels)} images; give one for each"
        )
    if labels.dtype.kind not in "iu":
        raise InputError(f"{path}: the labels are of the type {labels.dtype}; give whole numbers")
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= net.classes:
        raise InputError(
            f"{path}: the labels are from {least} to {most}; the network's {net.classes} classes "
            f"are 0 to {net.classes - 1}"
        )
    return pixels, labels.astype(np.int64).ravel()


def _parser() -> tool.Parser:
    parser = tool.Parser(prog="python -m sw.quantize", description=__doc__)
    parser.add_argument("weights", metavar="WEIGHTS", help="a .npz, .pt or .pth file")
    parser.add_argument("--network", choices=("v1", "v2"), required=True, help="MobileNet V1 or V2")
    parser.add_argument("--alpha", type=float, default=1.0, help="width multiplier (default: 1)")
    parser.add_argument("--resolution", type=int, default=224, help="of the input (default: 224)")
    parser.add_argument(
        "--classes", type=int, default=1000, help="of the classifier (default: 1000)"
    )
    parser.add_argument("--channels", type=int, default=3, help="of the input (default: 3)")
    parser.add_argument(
        "--stem-stride", type=int, default=2, help="of the first convolution (default: 2)"
    )
    parser.add_argument(
        "--head", type=int,
        help="channels of V2's last convolution (default: 1280; with --fomo: of the one before "
        f"the classes, {HEAD})",
    )
    parser.add_argument(
        "--fomo", action="store_true",
        help=f"a FOMO detector over it: for each cell of {CELL} × {CELL} pixels the classes, and "
        "the background before them",
    )
    parser.add_argument(
        "--padding", choices=("same", "symmetric"), default="same",
        help="same: TensorFlow's; symmetric: PyTorch's (default: same)",
    )
    parser.add_argument(
        "--preprocessing", choices=sorted(PREPROCESSING), default="unit",
        help="what pixels become: 0 to 1 (unit), −1 to 1 (keras), or torchvision's "
        "(default: unit)",
    )
    parser.add_argument(
        "--images", required=True, metavar="FILE.npz|DIR",
        help="to calibrate with: uint8 array 'images' (N, H, W, C), or a folder of images",
    )
    parser.add_argument(
        "--test", metavar="FILE.npz", help="'images' and 'labels': print the accuracy on them"
    )
    parser.add_argument(
        "--quantile", type=float, default=0.9999,
        help="part of the values that ranges must cover; 1: all (default: 0.9999)",
    )
    boards.add_option(parser, "a network that does not compile for this board is not written")
    parser.add_argument("--logits", action="store_true", help="leave the softmax out")
    parser.add_argument("--output", required=True, metavar="FILE.tflite", help="the network")
    return parser


def _network(options: argparse.Namespace) -> Architecture:
    """Return the network that the options describe."""
    shape = {
        "classes": options.classes, "channels": options.channels,
        "stem_stride": options.stem_stride, "padding": options.padding,
        "name": Path(options.output).stem,
    }
    if options.fomo:
        if options.test:
            raise InputError("--test is for classifiers; leave it out with --fomo")
        family = mobilenet_v2 if options.network == "v2" else mobilenet_v1
        backbone = family(options.alpha, options.resolution, **shape)
        head = HEAD if options.head is None else options.head
        return fomo(backbone, head=head, name=backbone.name)
    if options.network == "v2":
        return mobilenet_v2(options.alpha, options.resolution, head=options.head, **shape)
    if options.head is not None:
        raise InputError("--head is for --network v2 and --fomo; V1 has no such layer")
    return mobilenet_v1(options.alpha, options.resolution, **shape)


@tool.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    options = _parser().parse_args(arguments)
    files.check_outputs([options.output], (options.weights, options.images, options.test))
    net = _network(options)
    with _of(options.weights):
        weights = states.load(states.read(options.weights), net)
        network = FloatNetwork(net, weights, PREPROCESSING[options.preprocessing])
    pixels = _images(options.images, net)
    test = _test(options.test, net) if options.test else None
    model = quantize(
        network, pixels, quantile=options.quantile, softmax=not options.logits,
        board=boards.get(options.board),
    )
    graph = importer.loads(model, net.name)
    files.write_bytes(options.output, model)
    print(
        f"{printable(options.output)}: {len(model):,} bytes, {net.macs:,} multiply-adds, "
        f"{net.parameters:,} parameters; calibrated with {len(pixels)} images"
    )
    if test is not None:
        before = accuracy(float_predictions(network, test[0]), test[1])
        after = accuracy(golden_outputs(graph, test[0]).argmax(axis=1), test[1])
        print(
            f"{len(test[0]):,} test images: float {before:.2%}, int8 {after:.2%}, lost "
            f"{before - after:+.2%}"
        )
    return 0


if __name__ == "__main__":
    door.run(main)
