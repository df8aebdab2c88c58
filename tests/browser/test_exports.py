"""Finished images as files, in the viewer: on a server with keys, whose links open without headers, under a path prefix."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import redis
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from models.checkpoint import save_model
from models.config import Geometry
from models.subscale import Progress
from service.api_keys import KeyHash, sha256_of
from service.contract.redis_keys import Keys, queued_key
from service.contract.stream import SliceEntry
from service.contract.transitions import Claim, Transitions
from service.settings import ServiceSettings
from tests.browser.test_accessibility import grave
from tests.harness.drawing import acquire
from tests.harness.serving import serving
from tests.harness.toy import toy_card, toy_networks
from tests.service.vector.drawings import LETTER_L, ROUNDED, image

GEOMETRY = Geometry(size=64, slice_size=16)
KEY = "studio-key"
EXPORT_SECONDS = 60
"""The first export starts a process."""


@pytest.fixture(scope="module")
def url(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with keys and a path prefix, for images of 64 pixels, without workers."""
    with redis.Redis.from_url(redis_url) as store:
        store.flushall()
    folder: Path = tmp_path_factory.mktemp("models")
    save_model(toy_networks(GEOMETRY), toy_card(GEOMETRY), folder / "toy")
    keys = (KeyHash(name="studio", sha256=sha256_of(KEY)),)
    settings = ServiceSettings(redis_url=redis_url, models=folder, model="toy", keys=keys, root_path="/icons")
    with serving(settings) as address:
        yield f"{address}/icons/"


def complete(redis_url: str) -> None:
    """Complete the only queued job of two images: a letter on a rounded tile, and the letter alone."""
    with redis.Redis.from_url(redis_url) as store:
        waiting: Any = store.zrange(queued_key("toy"), 0, 0)
        transitions, claim = Transitions(store), Claim(keys=Keys(id=waiting[0].decode(), model="toy"), token="hand")
        transitions(acquire(claim))
        for index, pixels in enumerate((image(LETTER_L, ground=ROUNDED), image(LETTER_L))):
            progress = Progress.of(pixels, GEOMETRY)
            for step in range(progress.done):
                transitions(claim.append(SliceEntry.of(progress, step, image=index)))
        transitions(claim.finish())


@pytest.fixture
def viewer(page: Page, url: str, redis_url: str) -> Locator:
    """The viewer, with the first of two finished images."""
    page.goto(url)
    page.get_by_label("API key", exact=True).fill(KEY)
    page.keyboard.press("Enter")
    page.get_by_label("Images", exact=True).fill("2")
    page.get_by_text("Fine control").first.click()
    page.get_by_label("Seed", exact=True).fill("7")
    page.get_by_role("radio", name="A", exact=True).check()
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#jobs > article")).to_have_count(1)
    complete(redis_url)
    page.get_by_role("button", name="finished. Enlarge").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


def downloaded(viewer: Locator, name: str) -> tuple[str, bytes]:
    """Name and content of the file of a link."""
    with viewer.page.expect_download(timeout=EXPORT_SECONDS * 1000) as found:
        viewer.get_by_role("link", name=name, exact=True).click()
    return found.value.suggested_filename, found.value.path().read_bytes()


def test_a_finished_image_is_downloaded_in_every_form(viewer: Locator) -> None:
    """By keyboard to the menu; SVG, three sizes of PNG, web icons, all images, and the pixels as they were generated."""
    menu = viewer.locator("summary", has_text="Download")
    # Its code is loaded with the first image. Until then Space would press what has the focus.
    expect(menu).to_be_visible()
    menu.focus()
    expect(menu).to_be_focused()
    viewer.page.keyboard.press("Space")
    expect(viewer.get_by_role("checkbox", name="Transparent background")).to_be_checked()
    name, content = downloaded(viewer, "SVG, any size")
    assert name.endswith("-7.svg")
    assert b'id="background"' not in content
    for size in (64, 512, 1024):
        name, content = downloaded(viewer, f"PNG {size} px")
        drawn = Image.open(io.BytesIO(content))
        assert (name.endswith(f"-7-{size}.png"), drawn.size) == (True, (size, size))
        assert drawn.convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert {"favicon.ico", "manifest.json"} <= set(ZipFile(io.BytesIO(downloaded(viewer, "Web icons")[1])).namelist())
    assert len(all_drawings(viewer)) == 2
    assert Image.open(io.BytesIO(downloaded(viewer, "Pixels as generated")[1])).size == (64, 64)
    viewer.get_by_role("checkbox", name="Transparent background").uncheck()
    assert b'id="background"' in downloaded(viewer, "SVG, any size")[1]
    assert all('id="background"' in drawing for drawing in all_drawings(viewer))


def all_drawings(viewer: Locator) -> list[str]:
    """The SVG files of the archive of all images."""
    with viewer.page.expect_download(timeout=EXPORT_SECONDS * 1000) as found:
        viewer.get_by_role("button", name="All images, ZIP").click()
    with ZipFile(found.value.path()) as archive:
        return [archive.read(name).decode() for name in sorted(archive.namelist()) if name.endswith(".svg")]


def test_two_colours_are_shown_and_downloaded(viewer: Locator) -> None:
    """The viewer shows the vector form in the chosen colours until a slice is selected; Reset restores the image's own."""
    tile, shown = viewer.get_by_label("Tile colour"), viewer.locator("#viewer-frame img")
    expect(tile).to_be_visible(timeout=EXPORT_SECONDS * 1000)
    own = tile.input_value()
    assert own not in {"#000000", "#0a84ff"}
    tile.fill("#0a84ff")
    viewer.get_by_label("Symbol colour").fill("#ffee00")
    expect(shown).to_have_attribute("src", re.compile("format=svg.*&ground=%230a84ff&glyph=%23ffee00"))
    viewer.locator("summary", has_text="Download").click()
    assert grave(viewer.page) == []
    svg = downloaded(viewer, "SVG, any size")[1].decode()
    assert re.findall('fill="(#.{6})"', svg) == ["#0a84ff", "#ffee00"]
    drawn = Image.open(io.BytesIO(downloaded(viewer, "PNG 512 px")[1])).convert("RGB")
    assert {(10, 132, 255), (255, 238, 0)} <= {colour for _, colour in drawn.getcolors(1 << 18) or []}
    viewer.get_by_text("Fine control").click()
    viewer.get_by_role("slider", name="Slice").fill("16")
    expect(shown).to_have_attribute("src", re.compile(r"slices=16\b"))
    viewer.get_by_role("button", name="Reset").click()
    expect(tile).to_have_value(own)
    expect(shown).to_have_attribute("src", re.compile("format=svg(?!.*ground=%)"))


def test_chosen_colours_stay_for_the_next_image(viewer: Locator) -> None:
    """Of the parts that it has: the second one has no tile."""
    tile, symbol, shown = (
        viewer.get_by_label("Tile colour"),
        viewer.get_by_label("Symbol colour"),
        viewer.locator("img"),
    )
    expect(tile).to_be_visible(timeout=EXPORT_SECONDS * 1000)
    tile.fill("#0a84ff")
    symbol.fill("#ffee00")
    viewer.get_by_role("button", name="Next →").click()
    expect(shown).to_have_attribute("src", re.compile("images/1.*format=svg(?!.*&ground=).*glyph=%23ffee00"))
    expect(symbol).to_have_value("#ffee00")
    expect(tile).to_be_hidden()
    viewer.get_by_role("button", name="← Previous").click()
    expect(shown).to_have_attribute("src", re.compile("images/0.*format=svg.*&ground=%230a84ff&glyph=%23ffee00"))
    expect(tile).to_have_value("#0a84ff")
    viewer.locator("summary", has_text="Download").click()
    drawn = [re.findall('fill="(#.{6})"', drawing) for drawing in all_drawings(viewer)]
    assert drawn == [["#0a84ff", "#ffee00"], ["#ffee00"]]


def test_a_refused_download_is_explained_in_the_viewer(viewer: Locator, redis_url: str) -> None:
    """The job has expired meanwhile."""
    expect(viewer.get_by_label("Tile colour")).to_be_visible(timeout=EXPORT_SECONDS * 1000)
    viewer.locator("summary", has_text="Download").click()
    with redis.Redis.from_url(redis_url) as store:
        store.delete(*store.scan_iter("spn:job:*"))
    viewer.get_by_role("link", name="PNG 512 px").click()
    expect(viewer.get_by_role("status").filter(has_text="was not downloaded")).to_contain_text("it has expired")
    expect(viewer).to_be_visible()
