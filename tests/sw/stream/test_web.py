"""The web page of a stream: its server, and the page itself in a browser."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.networks import small_model
from support.streams import ABOUT, BAD, FULL, GOOD, NOW

from common.errors import InputError, SeparableError
from sw import importer
from sw.stream.records import Record
from sw.stream.sources import Preparer
from sw.stream.web import HISTORY, Page, parse_address


@pytest.fixture
def page() -> Iterator[Page]:
    prepare = Preparer(importer.loads(small_model(), "small"))
    page = Page(ABOUT, ("127.0.0.1", 0), prepare.tensor)
    yield page
    page.close()


def connect(page: Page) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", page._server.server_address[1], timeout=10)


def get(page: Page, path: str, **headers: str) -> tuple[int, Any, bytes]:
    connection = connect(page)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, response.headers, body


class Events:
    """What a browser hears."""

    def __init__(self, page: Page) -> None:
        self.connection = connect(page)
        self.connection.request("GET", "/events")
        self.response = self.connection.getresponse()
        assert self.response.headers["Content-Type"] == "text/event-stream"

    def next(self) -> dict[str, Any]:
        while True:
            line = self.response.readline()
            assert line, "the server has closed the connection"
            if line.startswith(b"data: "):
                return json.loads(line[6:])

    def close(self) -> None:
        self.response.close()
        self.connection.close()


@pytest.mark.parametrize(
    "text, address",
    [
        ("localhost:80", ("localhost", 80)), (":8000", ("127.0.0.1", 8000)),
        ("0", ("127.0.0.1", 0)), ("[::1]:8080", ("::1", 8080)), ("0.0.0.0:1", ("0.0.0.0", 1)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "a/b:80", ":65536", "::1", "-1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InputError, match="--web takes HOST:PORT, such as"):
        parse_address(text)


def test_an_address_that_is_taken(page: Page) -> None:
    port = page._server.server_address[1]
    with pytest.raises(SeparableError, match=rf"--web 127.0.0.1:{port}: cannot be listened at"):
        Page(ABOUT, ("127.0.0.1", port), page._tensor)


def test_the_page_loads_nothing_from_elsewhere(page: Page) -> None:
    status, headers, body = get(page, "/")
    assert status == 200
    text = body.decode()
    assert not re.findall(r"(?:https?:)?//\w", text)
    assert re.findall(r'(?:src|href)="([^"]*)"', text) == ["data:,"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert get(page, "/../pyproject.toml")[0] == 404
    assert get(page, "/favicon.ico")[0] == 404


def test_only_under_its_own_names(page: Page) -> None:
    for host in ("localhost:80", "127.0.0.1", "[::1]:80", "LOCALHOST"):
        assert get(page, "/", Host=host)[0] == 200
    for host in ("somewhere.example", "127.0.0.1.somewhere.example:80", ""):
        for path in ("/", "/events"):
            assert get(page, path, Host=host)[0] == 403


def test_events(page: Page) -> None:
    events = Events(page)
    first = events.next()
    assert first["record"] is None and first["ended"] == ""
    assert first["about"]["model"] == "net" and first["about"]["where"] == "icebreaker, simulated"
    page.show(FULL, NOW)
    data = events.next()
    record = data["record"]
    assert {key: record[key] for key in ("frame", "input", "top", "cycles", "upload_ms")} == {
        key: GOOD.json()[key] for key in ("frame", "input", "top", "cycles", "upload_ms")
    }
    assert record["picture"].startswith("data:image/jpeg;base64,")
    assert record["seen"].startswith("data:image/png;base64,")
    assert data["now"]["retries"] == 7 and data["history"] == [12.34]
    # A frame without a result is counted, and what was seen stays.
    page.show(BAD, NOW)
    data = events.next()
    assert data["record"]["frame"] == GOOD.number
    assert data["errors"] == [{"frame": 4, "error": "dog.png: not a readable image"}]
    page.end("that was all")
    assert events.next()["ended"] == "that was all"
    events.close()


def test_a_browser_that_looks_does_not_slow_the_stream(page: Page) -> None:
    events = Events(page)
    events.next()
    began = time.monotonic()
    for number in range(2000):
        page.show(Record(**{**vars(FULL), "number": number}), NOW)
    shown = time.monotonic() - began
    # The newest one is seen, and few of those before.
    seen = [events.next()["record"]["frame"]]
    while seen[-1] != 1999:
        seen.append(events.next()["record"]["frame"])
    assert len(seen) < 200
    assert shown < 2.0
    page.end("")
    assert len(events.next()["history"]) == HISTORY
    events.close()


def test_ten_states_a_second(page: Page) -> None:
    events = Events(page)
    began = time.monotonic()
    number = 0
    while time.monotonic() - began < 1:
        number += 1
        page.show(Record(**{**vars(FULL), "number": number}), NOW)
        time.sleep(0.005)
    page.end("over")
    count = 1
    while not events.next()["ended"]:
        count += 1
    assert 2 <= count <= 3 + 10 * (time.monotonic() - began)
    assert number > 2 * count
    events.close()


def test_browsers_that_leave(page: Page, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        events = Events(page)
        events.next()
        events.close()
    for _ in range(5):
        page.show(FULL, NOW)
        time.sleep(0.15)
    assert get(page, "/")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_network_whose_input_is_no_picture() -> None:
    from sw.fuzz.builder import NetworkBuilder

    net = NetworkBuilder(seed=1)
    graph = importer.loads(net.build(outputs=[net.fully_connected(net.input((1, 4)), 2)]))
    page = Page(ABOUT, ("127.0.0.1", 0), graph.tensors[graph.inputs[0]])
    page.show(Record(**{**vars(GOOD), "x": np.zeros((1, 4), np.int8)}), NOW)
    assert json.loads(page.state())["record"]["seen"] is None
    page.close()


# -- in a browser ----------------------------------------------------------------------------------


def test_head(page: Page) -> None:
    """It answers what GET would, but for the body, also where that never ends."""
    for path, status in (("/", 200), ("/events", 200), ("/nothing", 404)):
        connection = connect(page)
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (status, b"")
        if path == "/":
            assert int(answer.headers["Content-Length"]) == len(get(page, "/")[2])
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        connection.close()
