"""The stream on a web page, served by Python's own HTTP server, with nothing from elsewhere."""

from __future__ import annotations

import base64
import io
import json
import re
import socket
import sys
import threading
import time
from collections import deque
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from types import TracebackType
from typing import Any, cast

from PIL import Image

from common.errors import InputError, SeparableError
from sw import images
from sw.ir import Tensor
from sw.stream.records import Record, Snapshot
from sw.stream.view import About

__all__ = ["DEFAULT_ADDRESS", "Page", "parse_address"]

DEFAULT_ADDRESS = "127.0.0.1:8000"
EVENT_SECONDS = 0.1
"""Between two states that a browser is sent."""
KEEP_ALIVE_SECONDS = 5.0
"""Without a new state something is sent, to notice browsers that are gone."""
HISTORY = 120
ERRORS = 8
LOOPBACK = ("localhost", "127.0.0.1", "::1")
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port.

    Parameters
    ----------
    text : str
        ``HOST:PORT``, ``:PORT``, ``PORT`` or ``[IPv6]:PORT``; port 0 is any that is free.

    Raises
    ------
    InputError
        If it is something else.
    """
    match = re.fullmatch(r"(?:(\[[0-9a-fA-F:.]+\]|[\w.-]*):)?([0-9]{1,5})", text)
    if not match or int(match[2]) > 65535:
        raise InputError(
            f"--web takes HOST:PORT, such as {DEFAULT_ADDRESS}, not {text!r}; without an address "
            "it has to be the last option"
        )
    return (match[1] or "127.0.0.1").strip("[]"), int(match[2])


class Page:
    """A view that browsers look at.

    Parameters
    ----------
    about : About
    address : (str, int)
        Host and port to listen at.
    tensor : Tensor
        The network's input.

    Raises
    ------
    SeparableError
        If that is impossible.
    """

    def __init__(self, about: About, address: tuple[str, int], tensor: Tensor) -> None:
        self._about = about
        self._tensor = tensor
        self._changed = threading.Condition()
        self._version = 0
        self._record: Record | None = None
        self._now = Snapshot()
        self._history: deque[float] = deque(maxlen=HISTORY)
        self._errors: deque[dict[str, Any]] = deque(maxlen=ERRORS)
        self._ended = ""
        self._closed = False
        self._encoding = threading.Lock()
        self._encoded = (-1, b"")
        host, port = address
        try:
            self._server = _Server(host, port, self)
        except OSError as error:
            raise SeparableError(
                f"--web {host}:{port}: cannot be listened at ({error.strerror or error}); choose "
                "another address, or port 0 for any that is free"
            ) from None
        # Served before the stream begins and after it has ended.
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        ).start()
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_address[1]}/"

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def close(self) -> None:
        """Stop serving."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def show(self, record: Record, now: Snapshot) -> None:
        """Take note of a record; browsers are sent it when their next state is due."""
        with self._changed:
            self._now = now
            if record.outputs or self._record is None:
                # A frame without a result does not wipe out the one before.
                self._record = record
            if now.rate is not None:
                self._history.append(now.rate)
            if record.error:
                self._errors.append({"frame": record.number, "error": record.error})
            self._version += 1
            self._changed.notify_all()

    def end(self, summary: str) -> None:
        """Say that the stream has ended; what it showed last stays."""
        with self._changed:
            self._ended = summary
            self._version += 1
            self._changed.notify_all()

    def wait_for(self, version: int, seconds: float) -> tuple[int, bool]:
        """Wait for a state after ``version``.

        Returns
        -------
        (version, closed)
            Of the newest state, which is an old one after ``seconds``.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._version != version or self._closed, seconds)
            return self._version, self._closed

    def state(self) -> bytes:
        """Return the newest state as JSON; made once, however many browsers look."""
        with self._encoding:
            with self._changed:
                version, record, now = self._version, self._record, self._now
                history, errors = list(self._history), list(self._errors)
                ended = self._ended
            if self._encoded[0] != version:
                data = {
                    "about": {**vars(self._about), "where": self._about.where,
                              "clock": self._about.clock},
                    "record": None if record is None else self._shown(record),
                    "now": now.json(),
                    "history": [round(rate, 3) for rate in history],
                    "errors": errors,
                    "ended": ended,
                }
                self._encoded = (version, json.dumps(data).encode())
            return self._encoded[1]

    def _shown(self, record: Record) -> dict[str, Any]:
        data = record.json()
        # A thousand integers, which nobody looks at there.
        del data["output"]
        data["picture"] = None if record.picture is None else _url(record.picture, "JPEG")
        data["seen"] = None
        if record.x is not None:
            try:
                pixels = images.to_pixels(record.x, self._tensor)
            except InputError:
                # The network's input is no picture.
                return data
            grey = pixels.shape[2] == 1
            data["seen"] = _url(Image.fromarray(pixels[..., 0] if grey else pixels), "PNG")
        return data


def _url(image: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, page: Page) -> None:
        self.page = page
        # A page of somebody else's must not get at the frames under a name of its own that it
        # lets point here (DNS rebinding); at other addresses the names are not known.
        self.names = LOOPBACK if host in LOOPBACK else None
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server_version = "Separable"
    sys_version = ""
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: standard error belongs to the terminal's view."""

    def do_HEAD(self) -> None:
        """Answer what GET would, without what it is about."""
        self.do_GET()

    def do_GET(self) -> None:
        server = cast(_Server, self.server)
        name = re.sub(r":[0-9]*$", "", self.headers.get("Host", "")).strip("[]").lower()
        if server.names is not None and name not in server.names:
            self.send_error(HTTPStatus.FORBIDDEN, f"call it {DEFAULT_ADDRESS.split(':')[0]}")
        elif self.path == "/":
            html = resources.files("sw.stream").joinpath("index.html").read_bytes()
            self._start("text/html; charset=utf-8", len(html))
            if self.command != "HEAD":
                self.wfile.write(html)
        elif self.path == "/events":
            self._start("text/event-stream")
            if self.command != "HEAD":
                self._events(server.page)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _start(self, kind: str, size: int | None = None) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        if size is not None:
            self.send_header("Content-Length", str(size))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()

    def _events(self, page: Page) -> None:
        version = -1
        while True:
            newest, closed = page.wait_for(version, KEEP_ALIVE_SECONDS)
            if closed:
                return
            if newest == version:
                self.wfile.write(b": still here\n\n")
            else:
                version = newest
                self.wfile.write(b"data: " + page.state() + b"\n\n")
            time.sleep(EVENT_SECONDS)
