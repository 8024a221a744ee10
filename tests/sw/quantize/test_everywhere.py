"""The quantiser writes the same bytes on every processor, with any number of threads."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from support.places import REPOSITORY

from sw.networks.architecture import mobilenet_v2
from sw.quantize.export import quantize
from sw.quantize.reference import TORCHVISION, FloatNetwork
from sw.quantize.weights import LayerWeights, Norm, Weights

DIGEST = "97b4406b74f36e32c8add18177894865496d35af0b9ef24ae95a92c43adb0ca6"
"""SHA-256 of the file that :func:`made` makes: what this processor writes, every other one does."""

NET = mobilenet_v2(0.1, 24, classes=40, head=200, name="everywhere")
# The oldest kernels of BLAS, and newer ones; the names of other machines are not known to it.
CORES = {
    "x86_64": ("Prescott", "Haswell", "SkylakeX"),
    "aarch64": ("ARMV8", "NEOVERSEN1", "NEOVERSEV1"),
}


def made() -> bytes:
    """Quantise a network whose weights come from integers, without a function of libm."""
    # Of all of NumPy's generators this one is promised to stay as it is.
    rng = np.random.RandomState(0)

    def values(low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
        return (low + (high - low) * rng.randint(0, 1 << 20, shape) / (1 << 20)).astype(np.float32)

    found: Weights = {}
    for layer in NET.layers:
        bound = float(np.sqrt(6 * layer.outputs / np.prod(layer.weight_shape)))
        count = (layer.outputs,)
        norm = Norm(
            gamma=values(0.5, 1.5, count), beta=values(-0.5, 1, count),
            mean=values(-0.2, 0.2, count), variance=values(0.5, 1.5, count), epsilon=1e-3,
        )
        found[layer.name] = LayerWeights(
            weight=values(-bound, bound, layer.weight_shape),
            bias=None if layer.norm else values(-1, 1, count),
            norm=norm if layer.norm else None,
        )
    images = rng.randint(0, 256, (20, NET.size, NET.size, NET.channels)).astype(np.uint8)
    return quantize(FloatNetwork(NET, found, TORCHVISION), images, quantile=0.999)


def processors() -> list[dict[str, str]]:
    """Return environments in which NumPy and BLAS take other code than here."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])  # type: ignore[index]
    cores = CORES.get(platform.machine(), ())
    # One extension less each time; NumPy knows only the names of those that it found.
    cuts = [found[cut:] for cut in range(len(found))] or [[]]
    return [
        {
            "NPY_DISABLE_CPU_FEATURES": " ".join(cut),
            "OPENBLAS_NUM_THREADS": str(1 + number % 2),
            **({"OPENBLAS_CORETYPE": cores[number % len(cores)]} if cores else {}),
        }
        for number, cut in enumerate(cuts)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("environment", processors(), ids=lambda e: "-".join(e.values()))
def test_every_processor_writes_the_same_file(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__], capture_output=True, text=True, check=True,
        env={**os.environ, **environment, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests'}"},
    )
    assert done.stdout.split() == [DIGEST]


def test_this_processor_writes_it_too() -> None:
    assert hashlib.sha256(made()).hexdigest() == DIGEST


if __name__ == "__main__":
    print(hashlib.sha256(made()).hexdigest())
