"""Debian's Chromium, driven by Playwright; a new profile for each page."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

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
DESKTOP = (1366, 768)


# Of a module, not of the session: while Playwright runs, asyncio cannot be run on this thread.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A running Chromium, ended with the module."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages of their own profile and size; a script error in any of them fails the test."""
    errors: list[str] = []
    contexts = []

    def open_(width: int = DESKTOP[0], height: int = DESKTOP[1]) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []
