"""Quantise float weights of a MobileNet to an int8 ``.tflite`` file.

WEIGHTS is a ``.npz`` of named arrays or a PyTorch state dictionary (``.pt``, ``.pth``): of Keras'
MobileNet and MobileNetV2, torchvision's mobilenet_v2, another PyTorch implementation, or this
project's own training.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sw import files, importer, report
from sw.errors import InputError
from sw.networks.architecture import Architecture, mobilenet_v1, mobilenet_v2
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
from sw.terminal import printable

__all__ = ["main"]

PREPROCESSING: dict[str, Preprocessing] = {
    "unit": UNIT,
    "keras": KERAS,
    "torchvision": TORCHVISION,
}
CALIBRATION = 500


def _images(path: str, net: Architecture) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.generic]]:
    """Return images and, where there are any, labels."""
    if not Path(path).is_dir():
        data = states.read(path)
        if "images" not in data:
            raise InputError(f"{path}: there is no array 'images' in it")
        return check_images(net, data["images"]), data.get("labels", np.array([], np.int64))
    pixels = []
    for file in sorted(Path(path).iterdir()):
        try:
            with Image.open(file) as image:
                mode = "L" if net.channels == 1 else "RGB"
                small = image.convert(mode).resize((net.size,) * 2, Image.Resampling.BILINEAR)
        except OSError as error:
            raise InputError(f"{file}: not a readable image ({error})") from None
        pixels.append(np.asarray(small, np.uint8).reshape(net.size, net.size, net.channels))
    if not pixels:
        raise InputError(f"{path}: there are no images in it")
    return np.stack(pixels), np.array([], np.int64)


def _parser() -> report.Parser:
    parser = report.Parser(prog="python -m sw.quantize", description=__doc__)
    parser.add_argument("weights", metavar="WEIGHTS")
    parser.add_argument("--network", choices=("v1", "v2"), required=True)
    parser.add_argument("--alpha", type=float, default=1.0, help="width multiplier (1)")
    parser.add_argument("--resolution", type=int, default=224, help="of the input (224)")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--channels", type=int, default=3, help="of the input (3)")
    parser.add_argument("--stem-stride", type=int, default=2, help="of the first convolution (2)")
    parser.add_argument("--head", type=int, help="channels of V2's last convolution (1280)")
    parser.add_argument(
        "--padding", choices=("same", "symmetric"), default="same",
        help="same: TensorFlow's (default); symmetric: PyTorch's",
    )
    parser.add_argument(
        "--preprocessing", choices=sorted(PREPROCESSING), default="unit",
        help="what pixels become: 0 to 1 (unit, default), −1 to 1 (keras), or torchvision's",
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
        help="part of the values that ranges must cover (0.9999); 1: all",
    )
    parser.add_argument("--logits", action="store_true", help="leave the softmax out")
    parser.add_argument("--output", required=True, metavar="FILE.tflite")
    return parser


@report.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    options = _parser().parse_args(arguments)
    shape = {
        "classes": options.classes, "channels": options.channels,
        "stem_stride": options.stem_stride, "padding": options.padding,
        "name": Path(options.output).stem,
    }
    if options.network == "v2":
        net = mobilenet_v2(options.alpha, options.resolution, head=options.head, **shape)
    elif options.head is not None:
        raise InputError("--head is for --network v2; V1 has no such layer")
    else:
        net = mobilenet_v1(options.alpha, options.resolution, **shape)
    network = FloatNetwork(
        net, states.load(states.read(options.weights), net), PREPROCESSING[options.preprocessing]
    )
    images, _ = _images(options.images, net)
    model = quantize(
        network, images[:CALIBRATION], quantile=options.quantile, softmax=not options.logits
    )
    graph = importer.loads(model, net.name)
    files.write_bytes(options.output, model)
    print(
        f"{printable(options.output)}: {len(model):,} bytes, {net.macs:,} multiply-adds, "
        f"{net.parameters:,} parameters; calibrated with {len(images[:CALIBRATION])} images"
    )
    if options.test:
        images, labels = _images(options.test, net)
        classes = labels.astype(np.int64).ravel()
        before = accuracy(float_predictions(network, images), classes)
        after = accuracy(golden_outputs(graph, images).argmax(axis=1), classes)
        print(
            f"{len(images):,} test images: float {before:.2%}, int8 {after:.2%}, lost "
            f"{before - after:+.2%}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
