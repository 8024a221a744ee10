"""Pictures of the page of a real stream, on the simulated board, in a browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import progress
from common.errors import InputError, SeparableError
from common.files import write_bytes
from common.optional import require
from sw.figures.store import BOARD, ROOT

__all__ = ["PAGE", "check", "take", "take_detector"]

PAGE = ROOT / "sw" / "stream" / "index.html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FIRST = 60
"""Frames before the picture: a history to look at."""
SURE = 90.0
"""Per cent that the answer in the picture has at least."""
SEVERAL = 3
"""Objects that the picture of a detector has at least."""
WIDTH, HEIGHT = 1200, 790
SECONDS = 600.0
STATED = ("clock", "number", "name", "labels", "board-rate", "line-rate", "exact", "error-count")
"""Elements of the page whose text is remembered."""


@contextmanager
def _stream(*options: str) -> Iterator[str]:
    """Run a stream of what ships; yields the address of its page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sw.stream", "--board", BOARD, "--backend", "sim:link", "--verify",
         "--loop", "--json-lines", *options, "--web", "127.0.0.1:0"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, progress.VARIABLE: "no"})
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        address = re.match(r"web page: (\S+)", line)
        if address is None:
            raise SeparableError(f"sw.stream failed: {line.strip()}")
        yield address[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def check() -> tuple[str, str]:
    """Return the browser and its driver.

    Raises
    ------
    InputError
        If something is missing that the picture needs.
    """
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    require("selenium", "test", "the picture of the page needs")
    if program is None or driver is None:
        raise InputError("the picture of the page needs a browser: install chromium and "
                         "chromedriver (Debian: apt-get install chromium chromium-driver)")
    return program, driver


@contextmanager
def _browser() -> Iterator[Any]:
    program, driver = check()
    # Only now: it is optional.
    from selenium import webdriver

    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                         "--disable-dev-shm-usage", "--disable-background-networking",
                         "--disable-sync", f"--user-data-dir={profile}"):
            options.add_argument(argument)
        service = webdriver.ChromeService(executable_path=driver)
        browser = webdriver.Chrome(options=options, service=service)
        try:
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                "width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False})
            yield browser
        finally:
            browser.quit()


def _texts(browser: Any) -> dict[str, str]:
    return {name: str(browser.execute_script(
        f"return document.getElementById('{name}').innerText")) for name in STATED}


def _answers(texts: dict[str, str]) -> tuple[list[str], list[str], float]:
    """Return the truths, the answers and the first one's score in per cent, as the page has it."""
    truth = re.search(r"\((.*)\)$", texts["name"])
    lines = texts["labels"].splitlines()
    if truth is None or len(lines) < 2:
        return [], [], 0.0
    return truth[1].split(", "), lines[::2], float(lines[1].removesuffix(" %"))


def take(path: Path) -> dict[str, Any]:
    """Take a picture of a frame that the network that ships is right and sure about.

    Returns
    -------
    dict
        What the picture states.

    Raises
    ------
    InputError
        If there is no browser.
    SeparableError
        If the stream fails, or no such frame comes.
    """

    def right(truths: list[str], answers: list[str], score: float) -> bool:
        return truths == answers[:1] and score >= SURE

    return _take(path, right)


def take_detector(path: Path) -> dict[str, Any]:
    """Take a picture of a scene in which the detector finds just what is there; as :func:`take`."""

    def right(truths: list[str], answers: list[str], score: float) -> bool:
        return len(truths) >= SEVERAL and sorted(truths) == sorted(answers)

    return _take(path, right, "--detect")


def _take(
    path: Path, is_right: Callable[[list[str], list[str], float], bool], *options: str
) -> dict[str, Any]:
    """Take a picture of a frame for which ``is_right(truths, answers, score)``; as :func:`take`."""
    with _browser() as browser, _stream(*options) as address:
        browser.get(address)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            before = _texts(browser)
            truths, answers, score = _answers(before)
            number = int(before["number"].removeprefix("frame ") or 0)
            right = is_right(truths, answers, score) and before["exact"] == "exact"
            if number >= FIRST and right:
                picture = browser.get_screenshot_as_png()
                # The next frame may have come meanwhile.
                if _texts(browser) == before:
                    write_bytes(path, picture)
                    del before["labels"]
                    # Those of a detector come in the order of their scores.
                    answer = answers[0] if len(truths) == 1 else ", ".join(answers)
                    return {**before, "truth": ", ".join(truths), "answer": answer, "score": score}
            time.sleep(0.02)
    raise SeparableError(f"no frame of the stream was recognised with {SURE:g} % or more")
