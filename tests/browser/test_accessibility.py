"""For everybody: by keyboard, in both colour schemes, on a phone, for assistive technology."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize, expect

from service.app import PAGE
from service.settings import ServiceSettings
from tests.harness.painting import painting
from tests.harness.serving import serving

DESK: ViewportSize = {"width": 1280, "height": 860}
PHONE: ViewportSize = {"width": 360, "height": 740}

STOPS = """() => {
  const all = document.querySelectorAll("a[href], button:enabled, input:enabled, select, summary, [tabindex='0']");
  const seen = [...all].filter((node) => node.tabIndex >= 0 && node.checkVisibility({ visibilityProperty: true }));
  return [...new Set(seen.map((node) => (node.type === "radio" ? node.name : node)))].length;
}"""
"""How many places Tab must reach; the radio buttons of a group are one."""

AT = """() => {
  const { activeElement: at } = document;
  const parts = [at, at.nextElementSibling, at.parentElement].filter(Boolean);
  const ringed = at.type === "range" || parts.some((node) => getComputedStyle(node).outlineStyle !== "none");
  globalThis.visited ??= [];
  const known = visited.includes(at);
  visited.push(at);
  return at === document.body || known ? null : { ringed, what: at.outerHTML.slice(0, 120) };
}"""
"""Where the focus is and whether it shows; null once it has come round. A slider's ring is on its thumb."""


@pytest.fixture(scope="module")
def url(redis_url: str, models: Path) -> Iterator[str]:
    """The service, whose pictures are painted at once."""
    with redis.Redis.from_url(redis_url) as store:
        store.flushall()
    with (
        painting(redis_url),
        serving(ServiceSettings(redis_url=redis_url, models=models, model="toy")) as address,
    ):
        yield address


def filled(page: Page, url: str) -> None:
    """A gallery with a finished entry of each kind."""
    page.goto(url)
    page.get_by_role("button", name="Generate").click()
    page.get_by_role("radio", name="Compare").check()
    page.get_by_label("What varies").select_option("Temperature")
    page.get_by_label("Images side by side", exact=True).fill("2")
    page.get_by_role("button", name="Compare 6 images").click()
    page.get_by_role("radio", name="Redraw").check()
    page.get_by_label("Your image").set_input_files(PAGE.parents[1] / "docs" / "refinement.png")
    page.get_by_role("button", name="Redraw").click()
    expect(page.locator("#jobs > [data-status=succeeded]")).to_have_count(3)


def grave(page: Page) -> list[dict[str, Any]]:
    """What axe-core calls serious or critical."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        {"rule": each["id"], "at": [node["html"] for node in each["nodes"]]}
        for each in found
        if each["impact"] in GRAVE
    ]


GRAVE = {"serious", "critical"}


@pytest.mark.parametrize(("scheme", "size"), [("light", DESK), ("dark", PHONE)], ids=["light-desk", "dark-phone"])
def test_axe_finds_nothing_grave(scheme: Literal["light", "dark"], size: ViewportSize, page: Page, url: str) -> None:
    """Neither when empty nor with entries of all kinds, nor in the form's modes, nor in the dialogs."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size(size)
    page.goto(url)
    expect(page.get_by_role("button", name="Generate")).to_be_enabled()
    assert grave(page) == []
    filled(page, url)
    assert grave(page) == []
    page.get_by_role("radio", name="Compare").check()
    page.locator("#jobs .tile:enabled").first.click()
    page.get_by_text("Download", exact=True).click()
    assert grave(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    assert grave(page) == []


def test_tab_reaches_all_there_is_and_shows_where_it_is(page: Page, url: str) -> None:
    """From the skip link to the last button, each once, each with a ring."""
    filled(page, url)
    page.reload()
    expect(page.locator("#jobs .tile img")).to_have_count(4 + 6 + 4 + 1)
    expected, reached = page.evaluate(STOPS), 0
    page.keyboard.press("Tab")
    while at := page.evaluate(AT):
        assert at["ringed"], at["what"]
        reached += 1
        page.keyboard.press("Tab")
    assert reached == expected > 30


def test_nothing_is_wider_than_a_phone(page: Page, url: str) -> None:
    """At 360 pixels no mode, entry or dialog scrolls sideways, and what is tapped most is large enough for a finger."""
    page.set_viewport_size(PHONE)
    filled(page, url)
    for mode in ("Create", "Compare", "Redraw"):
        page.get_by_role("radio", name=mode).check()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    for button in page.locator("button:visible:not(.tile, .link)").all():
        box = button.bounding_box()
        assert box
        assert box["height"] >= 40
    page.locator("#jobs .tile:enabled").first.click()
    assert page.get_by_role("dialog").evaluate("(dialog) => dialog.scrollWidth") == PHONE["width"]
