"""Public networks by name: where they come from, and a copy of them in the user's cache.

Wherever a command takes MODEL.tflite it takes one of these names too.  A folder named by the
environment variable ``SEPARABLE_MODELS`` is searched before the cache.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from common import cache
from common.errors import InputError, SeparableError

__all__ = ["NETWORKS", "DownloadError", "Network", "find", "where"]

HOST = "https://raw.githubusercontent.com"
FOLDER_VARIABLE = "SEPARABLE_MODELS"
TIMEOUT = 30.0
"""Seconds without an answer after which a download is given up."""
PIECE = 1 << 16


class DownloadError(SeparableError):
    """A network cannot be fetched, or is not the published file."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A published file.

    Attributes
    ----------
    name : str
        As commands take it; the file is ``name.tflite``.
    summary : str
    repository : str
        Owner and name on GitHub.
    path : str
        In the repository.
    revisions : tuple of str
        Commits and branches to ask for, in this order: what is at an address is accepted only
        with the right ``sha256``.
    size : int
        Bytes.
    sha256 : str
    licence : str
        SPDX identifier.
    also : tuple of str
        Other names of the file that people have it under, without ``.tflite``.
    """

    name: str
    summary: str
    repository: str
    path: str
    revisions: tuple[str, ...]
    size: int
    sha256: str
    licence: str = "Apache-2.0"
    also: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The name of the file."""
        return f"{self.name}.tflite"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the file is."""
        return tuple(
            f"{HOST}/{self.repository}/{revision}/{self.path}" for revision in self.revisions
        )



def _mlperf_tiny(
    name: str, folder: str, size: int, sha256: str, summary: str, *, file: str = "",
    also: tuple[str, ...] = (),
) -> Network:
    """Return a reference network of MLPerf Tiny."""
    return Network(
        name=name,
        summary=f"{summary}, MLPerf Tiny",
        repository="mlcommons/tiny",
        path=f"benchmark/training/{folder}/trained_models/{file or name}.tflite",
        revisions=("bceb91c5ad2e2deb295547d81505721d3a87d578", "master"),
        size=size,
        sha256=sha256,
        also=(file, *also) if file else also,
    )


_NETWORKS = (
    _mlperf_tiny("vww_96_int8", "visual_wake_words", 333288,
                 "597a384c8c2c8a1276f04702f25013b7838f2f814f1ca7c174d295b73e3d6b7b",
                 "MobileNet V1 0.25, 96×96×3: person or no person"),
    _mlperf_tiny("kws_ref_model", "keyword_spotting", 53936,
                 "aeea436800704fce17b17292e4412630ad856e9d777c044c64ef748a880bd0ae",
                 "DS-CNN, 49×10×1: 12 words"),
    _mlperf_tiny("resnet8", "image_classification", 98496,
                 "3c002613d1b2475eb51dd78dfb85a546c8ae658dee71cf6ade43b022fe205415",
                 "ResNet-8, 32×32×3: CIFAR-10",
                 file="pretrainedResnet_quant", also=("resnet8_cifar10_int8",)),
    _mlperf_tiny("ad01_int8", "anomaly_detection", 276976,
                 "87cf24194ef93d1d9b11a591d805526b98008e351655d29883c825c9c106ba24",
                 "dense autoencoder, 640: sounds of machines"),
    Network(
        name="person_detect",
        summary="MobileNet V1 0.25, 96×96×1: no person or person, TensorFlow Lite Micro",
        repository="tensorflow/tflite-micro",
        path="tensorflow/lite/micro/models/person_detect.tflite",
        revisions=("aeac6f39e5c7475cea20c54e86d41e3a38312546", "main"),
        size=300568,
        sha256="808cfdfc0cf3a6fa6f6fa26bfa379ea97c16d5db7334637766e39c3408502e9d",
    ),
    Network(
        name="mobilenet_v1_0.25_128_quant",
        summary="MobileNet V1 0.25, 128×128×3: ImageNet, uint8",
        repository="google-coral/test_data",
        path="mobilenet_v1_0.25_128_quant.tflite",
        revisions=("104342d2d3480b3e66203073dac24f4e2dbb4c41", "master"),
        size=525598,
        sha256="cb273c23ee76374b05b9583177e28aa19744858a7679c56a250e83d0333da785",
    ),
    Network(
        name="mobilenetv2_160_035",
        summary="MobileNet V2 0.35, 160×160×3: two classes, CFU Playground",
        repository="google/CFU-Playground",
        path="common/src/models/mnv2/model_mobilenetv2_160_035.tflite",
        revisions=("main",),
        size=691040,
        sha256="030239860f26cb560e548960a23d77ce3291bea951c75df2cf6d0e3294d31ae1",
    ),
    Network(
        name="mobilenet_v2_1.0_224_quant",
        summary="MobileNet V2 1.0, 224×224×3: ImageNet, uint8",
        repository="google-coral/test_data",
        path="mobilenet_v2_1.0_224_quant.tflite",
        revisions=("104342d2d3480b3e66203073dac24f4e2dbb4c41", "master"),
        size=3610798,
        sha256="7aad0c74c5e3c06e5eb3c827e13304fdd68a83da6087d92ee169c24ff9fd4776",
    ),
)
NETWORKS: dict[str, Network] = {network.name: network for network in _NETWORKS}


def _check_no_folder(path: Path) -> None:
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder; name a .tflite file in it, or give the folder to "
                         "python -m sw.survey, which takes folders")


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the file of a network: a path as it is, or a network by its name.

    A name is looked up in the folder ``SEPARABLE_MODELS`` (any ``NAME.tflite`` there, or what else
    a known network's file is called), then, if it is one of :data:`NETWORKS`, in the cache; from
    there it is downloaded if it is missing.

    Raises
    ------
    InputError
        If there is neither a file nor a network of that name, or it is a folder.
    DownloadError
        If the network is not here and cannot be fetched, or a copy of it is not the published
        file.
    """
    path = Path(name_or_path)
    text = os.fspath(name_or_path)
    if path.is_file():
        return path
    if path.name != text or path.suffix == ".tflite":
        _check_no_folder(path)
        return path
    if found := _in_folder(text):
        return found
    network = NETWORKS.get(text)
    if network is None:
        _check_no_folder(path)
        guess = get_close_matches(text, NETWORKS, n=1)
        hint = f"did you mean {guess[0]}? " if guess else ""
        raise InputError(
            f"there is no file and no known network {text!r}; {hint}python -m sw.models list "
            "shows the networks"
        )
    target = _cache() / network.file
    if not _is_published(target, network):
        with _making(target):
            # Somebody else may have been faster.
            if not _is_published(target, network):
                _download(network, target)
    return target


@contextmanager
def _making(target: Path) -> Iterator[None]:
    """Hold the lock of a file of the cache; what cannot be written is one sentence."""
    try:
        with cache.exclusive(target):
            yield
    except OSError as error:
        raise DownloadError(
            f"{error.filename or target} cannot be written ({error.strerror or error}); set "
            f"SEPARABLE_CACHE to another folder, or {FOLDER_VARIABLE} to one with {target.name}"
        ) from None


def _cache() -> Path:
    return cache.directory() / "models"


def _in_folder(name: str) -> Path | None:
    """Return a file of the folder that the environment names, if there is one."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    network = NETWORKS.get(name)
    names = (name, *(network.also if network else ()))
    paths = [Path(folder) / f"{one}.tflite" for one in names]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    if network is not None and not _is_published(path, network):
        raise DownloadError(
            f"{path} is not the published network {name} (its sha256 differs); rename it, or give "
            "its path to use it as it is"
        )
    return path


def _is_published(path: Path, network: Network) -> bool:
    if not path.is_file() or path.stat().st_size != network.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == network.sha256


def _download(network: Network, target: Path) -> None:
    """Fetch a network; it appears under its name complete and verified, or not at all."""
    # Only here, and below: few commands need a network.
    from http.client import HTTPException
    from urllib.error import HTTPError

    error: DownloadError | None = None
    for address in network.addresses:
        try:
            data = _fetch(address, network)
            digest = hashlib.sha256(data).hexdigest()
            if digest == network.sha256:
                break
            error = DownloadError(
                f"{address} is not the published network {network.name}: of its {network.size} "
                f"bytes {len(data)} came, and their sha256 is {digest}, not {network.sha256}; "
                "nothing was kept, try again or report it"
            )
        except HTTPError as problem:
            error = DownloadError(
                f"{address} cannot be fetched: the server says {problem.code} {problem.reason}"
            )
        except (OSError, HTTPException) as problem:
            reason = getattr(problem, "reason", None) or problem or type(problem).__name__
            raise DownloadError(
                f"{network.name} is not in the cache and {HOST.split('/')[2]} cannot be reached "
                f"({reason}); connect, or put {network.file} in a folder and set {FOLDER_VARIABLE} "
                "to it"
            ) from None
    else:
        assert error is not None
        raise error
    _write(target, data)


def _fetch(address: str, network: Network) -> bytes:
    """Return what is at an address, as far as it can be right."""
    from urllib.request import urlopen

    data = bytearray()
    with urlopen(address, timeout=TIMEOUT) as answer:
        while piece := answer.read(min(PIECE, network.size + 1 - len(data))):
            data += piece
    return bytes(data)


def _write(target: Path, data: bytes) -> None:
    """Write a file; it appears complete or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def where(network: Network) -> str:
    """Return the path of a copy, or nothing."""
    try:
        found = _in_folder(network.name)
    except DownloadError:
        found = None
    cached = _cache() / network.file
    return str(found or (cached if _is_published(cached, network) else ""))
