"""Public networks by name: where they come from, and a copy of them in the user's cache.

    python -m sw.models list
    python -m sw.models get vww_96_int8

Wherever a command takes MODEL.tflite it takes one of these names too.  A folder named by the
environment variable ``SEPARABLE_MODELS`` is searched before the cache.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from http.client import HTTPException
from pathlib import Path
from typing import Any

from rich.table import Table

from common import door
from sim import cache
from sw import report
from sw.errors import InputError, SeparableError

__all__ = ["NETWORKS", "DownloadError", "Network", "find", "main"]

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
    """

    name: str
    summary: str
    repository: str
    path: str
    revisions: tuple[str, ...]
    size: int
    sha256: str
    licence: str = "Apache-2.0"

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


_NETWORKS = (
    Network(
        name="vww_96_int8",
        summary="MobileNet V1 0.25, 96×96×3: person or no person, MLPerf Tiny",
        repository="mlcommons/tiny",
        path="benchmark/training/visual_wake_words/trained_models/vww_96_int8.tflite",
        revisions=("bceb91c5ad2e2deb295547d81505721d3a87d578", "master"),
        size=333288,
        sha256="597a384c8c2c8a1276f04702f25013b7838f2f814f1ca7c174d295b73e3d6b7b",
    ),
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


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the file of a network: a path as it is, or a network by its name.

    A name is looked up in the folder ``SEPARABLE_MODELS`` (any ``NAME.tflite`` there), then, if
    it is one of :data:`NETWORKS`, in the cache; from there it is downloaded if it is missing.

    Raises
    ------
    InputError
        If there is neither a file nor a network of that name.
    DownloadError
        If the network is not here and cannot be fetched, or a copy of it is not the published
        file.
    """
    path = Path(name_or_path)
    text = os.fspath(name_or_path)
    if path.is_file() or path.name != text or path.suffix == ".tflite":
        return path
    if found := _in_folder(text):
        return found
    network = NETWORKS.get(text)
    if network is None:
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
    path = Path(folder) / f"{name}.tflite" if folder else None
    if path is None or not path.is_file():
        return None
    network = NETWORKS.get(name)
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
        except urllib.error.HTTPError as problem:
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
    data = bytearray()
    with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
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


def _where(network: Network) -> str:
    """Return the path of a copy, or nothing."""
    try:
        found = _in_folder(network.name)
    except DownloadError:
        found = None
    cached = _cache() / network.file
    return str(found or (cached if _is_published(cached, network) else ""))


def _list(options: Any) -> None:
    report.check_outputs([options.json])
    table = Table()
    for name in ("network", "what", "KB", "licence", "from", "here"):
        table.add_column(
            name, justify="right" if name == "KB" else "left", no_wrap=name == "network"
        )
    entries = []
    for network in NETWORKS.values():
        where = _where(network)
        size = f"{network.size / 1024:,.0f}"
        table.add_row(
            network.name, network.summary, size, network.licence, network.repository, where or "no"
        )
        entries.append(
            {
                "name": network.name,
                "summary": network.summary,
                "bytes": network.size,
                "sha256": network.sha256,
                "licence": network.licence,
                "addresses": list(network.addresses),
                "path": where or None,
            }
        )
    report.console().print(table)
    if options.json:
        report.write_json(options.json, {"networks": entries})


def _get(options: Any) -> None:
    for name in options.names:
        if name not in NETWORKS:
            raise InputError(
                f"there is no known network {name!r}; known: {', '.join(NETWORKS)}"
            )
    for name in options.names:
        print(find(name), flush=True)


def _parser() -> report.Parser:
    parser = report.Parser(prog="python -m sw.models", description="Public networks by name.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=report.Parser)
    listing = commands.add_parser("list", help="show the networks and which are here")
    listing.add_argument("--json", metavar="FILE", help="write the list as JSON")
    listing.set_defaults(run=_list)
    getting = commands.add_parser("get", help="fetch networks into the cache, print their paths")
    getting.add_argument("names", metavar="NAME", nargs="+")
    getting.set_defaults(run=_get)
    return parser


@report.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    options = _parser().parse_args(arguments)
    options.run(options)
    return 0


if __name__ == "__main__":
    door.run(main)
