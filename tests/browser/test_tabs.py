"""Several tabs, many images, images that are gone, and a phone: what a page asks of the server and of its reader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Page, Request, expect

from service.contract.redis_keys import queued_key
from service.settings import ServiceSettings
from tests.harness.painting import painting
from tests.harness.serving import serving

TABS = 6
IMAGES = 16
IMAGE_REQUESTS = 80
"""Of sixteen images while they are generated: at most four partial ones and the final one each."""


HOLD_IMAGES = """() => {
  const decode = HTMLImageElement.prototype.decode;
  const held = new Promise((resolve) => (globalThis.release = resolve));
  HTMLImageElement.prototype.decode = function () { return held.then(() => decode.call(this)); };
}"""
"""No image is shown before `release()`."""


@pytest.fixture
def url(store: redis.Redis, redis_url: str, models: Path) -> Iterator[str]:
    """The service on an empty store, without workers."""
    del store
    with serving(ServiceSettings(redis_url=redis_url, models=models, model="toy")) as address:
        yield address


def generate(page: Page, *, count: int = 1) -> None:
    """Request images and see the job in the gallery."""
    page.get_by_label("Images", exact=True).fill(str(count))
    before = page.locator("#jobs > article").count()
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#jobs > article")).to_have_count(before + 1)


def test_six_tabs_with_waiting_jobs_leave_the_server_reachable(page: Page, url: str, store: redis.Redis) -> None:
    """Browsers allow six connections per server over all tabs: one event stream is open, submit and cancel work."""
    streams = set[Request]()
    context = page.context
    context.on("request", lambda sent: streams.add(sent) if "/events" in sent.url else None)
    for end in ("requestfinished", "requestfailed"):
        context.on(end, lambda sent: streams.difference_update({sent}))
    tabs = [page, *(context.new_page() for _ in range(TABS - 1))]
    for number, tab in enumerate(tabs):
        tab.goto(url)
        expect(tab.locator("#jobs > article")).to_have_count(number)
        generate(tab)
    last = tabs[-1]
    last.wait_for_timeout(2000)
    assert len(streams) == 1
    generate(last)
    last.locator("#jobs > article").first.get_by_role("button", name="Cancel").click()
    expect(last.locator("#jobs > article").first.locator(".state")).to_contain_text("Cancelled")
    assert store.zcard(queued_key("toy")) == TABS


def test_sixteen_images_take_few_requests_and_finished_means_shown(page: Page, url: str, redis_url: str) -> None:
    """The word comes when the last image is on the screen, not when the job has ended."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/images/" in request.url else None)
    page.goto(url)
    generate(page, count=IMAGES)
    page.evaluate(HOLD_IMAGES)
    with painting(redis_url):
        state = page.locator("#jobs .state")
        expect(state).to_have_text("Loading images")
        page.evaluate("() => globalThis.release()")
        expect(state).to_contain_text("Finished")
    assert page.locator("#jobs .tile img").count() == IMAGES
    assert len(sent) <= IMAGE_REQUESTS


def test_an_expired_image_is_called_that(page: Page, url: str, redis_url: str, store: redis.Redis) -> None:
    """In the enlarged view, where a broken image would be."""
    page.goto(url)
    generate(page)
    with painting(redis_url):
        expect(page.locator("#jobs .state")).to_contain_text("Finished")
    store.flushall()
    page.locator("#jobs .tile").first.click()
    page.get_by_role("dialog").get_by_text("Fine control").click()
    page.get_by_role("button", name="One slice back").click()
    expect(page.locator("#viewer-frame")).to_contain_text("This image has expired.")


def test_the_jump_button_of_a_phone_leads_both_ways(page: Page, url: str) -> None:
    """To the gallery and back to the form, also while the gallery is short."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(url)
    generate(page)
    jump = page.locator("#jump")
    expect(jump).to_contain_text("Form")
    jump.click()
    expect(jump).to_contain_text("Gallery")
    jump.click()
    expect(jump).to_contain_text("Form")


def test_a_stream_refused_once_is_opened_again(page: Page, url: str, redis_url: str) -> None:
    """EventSource gives up at an error response; the job is polled until another stream is opened."""
    refused: list[str] = []

    def refuse_once(route: object) -> None:
        if refused:
            route.fallback()  # type: ignore[attr-defined]
        else:
            refused.append("once")
            route.fulfill(status=503, json={"title": "Unavailable"})  # type: ignore[attr-defined]

    page.route(re.compile("/events"), refuse_once)
    page.goto(url)
    generate(page)
    with page.expect_response(lambda response: "/events" in response.url and response.ok, timeout=60_000):
        pass
    with painting(redis_url):
        expect(page.locator("#jobs .state")).to_contain_text("Finished")
    assert refused == ["once"]
