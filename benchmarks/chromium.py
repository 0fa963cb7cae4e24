"""A study opened in Chromium with a new profile: when its first pixels stand, and what it took."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
from playwright.sync_api import CDPSession, Error, Page, sync_playwright

from benchmarks.errors import BenchmarkError, ProgramMissing

PATIENCE_MS = 120_000
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
# A canvas (or a picture) large enough to be the image itself, in which not all is of one colour.
_WATCH = """(() => {
  const small = document.createElement('canvas');
  small.width = small.height = 24;
  const pen = small.getContext('2d', { willReadFrequently: true });
  const shows = (element) => {
    const box = element.getBoundingClientRect();
    if (box.width < 250 || box.height < 250) return false;
    if (element.tagName === 'IMG' && !(element.complete && element.naturalWidth > 0)) return false;
    try {
      pen.clearRect(0, 0, 24, 24);
      pen.drawImage(element, 0, 0, 24, 24);
      const seen = pen.getImageData(0, 0, 24, 24).data;
      let least = 255, most = 0;
      for (let at = 0; at < seen.length; at += 4) {
        if (seen[at + 3] < 200) continue;
        least = Math.min(least, seen[at]);
        most = Math.max(most, seen[at]);
      }
      return most - least > 12;
    } catch { return false; }
  };
  window.firstPixels = null;
  window.firstPicture = null;
  const look = () => {
    const now = performance.timeOrigin + performance.now();
    if (window.firstPicture === null && [...document.querySelectorAll('img')].some(shows)) {
      window.firstPicture = now;
    }
    if ([...document.querySelectorAll('canvas')].some(shows)) {
      window.firstPixels = now;
      return;
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""


@dataclass(frozen=True, slots=True)
class Opened:
    """Seconds from the click or the navigation to the first pixels on the canvas, and to the first
    picture of any kind; bytes that came over the network until the former; memory then."""

    pixels_seconds: float
    picture_seconds: float
    bytes: int
    requests: int
    heap_bytes: int
    process_bytes: int


Step = Callable[[Page], None]


def opened(prepare: Step, go: Step) -> Opened:
    """A new Chromium: `prepare` comes before the clock starts, `go` clicks or navigates."""
    with _page() as (page, session):
        prepare(page)
        arrived: list[tuple[float, int]] = []
        offsets: list[float] = []
        session.on(
            "Network.dataReceived",
            lambda event: arrived.append((event["timestamp"], event["encodedDataLength"])),
        )
        session.on(
            "Network.responseReceived",
            lambda event: arrived.append((event["timestamp"], 0)),
        )
        session.on(
            "Network.requestWillBeSent",
            lambda event: offsets.append(event["wallTime"] - event["timestamp"]),
        )
        session.send("Network.enable")
        page.add_init_script(_WATCH)
        page.evaluate(_WATCH)
        started = time.time()
        go(page)
        try:
            page.wait_for_function("window.firstPixels", timeout=PATIENCE_MS, polling=50)
        except Error as error:
            raise BenchmarkError(f"{page.url} showed no image: {error}") from error
        pixels, picture = page.evaluate("[window.firstPixels, window.firstPicture]")
        pixels, picture = pixels / 1000, (picture or pixels) / 1000
        page.evaluate("performance.now()")  # what came before has been told by now
        shift = offsets[0] if offsets else 0.0
        before = [size for at, size in arrived if at + shift <= pixels]
        heap = session.send("Runtime.getHeapUsage")["usedSize"]
        return Opened(
            pixels - started,
            min(picture, pixels) - started,
            sum(before),
            sum(size == 0 for size in before),
            int(heap),
            _largest_renderer(),
        )


@contextmanager
def _page() -> Iterator[tuple[Page, CDPSession]]:
    program = shutil.which("chromium")
    if program is None:
        raise ProgramMissing("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        try:
            context = browser.new_context(viewport={"width": 1366, "height": 768}, bypass_csp=True)
            page = context.new_page()
            yield page, context.new_cdp_session(page)
        finally:
            browser.close()


def _largest_renderer() -> int:
    """Memory of the page's process, shared pages divided."""
    sizes = [0]
    for process in psutil.Process().children(recursive=True):
        try:
            if "--type=renderer" in process.cmdline():
                sizes.append(process.memory_full_info().pss)
        except psutil.Error:
            continue
    return max(sizes)


def version() -> str:
    """Chromium's, in words."""
    with _page() as (page, _):
        browser: Any = page.context.browser
        return f"Chromium {browser.version}"
