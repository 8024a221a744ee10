"""Networks by name: folder, cache, download."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.networks import small_model

from common import cache
from common.errors import InputError
from sim import layer
from sw import compile as sw_compile
from sw import models, run
from sw.bench import __main__ as bench
from sw.networks import published
from sw.networks.published import DownloadError, Network

NAME = "vww_96_int8"


class Server:
    """A web server with some answers: by path, (status, body, length that it announces)."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes, int]] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                status, body, length = server.answers.get(self.path, (404, b"", 0))
                self.send_response(status)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    found = Server()
    monkeypatch.setattr(published, "HOST", found.address)
    yield found
    found.close()


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's: no folder, an empty cache, no file in the way, no proxy."""
    monkeypatch.delenv("SEPARABLE_MODELS", raising=False)
    monkeypatch.setenv("SEPARABLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> tuple[Network, bytes]:
    """A known network, with contents of our own."""
    data = small_model()
    made = replace(
        published.NETWORKS[NAME],
        revisions=("pinned", "branch"),
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    monkeypatch.setitem(published.NETWORKS, NAME, made)
    return made, data


def at(network: Network, revision: str) -> str:
    return f"/{network.repository}/{revision}/{network.path}"


def files() -> list[str]:
    folder = cache.directory() / "models"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_every_network_has_an_address_a_digest_and_a_licence() -> None:
    assert set(published.NETWORKS) >= {
        "vww_96_int8",
        "kws_ref_model",
        "resnet8",
        "ad01_int8",
        "person_detect",
        "mobilenet_v1_0.25_128_quant",
        "mobilenetv2_160_035",
        "mobilenet_v2_1.0_224_quant",
    }
    for name, network in published.NETWORKS.items():
        assert network.name == name
        assert len(network.sha256) == 64 and int(network.sha256, 16)
        assert network.licence and network.size > 50_000
        assert network.addresses
        for address in network.addresses:
            assert address.startswith("https://") and address.endswith(
                tuple(f"{one}.tflite" for one in (name, *network.also)))


def test_digests_are_those_of_the_files(shared: Path) -> None:
    for network in published.NETWORKS.values():
        names = (network.name, *network.also)
        paths = [shared / "models" / f"{name}.tflite" for name in names]
        data = next(path for path in paths if path.is_file()).read_bytes()
        assert len(data) == network.size
        assert hashlib.sha256(data).hexdigest() == network.sha256


def test_files_of_a_folder_may_have_the_names_that_people_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: tuple[Network, bytes]
) -> None:
    known, data = network
    monkeypatch.setitem(published.NETWORKS, NAME, replace(known, also=("first", "second")))
    monkeypatch.setenv("SEPARABLE_MODELS", str(tmp_path))
    for name in ("second", "first", NAME):
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(data)
        assert published.find(NAME) == path
    path.write_bytes(data[:-1])
    with pytest.raises(DownloadError, match=f"{NAME}.tflite is not the published network"):
        published.find(NAME)


def test_downloaded_once(server: Server, network: tuple[Network, bytes]) -> None:
    known, data = network
    server.answers[at(known, "pinned")] = (200, data, len(data))
    path = published.find(NAME)
    assert path == cache.directory() / "models" / f"{NAME}.tflite"
    assert path.read_bytes() == data
    assert published.find(NAME) == path
    assert server.asked == [at(known, "pinned")]
    assert files() == [path.name]


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped"])
def test_a_damaged_copy_is_fetched_again(
    server: Server, network: tuple[Network, bytes], damage: str
) -> None:
    known, data = network
    server.answers[at(known, "pinned")] = (200, data, len(data))
    path = cache.directory() / "models" / f"{NAME}.tflite"
    path.parent.mkdir(parents=True)
    flipped = data[:9] + bytes([data[9] ^ 1]) + data[10:]
    path.write_bytes({"cut": data[:-1], "empty": b"", "flipped": flipped}[damage])
    assert published.find(NAME).read_bytes() == data


def test_what_a_killed_download_left_is_deleted(
    server: Server, network: tuple[Network, bytes]
) -> None:
    known, data = network
    server.answers[at(known, "pinned")] = (200, data, len(data))
    folder = cache.directory() / "models"
    folder.mkdir(parents=True)
    for name in (f".{NAME}.tflite.k2_x9abc", ".other.tflite.k2_x9abc", "other.tflite.lock"):
        (folder / name).write_bytes(data[:100])
    (folder / "other.tflite").write_bytes(data)
    assert published.find(NAME).read_bytes() == data
    assert files() == sorted([f"{NAME}.tflite", "other.tflite"])


def test_two_at_once_fetch_once(server: Server, network: tuple[Network, bytes]) -> None:
    known, data = network
    server.answers[at(known, "pinned")] = (200, data, len(data))
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(published.find(NAME))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() for path in found] == [data] * 3
    assert server.asked == [at(known, "pinned")]


@pytest.mark.parametrize("full", [True, False])
def test_what_cannot_be_written_is_one_sentence(
    server: Server, network: tuple[Network, bytes], monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    known, data = network
    server.answers[at(known, "pinned")] = (200, data, len(data))
    if full:

        def replace_it(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("sw.networks.published.os.replace", replace_it)
    else:
        cache.directory().write_bytes(b"a file")
    with pytest.raises(DownloadError, match=r"cannot be written .* set SEPARABLE_CACHE to another"):
        published.find(NAME)
    assert not full or files() == []


def test_the_next_revision_if_the_first_is_gone_or_other(
    server: Server, network: tuple[Network, bytes]
) -> None:
    known, data = network
    server.answers[at(known, "branch")] = (200, data, len(data))
    assert published.find(NAME).read_bytes() == data
    published.find(NAME).unlink()
    server.answers[at(known, "pinned")] = (200, b"other", 5)
    assert published.find(NAME).read_bytes() == data
    assert server.asked == [at(known, "pinned"), at(known, "branch")] * 2


@pytest.mark.parametrize("case", ["other", "short", "long"])
def test_what_is_not_the_network_is_refused(
    server: Server, network: tuple[Network, bytes], case: str
) -> None:
    known, data = network
    body = {"other": data[:-1] + b"?", "short": data[:-9], "long": data + b"more"}[case]
    for revision in known.revisions:
        server.answers[at(known, revision)] = (200, body, len(body))
    with pytest.raises(DownloadError, match=r"not the published network .* nothing was kept"):
        published.find(NAME)
    assert files() == []


def test_a_download_that_breaks_off_leaves_nothing(
    server: Server, network: tuple[Network, bytes]
) -> None:
    known, data = network
    for revision in known.revisions:
        server.answers[at(known, revision)] = (200, data[: len(data) // 2], len(data))
    with pytest.raises(DownloadError):
        published.find(NAME)
    assert files() == []


def test_missing_at_its_address(server: Server, network: tuple[Network, bytes]) -> None:
    with pytest.raises(DownloadError, match="cannot be fetched: the server says 404"):
        published.find(NAME)
    assert files() == []


def test_offline_is_one_line(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A port that nobody listens on any more.
    other = Server()
    monkeypatch.setattr(published, "HOST", other.address)
    other.close()
    assert models.main(["get", NAME]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {NAME} is not in the cache and 127.0.0.1:")
    assert "SEPARABLE_MODELS" in lines[0]
    assert files() == []


def test_the_folder_comes_first(
    server: Server,
    network: tuple[Network, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, data = network
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setenv("SEPARABLE_MODELS", str(folder))
    (folder / f"{NAME}.tflite").write_bytes(data)
    (folder / "mine.tflite").write_bytes(b"of the user's own")
    assert published.find(NAME) == folder / f"{NAME}.tflite"
    assert published.find("mine") == folder / "mine.tflite"
    assert server.asked == []
    (folder / f"{NAME}.tflite").write_bytes(data[1:])
    with pytest.raises(DownloadError, match="not the published network"):
        published.find(NAME)


def test_paths_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "here" / "network").write_bytes(b"")
    for path in ("network", "missing.tflite", "../elsewhere/network",
                 str(tmp_path / "missing")):
        assert published.find(path) == Path(path)
    assert published.find(Path("a") / "b") == Path("a/b")


@pytest.mark.parametrize("name", ["afolder", "./afolder", "afolder/", "a.tflite"])
def test_folders_are_surveyed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()
    for door in (sw_compile, run, bench, layer):
        assert door.main([name, "--board", "icebreaker"]) == 2
        assert f"{Path(name)}: is a folder;" in capsys.readouterr().err


def test_a_folder_is_no_networks_copy(
    server: Server, network: tuple[Network, bytes], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known, data = network
    server.answers[at(known, "pinned")] = (200, data, len(data))
    monkeypatch.chdir(tmp_path)
    Path(NAME).mkdir()
    assert published.find(NAME).read_bytes() == data


def test_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="did you mean vww_96_int8"):
        published.find("vww_96")
    with pytest.raises(InputError, match=r"no file and no known network 'x'; python -m sw.models"):
        published.find("x")
    assert models.main(["get", NAME, "x"]) == 2
    assert "no known network 'x'; known: vww_96_int8" in capsys.readouterr().err


def test_get_prints_paths_and_list_says_where(
    server: Server,
    network: tuple[Network, bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known, data = network
    server.answers[at(known, "pinned")] = (200, data, len(data))
    report = tmp_path / "list.json"
    assert models.main(["list", "--json", str(report)]) == 0
    assert {entry["path"] for entry in json.loads(report.read_text())["networks"]} == {None}
    assert models.main(["get", NAME]) == 0
    path = capsys.readouterr().out.splitlines()[-1]
    assert Path(path).read_bytes() == data
    assert models.main(["list", "--json", str(report)]) == 0
    entries = {entry["name"]: entry for entry in json.loads(report.read_text())["networks"]}
    assert entries[NAME]["path"] == path
    assert entries[NAME]["sha256"] == known.sha256
    assert entries["person_detect"]["path"] is None


def test_commands_take_names(
    server: Server, network: tuple[Network, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    known, data = network
    server.answers[at(known, "pinned")] = (200, data, len(data))
    assert sw_compile.main([NAME, "--board", "icebreaker"]) == 0
    assert f"{NAME} on icebreaker" in capsys.readouterr().out


def test_no_more_is_read_than_the_size(
    monkeypatch: pytest.MonkeyPatch, network: tuple[Network, bytes]
) -> None:
    """One byte beyond it is enough to know that a file is another one."""
    known, _ = network
    endless = io.BytesIO(bytes(10 * known.size))
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: endless)
    assert len(published._fetch("http://nowhere", known)) == known.size + 1
