"""The web page of a stream in a browser."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.networks import small_model
from support.places import REPOSITORY
from support.streams import ABOUT, FULL, GOOD, NOW, picture

from sw import importer
from sw.outputs.classes import Top
from sw.outputs.detections import Found
from sw.stream.records import Record
from sw.stream.sources import Preparer
from sw.stream.web import Page


@pytest.fixture
def page() -> Iterator[Page]:
    prepare = Preparer(importer.loads(small_model(), "small"))
    page = Page(ABOUT, ("127.0.0.1", 0), prepare.tensor)
    yield page
    page.close()


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip(
            "no browser to test the web page in: install chromium and chromedriver (Debian: "
            "apt-get install chromium chromium-driver)"
        )
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('browser')}", "--window-size=1200,900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    browser = webdriver.Chrome(options=options, service=service)
    browser.set_script_timeout(30)
    yield browser
    browser.quit()


def until(browser: Any, condition: str, seconds: float = 30) -> None:
    """Wait for a JavaScript expression."""
    end = time.monotonic() + seconds
    while not browser.execute_script(f"return Boolean({condition})"):
        assert time.monotonic() < end, f"{condition}: {browser.page_source}"
        time.sleep(0.05)


def text_of(browser: Any, name: str) -> str:
    return browser.execute_script(f"return document.getElementById('{name}').innerText")


def look_at(browser: Any, page: Page) -> None:
    browser.get(page.url)
    until(browser, "latest !== null")


def test_the_page_in_a_browser(browser: Any, page: Page) -> None:
    look_at(browser, page)
    assert text_of(browser, "state") == "waiting"
    assert text_of(browser, "no-labels") == "no result yet"
    for rate in (5.0, 10.0, 20.0):
        page.show(FULL, type(NOW)(**{**vars(NOW), "rate": rate}))
    until(browser, "latest.history.length === 3")
    expected = {
        "state": "live", "model": "net", "about": "icebreaker, simulated · folder",
        "name": "cat.png", "number": "frame 3", "rate": "20.0", "board-rate": "81.3",
        "line-rate": "42.5",
        "clock": "inferences/s at 39.75 MHz", "frames": "1,234", "error-count": "1",
        "retries": "7", "exact": "exact", "ms-prepare": "1.23 ms", "ms-upload": "2.00 ms",
        "ms-compute": "10.00 ms", "ms-download": "1.00 ms", "span": "last 3 frames",
        "range": "5.0 to 20.0", "labels": "cat\n75.0 %",
    }
    for name, text in expected.items():
        assert text_of(browser, name) == text, name
    assert browser.title == "net · Separable"
    # The frame, and what the network sees of it, are there and have their sizes.
    until(browser, "document.getElementById('frame').naturalWidth === 64")
    until(browser, "document.getElementById('seen').naturalWidth === 12")
    # Bars are as long as their scores; the stages share their bar.
    width = "document.querySelector('#labels .trough > div').getBoundingClientRect().width"
    trough = "document.querySelector('#labels .trough').getBoundingClientRect().width"
    until(browser, f"Math.abs({width} / {trough} - 0.75) < 0.01")
    part = "document.getElementById('part-{}').getBoundingClientRect().width".format
    until(browser, f"Math.abs({part('compute')} / {part('upload')} - 5) < 0.2")
    points = browser.execute_script("return document.getElementById('spark').points.length")
    assert points == 3
    problems = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert problems == []
    assert not asked_elsewhere(browser, page)


def asked_elsewhere(browser: Any, page: Page) -> list[str]:
    """Return the addresses, other than the page's, that the browser has asked for something."""
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [
        entry["params"]["request"]["url"]
        for entry in sent
        if entry["method"] == "Network.requestWillBeSent"
    ]
    assert any(url.startswith(page.url) for url in urls)
    return [url for url in urls if not url.startswith((page.url, "data:", "chrome"))]


def test_names_are_text(browser: Any, page: Page) -> None:
    look_at(browser, page)
    evil = "<img src=x onerror='document.title=1'>"
    page.show(
        Record(
            number=0, name=evil, outputs=GOOD.outputs, error=evil, exact=False,
            top=[Top(number=0, label=evil, score=0.5)],
        ),
        NOW,
    )
    until(browser, "latest.record !== null")
    assert text_of(browser, "name") == evil
    assert evil in text_of(browser, "labels") and evil in text_of(browser, "error-list")
    assert browser.execute_script("return document.querySelectorAll('img').length") == 2


def test_pause_with_the_keyboard(browser: Any, page: Page) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    page.show(FULL, NOW)
    look_at(browser, page)
    until(browser, "latest.record !== null")
    ActionChains(browser).send_keys("p").perform()
    assert text_of(browser, "state") == "paused"
    pressed = "document.getElementById('pause').getAttribute('aria-pressed')"
    assert browser.execute_script(f"return {pressed}") == "true"
    page.show(Record(**{**vars(FULL), "number": 77}), NOW)
    until(browser, "latest.record.frame === 77")
    assert text_of(browser, "number") == "frame 3"
    # The button can be reached and pressed with the keyboard.
    ActionChains(browser).send_keys("\ue004").perform()
    assert browser.execute_script("return document.activeElement.id") == "pause"
    ActionChains(browser).send_keys("\ue007").perform()
    assert text_of(browser, "number") == "frame 77"
    assert text_of(browser, "state") == "live"


def test_accessible_names(browser: Any, page: Page) -> None:
    page.show(FULL, NOW)
    look_at(browser, page)
    until(browser, "latest.record !== null")
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node.get("ignored") and "role" in node
    }
    for expected in (
        ("meter", "cat"), ("button", "Pause"), ("heading", "Top labels"), ("main", ""),
        ("image", "cat.png, as the network sees it"), ("heading", "net"),
        ("image", "inferences per second over the last 1 frames: 12.3 to 12.3"),
    ):
        assert expected in named, sorted(named)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_schemes_and_widths(browser: Any, page: Page, scheme: str, width: int) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.show(Record(**{**vars(FULL), "name": "a very long name " * 20, "error": "x" * 200}), NOW)
    look_at(browser, page)
    until(browser, "latest.record !== null")
    # Nothing sticks out to the side.
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    low = contrast(browser)
    assert not low, low
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def contrast(browser: Any) -> list[str]:
    """Return the texts that stand out less than 4.5 : 1 from their ground."""
    return browser.execute_script(
        """
        const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
        const light = (colour) => {
          const [r, g, b] = parse(colour).map((v) => {
            v /= 255;
            return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = (element) => {
          for (let e = element; e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            if ((parse(colour)[3] ?? 1) > 0) return colour;
          }
          return "rgb(255, 255, 255)";
        };
        const low = [];
        for (const element of document.querySelectorAll("body *")) {
          const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
          if (!own || !element.getClientRects().length || element.tagName === "SCRIPT") continue;
          const [a, b] = [light(getComputedStyle(element).color), light(ground(element))];
          const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          if (ratio < 4.5) low.push(`${element.id || element.className}: ${ratio.toFixed(2)}`);
        }
        return low;
        """
    )


@pytest.mark.slow
def test_the_end_and_a_lost_connection(browser: Any, page: Page) -> None:
    page.show(FULL, NOW)
    look_at(browser, page)
    until(browser, "latest.record !== null")
    page.close()
    until(browser, "document.getElementById('state').innerText === 'no connection'")
    again = Page(ABOUT, ("127.0.0.1", page._server.server_address[1]), page._tensor)
    try:
        again.show(Record(**{**vars(FULL), "number": 5}), NOW)
        again.end("5 frames in 1.0 s")
        # The browser comes back by itself.
        until(browser, "document.getElementById('state').innerText === 'ended'")
        assert text_of(browser, "number") == "frame 5"
        assert text_of(browser, "summary") == "5 frames in 1.0 s"
    finally:
        again.close()


def test_a_whole_stream_in_a_browser(browser: Any, tmp_path: Path) -> None:
    model, folder = tmp_path / "small.tflite", tmp_path / "frames"
    model.write_bytes(small_model())
    folder.mkdir()
    picture(size=(400, 300)).save(folder / "a.png")
    (folder / "b.png").write_bytes(b"damaged")
    command = [
        sys.executable, "-m", "sw.stream", str(model), str(folder), "--board", "icebreaker",
        "--backend", "golden", "--json-lines", "--web", "127.0.0.1:0",
    ]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        first = process.stderr.readline()
        url = re.fullmatch(r"web page: (http://127\.0\.0\.1:\d+/) \(Ctrl-C ends\)\n", first)[1]
        record = json.loads(process.stdout.readline())
        browser.get(url)
        until(browser, "latest !== null && latest.ended")
        assert text_of(browser, "name") == "a.png"
        best = record["top"][0]
        assert text_of(browser, "labels").splitlines()[:2] == [
            best["label"], f"{best['score'] * 100:.1f} %"
        ]
        assert "b.png: not a readable image" in text_of(browser, "error-list")
        until(browser, "document.getElementById('frame').naturalWidth === 300")
        assert text_of(browser, "board-rate") == "–"
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    # The stream's own exit code: one frame had no result.
    assert process.returncode == 2
    assert err.startswith("1 frame in ") and "Traceback" not in err


def test_a_wrong_label_is_marked(browser: Any, page: Page) -> None:
    look_at(browser, page)
    for truth, mark in ((0, False), (1, True), (None, False)):
        page.show(replace(FULL, truth=truth), replace(NOW, known=3, right=2))
        until(browser, f"latest.record && latest.record.truth === {json.dumps(truth)}")
        # What is hidden has its text all the same.
        until(browser, f"document.getElementById('wrong').hidden === {json.dumps(not mark)}")
        assert text_of(browser, "right") == "2 of 3"
        assert browser.execute_script(
            "return document.getElementById('labels').classList.contains('mistaken')"
        ) is mark


FOUND = [
    Found(number=1, label="face", score=0.9, left=0.25, top=0.5, width=0.25, height=0.5),
    Found(number=2, label="<b>cup</b>", score=0.55, left=-0.5, top=0.9, width=3, height=3),
]


@pytest.mark.parametrize("size", [(64, 64), (300, 150), (40, 400)])
def test_boxes_lie_on_the_picture(browser: Any, page: Page, size: tuple[int, int]) -> None:
    """Whatever its proportions, and whatever the page is wide."""
    look_at(browser, page)
    page.show(replace(FULL, top=[], found=FOUND, picture=picture(size=size)), NOW)
    until(browser, f"document.getElementById('frame').naturalWidth === {size[0]}")
    until(browser, "document.querySelectorAll('#boxes rect').length === 4")
    box, image = browser.execute_script(
        "const place = (e) => { const r = e.getBoundingClientRect();"
        " return [r.left, r.top, r.width, r.height]; };"
        "return [place(document.querySelector('#boxes rect')),"
        " place(document.getElementById('frame'))];")
    # The picture is as large as possible in the middle of its element.
    scale = min(image[2] / size[0], image[3] / size[1])
    width, height = size[0] * scale, size[1] * scale
    left, top = image[0] + (image[2] - width) / 2, image[1] + (image[3] - height) / 2
    expected = [left + width / 4, top + height / 2, width / 4, height / 2]
    assert all(abs(a - b) < 1.5 for a, b in zip(box, expected, strict=True)), (box, expected)
    texts = browser.execute_script(
        "return [...document.querySelectorAll('#boxes text')].map((e) => e.textContent)")
    assert texts == ["face 90 %", "<b>cup</b> 55 %"]
    assert text_of(browser, "labels-title") == "Found: 2"
    assert text_of(browser, "labels").splitlines()[:2] == ["face", "90.0 %"]
    # Nothing is left of them in the next frame.
    page.show(replace(FULL, top=[], found=[], number=4), NOW)
    until(browser, "latest.record.frame === 4")
    until(browser, "document.querySelectorAll('#boxes rect').length === 0")
    assert text_of(browser, "no-labels") == "nothing found"
    problems = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert problems == []
