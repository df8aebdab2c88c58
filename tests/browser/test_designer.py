"""What a designer does: find a subject, use the brand's colours, keep, name, copy, drag and download images.

The page is that of the shipped model's card. There is no worker: all images become one letter on a rounded tile.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import redis
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from models.cards import WEIGHTS, load_card
from service.app import PAGE
from service.settings import ServiceSettings
from tests.browser.test_accessibility import grave
from tests.harness.painting import EVEN_BITS, painting
from tests.harness.serving import serving
from tests.service.vector.drawings import LETTER_L, ROUNDED, image

MODEL = "symbols-64"
CONTROLS = {control.name: control.values for control in load_card(WEIGHTS / MODEL).config.controls}
EXAMPLES: list[dict[str, Any]] = json.loads((PAGE / "examples.json").read_text())
LARGEST_PAGE_BYTES = 200_000
EXPORT_SECONDS = 60
"""The first export starts a process."""

BRAND = "#12ab9f"


@pytest.fixture(scope="module")
def url(redis_url: str) -> Iterator[str]:
    """The service with the shipped model's card."""
    with redis.Redis.from_url(redis_url) as store:
        store.flushall()
    drawing = image(LETTER_L, ground=ROUNDED)
    with (
        painting(redis_url, MODEL, drawing),
        serving(ServiceSettings(redis_url=redis_url, models=WEIGHTS, model=MODEL)) as address,
    ):
        yield address


@pytest.fixture
def sent(page: Page, url: str) -> list[dict[str, Any]]:
    """The bodies that the page sends to POST /generate; the page is open."""
    bodies: list[dict[str, Any]] = []
    page.on("request", lambda each: bodies.append(json.loads(each.post_data or "")) if each.method == "POST" else None)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(url)
    expect(page.get_by_role("button", name="Generate")).to_be_enabled()
    return bodies


def generate(page: Page, *, count: int = 1) -> Locator:
    """Return the newest entry, finished."""
    entries = page.locator("#jobs > article")
    before = entries.count()
    page.get_by_label("Images", exact=True).fill(str(count))
    page.get_by_role("button", name="Generate").click()
    expect(entries).to_have_count(before + 1)
    expect(entries.first.locator(".state")).to_contain_text("Finished")
    return entries.first


def keep(entry: Locator) -> Locator:
    """Make the first image of an entry a favourite and return the favourites."""
    heart = entry.get_by_role("button", name="Favourite").first
    heart.click()
    expect(heart).to_have_attribute("aria-pressed", "true", timeout=EXPORT_SECONDS * 1000)
    entry.page.get_by_role("button", name="Favourites").click()
    return entry.page.locator(".favourite")


def test_the_first_screen_has_examples_and_one_click_makes_more(page: Page, sent: list[dict[str, Any]]) -> None:
    """All of them are visible without scrolling; the example's controls are sent and stand in the form."""
    examples = page.locator("#examples button")
    expect(examples).to_have_count(len(EXAMPLES))
    expect(examples.last).to_be_in_viewport()
    examples.nth(2).click()
    expect(page.locator("#jobs > article")).to_have_count(1)
    assert (sent[0]["controls"], sent[0]["num_images"]) == (EXAMPLES[2]["controls"], 4)
    expect(page.get_by_role("radio", name=EXAMPLES[2]["controls"]["label"], exact=True)).to_be_checked()


def test_examples_are_requests_that_the_shipped_model_accepts() -> None:
    """And the sheet has an image for each."""
    for each in EXAMPLES:
        assert all(value in CONTROLS[name] for name, value in each["controls"].items()), each
    with Image.open(PAGE / "examples.webp") as sheet:
        assert sheet.size == (64, 64 * len(EXAMPLES))


def test_a_default_press_shows_subjects_with_names(page: Page, sent: list[dict[str, Any]]) -> None:
    """Each image has another subject, written beneath it; "Use these settings" keeps the surprise."""
    page.get_by_role("radio", name="circle").check()
    entry = generate(page, count=4)
    labels = [each["label"] for each in sent[0]["controls"]]
    assert len(set(labels)) == 4
    expect(entry.locator(".seed")).to_have_text([label.replace("-", " ") for label in labels])
    page.get_by_role("radio", name="K", exact=True).check()
    entry.get_by_role("button", name="Use these settings").click()
    expect(page.get_by_role("radio", name="any subject")).to_be_checked()
    expect(page.get_by_role("radio", name="circle")).to_be_checked()


@pytest.mark.parametrize(
    ("query", "first", "note"),
    [
        ("house", "home", ""),
        ("bakery", "coffee", "No subject is called “bakery”. Near it, from Food and drink:"),
        ("umbrela", "umbrella", "No subject is called “umbrela”. Did you mean:"),
        ("k", "K", ""),
    ],
)
def test_a_search_finds_subjects_by_other_names_topics_and_spellings(
    query: str, first: str, note: str, page: Page, sent: list[dict[str, Any]]
) -> None:
    """Enter chooses the first one."""
    page.get_by_label("Search subjects").fill(query)
    expect(page.locator("#subject-note")).to_have_text(note)
    assert page.locator(".subjects .option:visible").count() < 12
    page.keyboard.press("Enter")
    generate(page)
    assert sent[0]["controls"] == {"label": first}


def test_a_search_without_result_says_what_to_try(page: Page, sent: list[dict[str, Any]]) -> None:
    """And an empty one shows all subjects again."""
    search = page.get_by_label("Search subjects")
    search.fill("qqqqqq")
    expect(page.locator("#subject-note")).to_contain_text("Nothing is like “qqqqqq”.")
    expect(page.locator(".subjects .option:visible")).to_have_count(0)
    search.fill("")
    expect(page.locator(".subjects .option")).to_have_count(len(CONTROLS["label"]))
    assert not sent


def test_styles_are_those_of_the_subject(page: Page, sent: list[dict[str, Any]]) -> None:
    """A letter has typefaces, another subject is solid or outlined; a style that no longer fits is left out."""
    page.get_by_role("radio", name="K", exact=True).check()
    page.get_by_role("radio", name="serif", exact=True).check()
    expect(page.get_by_role("radio", name="outline", exact=True)).to_be_hidden()
    page.get_by_role("radio", name="coffee", exact=True).check()
    expect(page.get_by_role("radio", name="serif", exact=True)).to_be_hidden()
    generate(page)
    assert sent[0]["controls"] == {"label": "coffee"}


def test_a_copy_made_at_once_has_the_colours_of_the_brand(page: Page, sent: list[dict[str, Any]]) -> None:
    """Also before the code of the exports is loaded, and so before the colours of the image are read."""
    held = list[Route]()

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile(r"/exports\.js"), hold)
    page.get_by_role("checkbox", name="Brand colours").check()
    code = page.get_by_label("Tile colour as #rrggbb")
    code.fill(BRAND)
    code.press("Tab")
    entry = generate(page)
    shown = entry.locator(".tile img")
    expect(shown).to_have_attribute("src", re.compile("^data:image/svg.*%2312ab9f"), timeout=EXPORT_SECONDS * 1000)
    entry.locator(".tile").click()
    page.get_by_role("dialog").get_by_role("button", name="Copy SVG").click()
    held.pop().continue_()
    expect(page.locator("#status")).to_have_text("Copied: SVG")
    assert BRAND in page.evaluate("navigator.clipboard.readText()")
    assert len(sent) == 1


def test_brand_colours_are_shown_copied_and_remembered(page: Page, sent: list[dict[str, Any]]) -> None:
    """The code of a colour can be typed; finished images, favourites and copies have it; a wrong one is marked."""
    page.get_by_role("checkbox", name="Brand colours").check()
    code = page.get_by_label("Tile colour as #rrggbb")
    code.fill("teal")
    code.press("Tab")
    expect(code).to_have_attribute("aria-invalid", "true")
    code.fill(BRAND.removeprefix("#"))
    code.press("Tab")
    entry = generate(page)
    shown = entry.locator(".tile img")
    expect(shown).to_have_attribute("src", re.compile("^data:image/svg.*%2312ab9f"), timeout=EXPORT_SECONDS * 1000)
    assert grave(page) == []
    entry.locator(".tile").click()
    page.get_by_role("dialog").get_by_role("button", name="Copy SVG").click()
    expect(page.locator("#status")).to_have_text("Copied: SVG")
    assert BRAND in page.evaluate("navigator.clipboard.readText()")
    page.keyboard.press("Escape")
    page.reload()
    expect(shown).to_have_attribute("src", re.compile("%2312ab9f"))
    page.get_by_role("checkbox", name="Brand colours").uncheck()
    expect(shown).to_have_attribute("src", re.compile("/images/0"))
    assert [each["hue"] for each in sent[0]["controls"]] == ["teal"]


HUES = {
    "#12ab9f": "teal",
    "#0a84ff": "blue",
    "#0b1f4d": "blue",
    "#d93025": "red",
    "#6b3f1d": "brown",
    "#ffcc00": "yellow",
    "#8a8d91": "neutral",
    "#000000": "neutral",
    "#7c3aed": "violet",
    "#188038": "green",
    "#ff9ec7": "pink",
}


def test_a_brand_s_colour_has_the_nearest_hue(page: Page, sent: list[dict[str, Any]]) -> None:
    """What is generated has a look like the finished image; a chosen hue counts more."""
    nearest = """async ([hexes, hues]) => {
      const { nearestHue } = await import("/page/controls.js");
      return hexes.map((hex) => nearestHue(hex, hues));
    }"""
    assert page.evaluate(nearest, [list(HUES), CONTROLS["hue"]]) == list(HUES.values())
    page.get_by_role("checkbox", name="Brand colours").check()
    page.get_by_role("radio", name="K", exact=True).check()
    page.get_by_role("radio", name="orange", exact=True).check()
    generate(page)
    assert sent[0]["controls"] == {"label": "K", "hue": "orange"}


def test_a_subject_is_compared_in_several_styles(page: Page, sent: list[dict[str, Any]]) -> None:
    """A row for each, with the same seeds; the styles are those of the subject; the form can have it again."""
    page.get_by_role("radio", name="Compare").check()
    page.get_by_role("radio", name="K", exact=True).check()
    expect(page.get_by_label("What varies")).to_have_value("style")
    page.get_by_label("Images side by side", exact=True).fill("1")
    expect(page.get_by_role("button", name="Compare 5 images")).to_be_visible()
    for style in ("slab", "script"):
        page.get_by_role("checkbox", name=style).uncheck()
    page.get_by_role("button", name="Compare 3 images").click()
    entry = page.locator("#jobs > [data-status=succeeded]").first
    expect(entry.get_by_role("heading", level=3)).to_have_text(["sans", "serif", "display"])
    expect(entry.get_by_role("heading", level=2)).to_have_text("K")
    expect(entry.locator(".numbers").first).to_contain_text("3 styles")
    assert [each["controls"] for each in sent] == [
        {"label": "K", "style": style} for style in ("sans", "serif", "display")
    ]
    assert len({each["seed"] for each in sent}) == 1
    page.get_by_label("What varies").select_option("Tile")
    entry.get_by_role("button", name="Use these settings").click()
    expect(page.get_by_label("What varies")).to_have_value("style")
    expect(page.get_by_role("button", name="Compare 3 images")).to_be_visible()
    assert grave(page) == []


def test_favourites_outlive_the_server_s_images(page: Page, sent: list[dict[str, Any]], store: redis.Redis) -> None:
    """With their names, after a reload without the job; an image is copied as PNG and as SVG."""
    favourite = keep(generate(page))
    favourite.get_by_role("textbox").fill("Logo, first draft")
    favourite.get_by_role("textbox").press("Tab")
    expect(favourite.get_by_role("button", name="Copy SVG")).to_be_visible(timeout=EXPORT_SECONDS * 1000)
    store.flushall()
    page.reload()
    page.get_by_role("button", name="Favourites 1").click()
    expect(favourite.get_by_alt_text("Logo, first draft")).to_be_visible()
    assert favourite.locator("img").evaluate("(image) => image.naturalWidth") > 0
    favourite.get_by_role("button", name="Copy image").click()
    expect(page.locator("#status")).to_have_text("Copied: image")
    types = page.evaluate("navigator.clipboard.read().then(([item]) => item.types)")
    assert types == ["image/png"]
    favourite.get_by_role("button", name="Copy SVG").click()
    expect(page.locator("#status")).to_have_text("Copied: SVG")
    assert "<svg" in page.evaluate("navigator.clipboard.readText()")
    assert grave(page) == []
    assert sent


def test_a_name_is_typed_to_its_end_while_the_vector_form_comes(page: Page, sent: list[dict[str, Any]]) -> None:
    """Neither the letters nor the focus are lost; pressed twice, a heart keeps one image."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/images/0?*format=svg*", hold)
    entry = generate(page)
    heart = entry.get_by_role("button", name="Favourite").first
    heart.hover()
    heart.dblclick()
    page.get_by_role("button", name="Favourites 1").click()
    card = page.locator(".favourite")
    name = card.get_by_role("textbox")
    name.fill("")
    name.press_sequentially("Lo")
    for route in held:
        route.continue_()
    page.unroute("**/images/0?*format=svg*")
    expect(card.get_by_role("button", name="Copy SVG")).to_be_visible(timeout=EXPORT_SECONDS * 1000)
    expect(name).to_be_focused()
    page.keyboard.type("go")
    page.keyboard.press("Tab")
    expect(card.get_by_alt_text("Logo")).to_be_visible()
    expect(card).to_have_count(1)
    assert sent


def test_what_is_taken_back_in_the_viewer_is_said_there(page: Page, sent: list[dict[str, Any]]) -> None:
    """The dialog does not cover "Undo", and a press on it counts."""
    favourite = keep(generate(page))
    page.get_by_role("button", name="Images", exact=False).first.click()
    page.locator("#jobs .tile").first.click()
    kept = page.locator("#viewer-keep")
    kept.click()
    expect(kept).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Undo").click()
    expect(kept).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Favourites").click()
    expect(favourite).to_have_count(1)
    assert sent


@pytest.mark.parametrize("hidden_by", ["Fine control", "Redraw"])
def test_a_number_out_of_range_is_shown(page: Page, sent: list[dict[str, Any]], hidden_by: str) -> None:
    """Folded away it is unfolded; a mode that does not send it does not ask for it."""
    fold = page.get_by_text("Fine control").first
    fold.click()
    guidance = page.get_by_label("Guidance")
    guidance.fill("9")
    if hidden_by == "Redraw":
        page.get_by_role("radio", name="Redraw").check()
        page.get_by_role("button", name="Redraw").click()
        expect(page.get_by_role("alert")).to_contain_text("No image chosen")
    else:
        fold.click()
        page.get_by_role("button", name="Generate").click()
        expect(guidance).to_be_focused()
    assert sent == []


def test_compared_styles_get_subjects_that_have_them(page: Page, sent: list[dict[str, Any]]) -> None:
    """Without a subject the styles are those of icons, and so no surprise is a letter."""
    page.get_by_role("radio", name="Compare").check()
    expect(page.get_by_label("What varies")).to_have_value("style")
    page.get_by_label("Images side by side", exact=True).fill("6")
    for presses in (1, 2, 3):
        page.get_by_role("button", name="Compare 12 images").click()
        expect(page.locator("#jobs > [data-status=succeeded]")).to_have_count(presses)
    labels = {controls["label"] for body in sent for controls in body["controls"]}
    assert len(labels) > 6
    assert not [label for label in labels if len(label) == 1]


def test_favourites_are_downloaded_as_a_set_and_compared(page: Page, sent: list[dict[str, Any]]) -> None:
    """An archive of SVG and PNG files with their names; the comparison has four sizes on light and on dark."""
    page.get_by_role("radio", name="L", exact=True).check()
    keep(generate(page))
    with page.expect_download() as found:
        page.get_by_role("button", name="Download all").click()
    archive = ZipFile(found.value.path())
    assert archive.testzip() is None
    assert set(archive.namelist()) == {"L.svg", "L-64.png", "L-512.png", "L-1024.png", "L-pixels.png"}
    assert Image.open(io.BytesIO(archive.read("L-512.png"))).size == (512, 512)
    page.locator("#line-up-favourites").click()
    expect(page.locator("#line-up img")).to_have_count(2 * 4)
    assert grave(page) == []
    assert sent


def test_what_is_removed_comes_back_by_undo(page: Page, sent: list[dict[str, Any]]) -> None:
    """An entry, all finished entries in their order, and a favourite."""
    for label in ("A", "B"):
        page.get_by_role("radio", name=label, exact=True).check()
        expect(generate(page).locator("h2")).to_have_text(label)
    headings, undo = page.locator("#jobs h2"), page.get_by_role("button", name="Undo")
    page.get_by_role("button", name="Remove from this list").last.click()
    expect(headings).to_have_text(["B"])
    undo.click()
    expect(headings).to_have_text(["B", "A"])
    page.get_by_role("button", name="Clear finished").click()
    expect(headings).to_have_count(0)
    undo.click()
    expect(headings).to_have_text(["B", "A"])
    favourite = keep(page.locator("#jobs > article").first)
    favourite.get_by_role("button", name="Remove").click()
    expect(favourite).to_have_count(0)
    undo.click()
    expect(favourite).to_have_count(1)
    page.reload()
    expect(headings).to_have_text(["B", "A"])
    assert sent


def test_an_image_is_explained_by_its_likelihood(page: Page, sent: list[dict[str, Any]]) -> None:
    """In words and as a heat map, computed once; the job sent has the image and its controls."""
    page.get_by_role("radio", name="L", exact=True).check()
    tile = generate(page).locator(".tile")
    tile.click()
    viewer, bits = page.get_by_role("dialog"), f"{2 * EVEN_BITS:.3f}"
    for _ in range(2):
        viewer.get_by_role("button", name="Why this one?").click()
        expect(viewer.locator("#why-answer")).to_contain_text(f"takes {bits} bits per colour value (layout 0.006")
        expect(viewer.get_by_role("img", name="Heat map")).to_have_js_property("naturalWidth", 512)
        assert grave(page) == []
        page.keyboard.press("Escape")
        tile.click()
        expect(viewer.locator("#why-answer")).to_be_empty()
    _, score = sent
    with Image.open(io.BytesIO(base64.b64decode(score["image"]))) as found:
        assert found.convert("RGB").tobytes() == image(LETTER_L, ground=ROUNDED).tobytes()
    assert score["controls"]["label"] == "L"


def test_a_likelihood_that_is_refused_is_said_so(page: Page, sent: list[dict[str, Any]]) -> None:
    """With the reason, if it is still refused when repeated; another press is not spoiled by it."""
    generate(page).locator(".tile").click()
    problem = json.dumps({"status": 429, "title": "Too many requests", "detail": "Try again in 5 s."})
    page.route("**/score", lambda route: route.fulfill(status=429, body=problem))
    answer = page.locator("#why-answer")
    page.get_by_role("button", name="Why this one?").click()
    expect(answer).to_have_text("There is no answer now. Try again in 5 s.")
    page.unroute("**/score")
    page.get_by_role("button", name="Why this one?").click()
    expect(answer.get_by_role("img")).to_be_visible()
    assert sent


def test_an_image_is_dragged_out_of_the_page(page: Page, sent: list[dict[str, Any]], url: str) -> None:
    """The drag carries a PNG with a name, its address, and an image for documents."""
    page.get_by_role("radio", name="L", exact=True).check()
    tile = generate(page).locator(".tile")
    expect(tile).to_have_attribute("draggable", "true")
    transfer = page.evaluate_handle("new DataTransfer()")
    tile.dispatch_event("dragstart", {"dataTransfer": transfer})
    file, address = transfer.evaluate("(each) => ['DownloadURL', 'text/uri-list'].map((type) => each.getData(type))")
    assert re.match(rf"image/png:L-\d+\.png:{url}/jobs/.*size=512", file)
    assert page.request.get(address, timeout=EXPORT_SECONDS * 1000).headers["content-type"] == "image/png"
    assert sent


def test_a_whole_job_is_downloaded(page: Page, sent: list[dict[str, Any]]) -> None:
    """An SVG and PNG files of each image."""
    entry = generate(page, count=2)
    with page.expect_download(timeout=EXPORT_SECONDS * 1000) as found:
        entry.get_by_role("button", name="Download all").click()
    assert len([name for name in ZipFile(found.value.path()).namelist() if name.endswith(".svg")]) == 2
    assert sent


def test_the_page_loads_less_than_200_kilobytes(page: Page, url: str) -> None:
    """Everything that the first screen loads, uncompressed."""
    with page.expect_response(re.compile("examples.webp")) as found:
        page.goto(url)
    found.value.finished()
    files = {str(PAGE / "index.html"), *(f"{PAGE}/{name.rpartition('/')[2]}" for name in page.evaluate(LOADED))}
    assert len(files) > 30
    assert sum(Path(file).stat().st_size for file in files) < LARGEST_PAGE_BYTES


LOADED = (
    """performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => name.includes("/page/"))"""
)
