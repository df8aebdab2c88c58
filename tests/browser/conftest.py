"""A real Chromium, and pages that are looked after: no script error, and no request to anywhere but the server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
REQUIRED = "REQUIRE_CHROMIUM"
"""Set where a missing Chromium is a failure, not a reason to skip."""

LOCAL = {"127.0.0.1", ""}
TIMEOUT_SECONDS = 20
EXPECTED = ("Failed to load resource", "net::ERR_")
"""What Chromium itself says of servers that are away or refuse; the tests of those states cause it."""

expect.set_options(timeout=TIMEOUT_SECONDS * 1000)


def chromium(playwright: Playwright) -> str:
    """The system's, else the one that playwright brings along; skips or fails without."""
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return found
    own = playwright.chromium.executable_path
    if not Path(own).exists():
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)("needs Chromium: install the package chromium")
    return own


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of one module: while it is open, no other event loop may run in this thread."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu"]
        opened = playwright.chromium.launch(executable_path=chromium(playwright), args=options)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of a new visitor, who wants no motion. Fails afterwards if it went elsewhere or a script broke."""
    context = browser.new_context(viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
    context.set_default_timeout(TIMEOUT_SECONDS * 1000)
    opened, amiss = context.new_page(), list[str]()
    watch(opened, amiss)
    yield opened
    context.close()
    assert amiss == []


def watch(page: Page, amiss: list[str]) -> None:
    """Collect what should not happen on any page."""

    def request(sent: Request) -> None:
        if urlsplit(sent.url).hostname not in LOCAL | {None}:
            amiss.append(sent.url)

    def console(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(words in message.text for words in EXPECTED):
            amiss.append(message.text)

    page.on("request", request)
    page.on("console", console)
    page.on("pageerror", lambda error: amiss.append(str(error)))
