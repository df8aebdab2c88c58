"""What the playground says when all is not well. Nobody draws, unless a test paints by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import Page, Route, expect

from service.api_keys import KeyHash, sha256_of
from service.contract.record import Problem
from service.contract.redis_keys import Keys, queued_key
from service.contract.transitions import Claim, Transitions
from service.settings import ServiceSettings
from tests.harness.drawing import acquire, an_entry
from tests.harness.launcher import ApiServer, RedisServer, eager
from tests.harness.painting import painting
from tests.harness.serving import serving

KEY = "a key for the page"
OTHER_KEY = "the key of another owner"


@pytest.fixture
def url(store: redis.Redis, redis_url: str, models: Path) -> Iterator[str]:
    """The service on an empty store, without workers."""
    del store
    with serving(ServiceSettings(redis_url=redis_url, models=models, model="toy")) as address:
        yield address


def generate(page: Page, count: int = 1) -> None:
    """Ask for pictures, and see the job in the gallery."""
    page.get_by_label("Images", exact=True).fill(str(count))
    before = page.locator("#jobs > article").count()
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#jobs > article")).to_have_count(before + 1)


def begin(store: redis.Redis) -> tuple[Transitions, Claim]:
    """A worker's hold on the oldest job that waits."""
    oldest: Any = store.zrange(queued_key("toy"), 0, 0)
    transitions, claim = Transitions(store), Claim(keys=Keys(id=oldest[0].decode(), model="toy"), token="hand")
    transitions(acquire(claim))
    return transitions, claim


def test_a_new_visitor_sees_what_to_do(page: Page, url: str) -> None:
    """No entries, no banner, and words in their place."""
    page.goto(url)
    expect(page.get_by_role("heading", level=2)).to_contain_text("Icons and letters for your app")
    expect(page.locator("#gallery-head")).to_be_hidden()


def test_jobs_that_nobody_draws_wait_in_line(page: Page, url: str) -> None:
    """Each says its number and that no worker is there; the banner too; a queued job can be cancelled."""
    page.goto(url)
    expect(page.locator("#banner")).to_contain_text("No worker runs toy now.")
    generate(page)
    generate(page)
    states = page.locator("#jobs .state")
    expect(states.nth(0)).to_have_text("Queued · number 2 in line · waiting for a worker")
    expect(states.nth(1)).to_have_text("Queued · number 1 in line · waiting for a worker")
    page.get_by_role("button", name="Cancel").last.click()
    expect(states.nth(1)).to_have_text("Cancelled · 0 of 1 finished")
    expect(states.nth(0)).to_contain_text("number 1 in line")
    expect(page).to_have_title("(1) Subscale")
    page.get_by_role("button", name="Cancel").click()
    expect(page).to_have_title("Subscale: icons and letters")
    expect(page.locator("#status")).to_have_text("Cancelled")
    expect(page.locator("#jobs > article").first).to_be_focused()


def test_a_failed_job_says_why_and_can_be_tried_again(page: Page, url: str, store: redis.Redis) -> None:
    """Title and detail of the problem; the pictures as far as they came; the same request anew."""
    page.goto(url)
    generate(page, 2)
    transitions, claim = begin(store)
    transitions(claim.append(an_entry(0)))
    transitions(claim.fail(Problem(type="urn:test", title="Out of memory", detail="The worker had no room.")))
    entry = page.locator("#jobs > article").last
    expect(entry.locator(".state")).to_have_text("Failed")
    expect(entry.locator(".problem")).to_have_text("Out of memoryThe worker had no room.")
    expect(entry.get_by_role("button", name="Enlarge")).to_have_count(1)
    entry.get_by_role("button", name="Try again").click()
    expect(page.locator("#jobs > article")).to_have_count(2)
    about = page.locator("#jobs header .hint")
    assert about.nth(0).text_content() == about.nth(1).text_content()


def test_a_lost_server_is_said_and_its_return_noticed(
    page: Page, store: redis.Redis, redis_url: str, models: Path
) -> None:
    """The entry and the banner say so, a request is refused plainly; then all goes on where it was."""
    del store
    with ApiServer(eager(redis_url, models, "toy")) as api:
        page.goto(api.url)
        generate(page)
        api.kill()
        expect(page.locator("#banner")).to_contain_text("The server cannot be reached.")
        expect(page.locator("#jobs .state")).to_have_text("Connection lost, trying again")
        page.get_by_role("button", name="Generate").click()
        expect(page.get_by_role("alert")).to_contain_text("The server is away")
        api.start()
        expect(page.locator("#banner")).to_contain_text("Connected again.")
        expect(page.get_by_role("alert")).to_be_hidden()
        with painting(redis_url):
            expect(page.locator("#jobs .state").first).to_contain_text("Finished")
        expect(page.locator("#banner")).to_contain_text("No worker runs toy now.")


def test_a_store_that_is_away_is_told_from_a_server_that_is(page: Page, models: Path, tmp_path: Path) -> None:
    """The page itself works, a submit is told so; when the store comes, it is taken."""
    store = RedisServer(tmp_path)
    settings = ServiceSettings(redis_url=store.url, models=models, model="toy", reaper_seconds=60)
    with serving(settings) as url:
        page.goto(url)
        expect(page.locator("#banner")).to_contain_text("The server's job store is not available.")
        page.get_by_role("button", name="Generate").click()
        expect(page.get_by_role("alert")).to_contain_text("The job store is not available")
        with store:
            expect(page.locator("#banner")).to_contain_text("Connected again.")
            generate(page)


def test_a_gallery_that_cannot_be_read_is_not_called_empty(page: Page, url: str) -> None:
    """It says how many entries are missing, and they come by themselves as soon as they can be read."""
    page.goto(url)
    generate(page)
    page.route("**/jobs/*", lambda route: route.fulfill(status=503, json={"title": "Unavailable"}))
    page.reload()
    expect(page.get_by_text("1 earlier entry cannot be read now")).to_be_visible()
    expect(page.get_by_text("Icons and letters for your app")).to_be_hidden()
    expect(page.get_by_text("No images yet.")).to_be_hidden()
    page.unroute("**/jobs/*")
    expect(page.locator("#jobs > article")).to_have_count(1)
    expect(page.locator("#unread")).to_be_hidden()


def test_a_page_that_begins_twice_shows_its_jobs_once(page: Page, url: str) -> None:
    """A double click on "Try now", as soon as the server can be reached again."""
    page.goto(url)
    generate(page)
    page.route("**/models", lambda route: route.fulfill(status=500, json={"title": "Down"}))
    page.reload()
    again = page.get_by_role("button", name="Try now")
    expect(again).to_be_visible()
    page.unroute("**/models")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile(r"/jobs/\w+$"), hold)
    again.dblclick()
    page.wait_for_timeout(1000)
    assert len(held) == 2
    for route in held:
        route.continue_()
    page.unroute(re.compile(r"/jobs/\w+$"))
    expect(page.locator("#jobs .state")).to_contain_text("Queued")
    expect(page.locator("#jobs > article")).to_have_count(1)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#jobs > article")).to_have_count(0)


def test_a_submit_that_meets_a_busy_server_is_repeated(page: Page, url: str) -> None:
    """With the same Idempotency-Key, after the time that the server asks for; so it is one job."""
    keys: list[str | None] = []

    def busy(route: Route) -> None:
        keys.append(route.request.header_value("Idempotency-Key"))
        if len(keys) < 3:
            route.fulfill(status=503, json={"title": "Busy"}, headers={"Retry-After": "1"})
        else:
            route.continue_()

    page.route("**/generate", busy)
    page.goto(url)
    generate(page)
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert keys[0]


def test_images_that_failed_come_when_the_network_is_back(page: Page, url: str, redis_url: str) -> None:
    """Without a reload."""
    page.goto(url)
    page.route("**/images/*", lambda route: route.abort())
    with painting(redis_url):
        generate(page)
        expect(page.get_by_text("not available")).to_be_visible()
    page.unroute("**/images/*")
    page.context.set_offline(True)
    expect(page.locator("#banner")).to_contain_text("This device is offline.")
    page.context.set_offline(False)
    expect(page.locator("#jobs .tile img")).to_be_visible()
    expect(page.get_by_text("not available")).to_be_hidden()


def test_a_device_without_network_is_told_so(page: Page, url: str) -> None:
    """Not the server's fault, and over as soon as the network is back."""
    page.goto(url)
    page.context.set_offline(True)
    expect(page.locator("#banner")).to_contain_text("This device is offline.")
    page.context.set_offline(False)
    expect(page.locator("#banner")).to_contain_text("Connected again.")


def test_a_server_with_keys_asks_for_one(page: Page, store: redis.Redis, redis_url: str, models: Path) -> None:
    """At load, with the place to enter it open; with the key, images and events come without headers."""
    del store
    keys = tuple(KeyHash(name=name, sha256=sha256_of(key)) for name, key in (("studio", KEY), ("other", OTHER_KEY)))
    with serving(ServiceSettings(redis_url=redis_url, models=models, model="toy", keys=keys)) as url:
        page.goto(url)
        expect(page.locator("#notice")).to_contain_text("This server requires an API key")
        enter(page, "mistyped")
        expect(page.locator("#notice")).to_contain_text("API key unknown")
        enter(page, KEY)
        with painting(redis_url):
            generate(page)
            expect(page.locator("#jobs .state")).to_contain_text("Finished")
            expect(page.locator("#jobs .tile img")).to_have_attribute("src", re.compile("sig="))
            job = page.request.post(f"{url}/generate", data={}, headers={"Authorization": f"Bearer {KEY}"}).json()
            assert page.evaluate(FOLLOWED, [url, job]) == ["succeeded", 200]
        for key, entries in ((OTHER_KEY, 0), (KEY, 1)):
            page.reload()
            page.locator("#key-button").click()
            enter(page, key)
            page.reload()
            expect(page.get_by_role("button", name="Generate")).to_be_enabled()
            expect(page.locator("#jobs > article")).to_have_count(entries)


def enter(page: Page, key: str) -> None:
    """Type an API key into the panel, which is open."""
    page.get_by_label("API key", exact=True).fill(key)
    page.keyboard.press("Enter")


FOLLOWED = """async ([base, job]) => {
  const { Client } = await import("./page/client.js");
  const client = new Client({ base });
  const { status, images } = await client.finished(job);
  return [status, (await fetch(client.pictureUrl(images[0].url))).status];
}"""
"""The status of a job and of its image, followed without a key, on signed URLs alone."""
