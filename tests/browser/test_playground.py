"""The playground in Chromium, before the real API, a real Redis and a real worker with random slices of the model `slow`."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, expect

from service.settings import ServiceSettings
from tests.harness.launcher import eager, working
from tests.harness.serving import serving

SLICES = 32
SIZE, SLICE_SIZE, COARSE = 16, 4, 5
"""Of the model `slow`: sides in pixels, and the bits that the size stage drops."""

WHITE = 255
FINISH_SECONDS = 120
"""Twelve images take 10 s on an idle machine."""

SEEN = """
globalThis.seen = {};
new MutationObserver((changes) => {
  for (const { addedNodes } of changes) for (const { src } of addedNodes) {
    const found = /images\\/(\\d+).*slices=(\\d+)/.exec(src ?? "");
    if (found) (seen[found[1]] ??= []).push(Number(found[2]));
  }
}).observe(document, { childList: true, subtree: true });
"""
"""Notes which versions of each image are shown, in order."""


@pytest.fixture(scope="module")
def url(redis_url: str, models: Path) -> Iterator[str]:
    """The service, with 32 slices to see."""
    with (
        working(eager(redis_url, models, "slow"), command=("-m", "tests.harness.slow_worker")),
        serving(ServiceSettings(redis_url=redis_url, models=models, model="slow")) as address,
    ):
        yield address


def opened(page: Page, url: str, *, count: int = 1) -> list[dict[str, Any]]:
    """Open the page and ask for `count` images at a time; returns the bodies it will send to POST /generate."""
    sent: list[dict[str, Any]] = []
    page.on(
        "request",
        lambda request: sent.append(json.loads(request.post_data or "")) if request.method == "POST" else None,
    )
    page.goto(url)
    expect(page.get_by_role("button", name="Generate")).to_be_enabled()
    page.get_by_label("Images", exact=True).fill(str(count))
    return sent


def finished(page: Page, count: int = 1) -> Locator:
    """The newest entry of the gallery, once it is finished with `count` images."""
    entry = page.locator("#jobs > article").first
    expect(entry.locator("> header .state")).to_contain_text("Finished", timeout=FINISH_SECONDS * 1000)
    expect(entry.get_by_role("button", name="finished. Enlarge")).to_have_count(count)
    return entry


def picture(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(H, W, 3) of an image file."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def a_file(width: int, height: int) -> FilePayload:
    """An image of the caller's own, as a file input takes it."""
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return {"name": "mine.png", "mimeType": "image/png", "buffer": out.getvalue()}


def test_images_sharpen_until_they_are_finished(page: Page, url: str) -> None:
    """From the first slice on, never back, and the last one shown is the finished one."""
    page.add_init_script(SEEN)
    (sent := opened(page, url, count=2)).clear()
    page.get_by_role("radio", name="A", exact=True).check()
    page.get_by_role("button", name="Generate").click()
    finished(page, 2)
    expect(page.locator("#jobs img[src*='slices=32']")).to_have_count(2)
    assert [body["controls"] for body in sent] == [{"label": "A"}]
    for shown in page.evaluate("seen").values():
        assert shown == sorted(shown)
        assert len(set(shown)) > 4
        assert shown[-1] == SLICES


def test_the_gallery_survives_a_reload(page: Page, url: str) -> None:
    """The same entries in the same order, with their images; what is removed stays away."""
    opened(page, url)
    for label in ("A", "B"):
        page.get_by_role("radio", name=label, exact=True).check()
        page.get_by_role("button", name="Generate").click()
        expect(page.locator("#jobs h2").first).to_have_text(label)
        finished(page)
    page.reload()
    expect(page.locator("#jobs h2")).to_have_text(["B", "A"])
    expect(page.locator("#jobs .tile img")).to_have_count(2)
    page.get_by_role("button", name="Remove from this list").first.click()
    page.reload()
    expect(page.locator("#jobs h2")).to_have_text(["A"])


def test_a_running_job_can_be_cancelled(page: Page, url: str) -> None:
    """It stops, says how far it came, keeps what is drawn, and offers to try again."""
    opened(page, url, count=16)
    page.get_by_role("button", name="Generate").click()
    entry = page.locator("#jobs > article").first
    expect(entry.locator(".state")).to_contain_text("%")
    expect(entry.locator(".tile img").first).to_be_visible()
    entry.get_by_role("button", name="Cancel").click()
    expect(entry.locator(".state")).to_have_text(re.compile(r"Cancelled · \d+ of 16 finished"))
    expect(entry.get_by_role("button", name="Try again")).to_be_visible()
    expect(entry.locator(".tile img").first).to_be_visible()


def test_the_keyboard_alone_is_enough(page: Page, url: str) -> None:
    """Choose, generate, find the images, enlarge, scrub, come back; single keys can be switched off."""
    opened(page, url, count=2)
    page.keyboard.press("n")
    expect(page.get_by_role("radio", name="Create")).to_be_focused()
    while page.evaluate("document.activeElement.name") != "control:label":
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+Enter")
    tiles = finished(page, 2).locator(".tile")
    page.keyboard.press("g")
    expect(tiles.nth(0)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(tiles.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Image 2 of 2")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("dialog")).to_contain_text("Image 1 of 2")
    page.locator("#viewer-fine summary").press("Space")
    page.get_by_role("slider", name="Slice").press("ArrowLeft")
    expect(page.locator("#viewer-slice-value")).to_have_text("31 of 32")
    page.keyboard.press("Escape")
    expect(tiles.nth(0)).to_be_focused()
    page.keyboard.press("?")
    page.get_by_label("Single keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.get_by_role("radio", name="Create")).not_to_be_focused()


PIXELS = f"""(image) => {{
  const canvas = Object.assign(document.createElement("canvas"), {{ width: {SIZE}, height: {SIZE} }});
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, {SIZE}, {SIZE});
  return canvas.toDataURL().split(",")[1];
}}"""


def test_scrubbing_shows_the_image_as_it_was(page: Page, url: str) -> None:
    """Slice k on the slider is `?slices=k` of the API, pixel for pixel; play begins at the first."""
    opened(page, url)
    page.get_by_role("button", name="Generate").click()
    finished(page).locator(".tile").click()
    slider, shown = page.get_by_role("slider", name="Slice"), page.locator("#viewer-frame img")
    page.get_by_role("dialog").get_by_text("Fine control").click()
    for k, stage in ((1, "base"), (16, "size"), (17, "depth"), (SLICES, "depth")):
        slider.fill(str(k))
        expect(shown).to_have_attribute("src", re.compile(rf"slices={k}\b"))
        expect(page.locator("#viewer-stages .now")).to_have_text(stage)
    slider.fill("16")
    expect(shown).to_have_attribute("src", re.compile(r"slices=16\b"))
    job = page.request.get(f"{url}/jobs?limit=1").json()["jobs"][0]["id"]
    for k, same in ((16, True), (SLICES, False)):
        drawn = picture(page.request.get(f"{url}/jobs/{job}/images/0?slices={k}").body())
        assert (drawn == picture(base64.b64decode(shown.evaluate(PIXELS)))).all() == same
    page.get_by_role("button", name="Play").click()
    expect(page.locator("#viewer-slice-value")).to_have_text(re.compile(r"^[3-6] of 32"))
    page.get_by_role("button", name="Pause").click()


NAMES = {"size": "New shapes", "depth": "New shades"}


@pytest.mark.parametrize(("stage", "side", "given"), [("size", SLICE_SIZE, 1), ("depth", SIZE, 16)])
def test_an_image_of_one_s_own_is_redrawn(stage: str, side: int, given: int, page: Page, url: str) -> None:
    """Sent as small as the stage wants it, shown before and after, and found again by "Use these settings"."""
    (sent := opened(page, url)).clear()
    page.get_by_role("radio", name="Redraw").check()
    page.get_by_role("button", name="Redraw").click()
    expect(page.get_by_role("alert")).to_contain_text("No image chosen")
    page.get_by_role("radio", name=NAMES[stage]).check()
    page.get_by_label("Your image").set_input_files(a_file(96, 48))
    expect(page.get_by_label("As the model gets it")).to_be_visible()
    page.get_by_role("button", name="Redraw").click()
    entry = finished(page)
    start = picture(base64.b64decode(sent[0]["start"]["image"]))
    assert (sent[0]["start"]["stage"], start.shape) == (stage, (side, side, 3))
    assert (start[0] == WHITE).all(), "an image that is not square is shown whole, on white"
    before = entry.get_by_alt_text("Your image, as the model got it")
    drawn = picture(page.request.get(re.sub(r"scale=\d", "scale=1", str(before.get_attribute("src")))).body())
    block = SIZE // side
    assert (drawn[::block, ::block] >> COARSE == start >> COARSE).all()
    entry.locator(".tile:enabled").click()
    page.get_by_role("dialog").get_by_text("Fine control").click()
    expect(page.get_by_role("slider", name="Slice")).to_have_attribute("min", str(given))
    page.keyboard.press("Escape")
    page.reload()
    expect(before).to_be_visible()
    page.get_by_role("button", name="Use these settings").click()
    page.get_by_role("button", name="Redraw").click()
    expect(page.locator("#jobs > article")).to_have_count(2)
    again = picture(base64.b64decode(sent[1]["start"]["image"]))
    assert (again >> COARSE == start >> COARSE).all()
    assert sent[1]["seed"] == page.request.get(f"{url}/jobs?limit=2").json()["jobs"][1]["seed"]


@pytest.mark.parametrize(("name", "stage", "kept"), [("More like this", "size", 1), ("Refine again", "depth", 16)])
def test_a_finished_image_is_varied(name: str, stage: str, kept: int, page: Page, url: str) -> None:
    """From the viewer, by keyboard: new seeds, the same beginning, and an entry that says of which image."""
    (sent := opened(page, url)).clear()
    page.get_by_text("Fine control").first.click()
    page.get_by_label("Seed", exact=True).fill("7")
    page.get_by_role("button", name="Generate").click()
    finished(page).locator(".tile").click()
    page.get_by_role("button", name=name).press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#jobs > article")).to_have_count(2)
    entry = finished(page, 4)
    child, parent = page.request.get(f"{url}/jobs?limit=2").json()["jobs"]
    assert sent[1]["start"] == {"job": parent["id"], "index": 0, "stage": stage}
    assert child["seed"] != parent["seed"] == 7
    expect(entry.locator("header .hint")).to_contain_text("seed 7")
    expect(entry.get_by_alt_text("What is kept of seed 7")).to_be_visible()
    images = [
        [page.request.get(f"{url}/jobs/{job['id']}/images/0?slices={count}").body() for count in (kept, SLICES)]
        for job in (parent, child)
    ]
    (begun, whole), (begun_again, another) = ([picture(each) for each in pair] for pair in images)
    assert (begun == begun_again).all()
    assert (whole != another).any()


def test_the_size_stage_gets_pixels_and_not_averages(page: Page, url: str) -> None:
    """An image of the model's own size is thinned: one pixel of every block, as the base stage would have drawn it."""
    (sent := opened(page, url)).clear()
    page.get_by_role("radio", name="Redraw").check()
    page.get_by_label("Your image").set_input_files(file := a_file(SIZE, SIZE))
    expect(page.get_by_label("As the model gets it, 4 by 4 pixels")).to_be_visible()
    page.get_by_role("button", name="Redraw").click()
    expect(page.locator("#jobs > article")).to_have_count(1)
    start = picture(base64.b64decode(sent[0]["start"]["image"]))
    assert (start == picture(file["buffer"])[::SLICE_SIZE, ::SLICE_SIZE]).all()


def test_seeds_stand_side_by_side_at_several_temperatures(page: Page, url: str) -> None:
    """A job for each temperature, all with the same seeds, in one entry, which survives a reload and repeats."""
    (sent := opened(page, url)).clear()
    page.get_by_role("radio", name="Compare").check()
    page.get_by_label("What varies").select_option("Temperature")
    page.get_by_label("Images side by side", exact=True).fill("2")
    page.get_by_role("checkbox", name="0.7").uncheck()
    page.get_by_text("Fine control").first.click()
    page.get_by_label("Seed", exact=True).fill("7")
    page.get_by_role("button", name="Compare 4 images").click()
    finished(page, 4)
    assert [(body["seed"], body["temperature"], body["num_images"]) for body in sent] == [(7, 1, 2), (7, 1.3, 2)]
    page.reload()
    entry = finished(page, 4)
    expect(page.locator("#jobs > article")).to_have_count(1)
    expect(entry.get_by_role("heading", level=3)).to_have_text(["1", "1.3"])
    expect(entry.locator(".columns li")).to_have_text(["7", "8"])
    entry.get_by_role("button", name="More like these").click()
    expect(page.locator("#jobs > article")).to_have_count(2)
    expect(page.locator(".columns").first.locator("li")).to_have_text(["9", "10"])
