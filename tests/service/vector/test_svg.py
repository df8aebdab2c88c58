"""The document: well formed, in the colours that were requested, rendered as the image is."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from numpy.typing import NDArray

from models.subscale import Bytes
from service.vector import rendering
from service.vector.svg import Recolouring, svg
from service.vector.vector_form import vector_form
from tests.service.vector.drawings import LETTER_L, ROUNDED, disc, image

NAMESPACE = "{http://www.w3.org/2000/svg}"
ICON = image(LETTER_L, ground=ROUNDED)
FORM = vector_form(ICON)


def parsed(document: str) -> Any:  # noqa: ANN401 - elements that are there
    return ET.fromstring(document)  # noqa: S314 - our own document


def rendered(document: str, size: int = 64) -> NDArray[np.int64]:
    return np.asarray(rendering.by_resvg(document, size)).astype(int)


def test_the_document_has_named_groups_a_whole_view_box_and_the_gradient_in_defs() -> None:
    root = parsed(svg(FORM, title="L"))
    assert root.get("viewBox") == "0 0 512 512"
    assert [each.get("id") for each in root.findall(f"{NAMESPACE}g")] == ["ground", "glyph"]
    assert root.find(f"{NAMESPACE}title").text == "L"
    assert root.find(f"{NAMESPACE}defs/{NAMESPACE}linearGradient").get("id") == "ground-paint"
    assert root.find(f"{NAMESPACE}g[@id='glyph']/{NAMESPACE}path").get("fill-rule") == "evenodd"


@pytest.mark.parametrize("icon", [ICON, image(LETTER_L), image(disc(30, 34, 14), ground=ROUNDED, ink=(40, 20, 10))])
def test_the_rendered_document_is_the_image_within_its_antialiasing(icon: Bytes) -> None:
    document = svg(vector_form(icon), title="")
    assert np.abs(rendered(document)[..., :3] - icon).mean() < 1.0
    assert len(document) < 5000


@pytest.mark.parametrize(
    "title", ["</title><script>alert(1)</script>", '"><svg onload="x">', "a & b < c", "bell\x07\x00\ud800", "]]>"]
)
def test_a_hostile_title_stays_text(title: str) -> None:
    root = parsed(svg(FORM, title=title))
    assert {each.tag.removeprefix(NAMESPACE) for each in root.iter()} <= {
        *("svg", "title", "path", "defs", "linearGradient", "stop", "g", "rect")
    }
    assert root.find(f"{NAMESPACE}title").text == title.replace("\x07\x00\ud800", "")


def test_corners_are_unpainted_when_transparent() -> None:
    shown = rendered(svg(FORM, title="", colours=Recolouring(background=None)))
    assert (shown[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()
    assert shown[32, 6, 3] == 255


def test_brand_colours_are_exact_and_flat() -> None:
    document = svg(FORM, title="", colours=Recolouring(ground=((10, 132, 255),), glyph=((255, 214, 10),)))
    shown = rendered(document)
    assert "Gradient" not in document
    assert shown[8, 32].tolist() == [10, 132, 255, 255]
    assert shown[58, 32].tolist() == [10, 132, 255, 255]
    assert shown[30, 26].tolist() == [255, 214, 10, 255]


def test_two_colours_are_a_gradient_along_the_image_s_own() -> None:
    document = svg(FORM, title="", colours=Recolouring(ground=((255, 0, 0), (0, 0, 255))))
    shown = rendered(document)
    assert 'stop-color="#ff0000"' in document
    assert shown[4, 32, 0] > 240
    assert shown[60, 32, 0] < 15


def test_a_flat_style_has_the_middle_colour() -> None:
    document = svg(FORM, title="", colours=Recolouring(flat=True))
    assert "Gradient" not in document
    assert rendered(document)[8, 32, :3].tolist() == rendered(document)[58, 32, :3].tolist()


def test_a_background_lies_behind_everything() -> None:
    shown = rendered(svg(FORM, title="", colours=Recolouring(background=(1, 2, 3))))
    assert shown[0, 0].tolist() == [1, 2, 3, 255]


def test_a_traced_image_is_shown_as_it_is_in_a_small_file() -> None:
    colours = np.random.default_rng(3).integers(0, 255, (4, 4, 3), np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    document = svg(vector_form(colours), title="")
    assert parsed(document).find(f"{NAMESPACE}g").get("id") == "traced"
    assert np.abs(rendered(document)[..., :3] - colours).mean() < 1
    assert len(document) < 5000
