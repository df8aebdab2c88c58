"""Sets of files, by what phones and web servers do with them."""

from __future__ import annotations

import io
import json
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.subscale import Bytes
from service.vector.icon_set import ExportSet, NamedImage, export_set
from service.vector.svg import Recolouring
from tests.service.vector.drawings import LETTER_L, ROUNDED, disc, image, polygon

WIDE = polygon((4.2, 28.3), (59.8, 28.3), (59.8, 35.7), (4.2, 35.7))
INK = (10, 10, 10)


def web_icon(pixels: Bytes, colours: Recolouring) -> ZipFile:
    named = NamedImage(pixels=pixels, name="a", title="A")
    return ZipFile(io.BytesIO(export_set([named], ExportSet.WEB, colours).content))


def opened(archive: ZipFile, name: str) -> NDArray[np.int64]:
    return np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")).astype(int)


def reach(shown: NDArray[np.int64]) -> float:
    """Return how far ink is from the middle, as a share of the side."""
    rows, columns = np.nonzero(np.abs(shown - INK).max(axis=-1) < 60)
    return float(np.hypot(rows + 0.5 - len(shown) / 2, columns + 0.5 - len(shown) / 2).max()) / len(shown)


@pytest.mark.parametrize("icon", [image(WIDE), image(WIDE, ground=ROUNDED, ink=INK)], ids=["lone", "on a ground"])
def test_no_mask_cuts_the_glyph_of_a_maskable_icon(icon: Bytes) -> None:
    archive = web_icon(icon, Recolouring(background=None, glyph=(INK,)))
    assert reach(opened(archive, "apple-touch-icon.png")) > 0.42
    assert 0.38 < reach(opened(archive, "maskable-512.png")) <= 0.402


def test_a_glyph_within_the_safe_zone_stays_as_large_as_it_is() -> None:
    archive = web_icon(image(disc(32, 32, 20), ground=ROUNDED), Recolouring(glyph=(INK,)))
    assert reach(opened(archive, "maskable-512.png")) == pytest.approx(20 / 64, abs=0.005)


@pytest.mark.parametrize("kind", ExportSet)
def test_a_web_server_may_read_the_unpacked_files(kind: ExportSet) -> None:
    named = NamedImage(pixels=image(LETTER_L, ground=ROUNDED), name="a", title="A")
    with ZipFile(io.BytesIO(export_set([named], kind, Recolouring()).content)) as archive:
        assert {each.external_attr >> 16 for each in archive.infolist()} == {0o644}


@pytest.mark.parametrize(
    ("colours", "background"),
    [(Recolouring(background=None), "#ffffff"), (Recolouring(background=(1, 2, 3)), "#010203")],
)
def test_the_manifest_names_the_background(colours: Recolouring, background: str) -> None:
    archive = web_icon(image(LETTER_L, ground=ROUNDED), colours)
    assert json.loads(archive.read("manifest.json"))["background_color"] == background
