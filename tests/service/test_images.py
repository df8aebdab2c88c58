"""Images that callers send, and those that they get."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from models.config import Geometry, Order, Stage
from models.subscale import Bytes, Progress
from service.errors import FieldError
from service.images import ImageFormat, encode, pixels, preferred, started
from tests.harness.drawing import GEOMETRY

SIZE = GEOMETRY.size
LONGEST_ERROR = 40


def png(image: Image.Image | None = None, kind: str = "PNG") -> str:
    """Base64 of a file."""
    out = io.BytesIO()
    (image or Image.new("RGB", (SIZE, SIZE), "red")).save(out, kind)
    return base64.b64encode(out.getvalue()).decode()


def sent(text: str) -> Bytes:
    """The pixels of a caller's image of full size."""
    return pixels(text, GEOMETRY, sizes=[SIZE], field="start.image")


FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "lines of 76": lambda text: "\n".join(text[i : i + 76] for i in range(0, len(text), 76)) + "\n",
    "lines of Windows": lambda text: "\r\n".join(text[i : i + 64] for i in range(0, len(text), 64)),
    "data URL": lambda text: f"data:image/png;base64,{text}",
    "data URL in capitals": lambda text: f"DATA:IMAGE/PNG;BASE64,{text}",
    "data URL with a parameter": lambda text: f"data:image/png;name=a.png;base64,{text}",
    "alphabet of URLs": lambda text: text.translate(str.maketrans("+/", "-_")),
    "no padding": lambda text: text.rstrip("="),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_base64_is_accepted_as_tools_write_it(form: Callable[[str], str]) -> None:
    """All forms are the same image."""
    noise = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    text = png(Image.fromarray(noise))
    assert (sent(form(text)) == sent(text)).all()


WRONG = {
    "empty": ("", "the image is empty"),
    "only a prefix": ("data:image/png;base64,", "the image is empty"),
    "a data URL that is no base64": ("data:image/svg+xml,%3Csvg", "data:image/png;base64,..."),
    "a path": ("C:\\icon.png", "it has the character ':'"),
    "a URL": ("https://a.example/icon.png", "it has the character ':'"),
    "one character too few": ("AAAAA", "some are missing"),
    "another format": (png(kind="GIF"), "not a PNG, WebP or JPEG"),
    "text": (base64.b64encode(b"<svg/>").decode(), "not a PNG, WebP or JPEG"),
    "cut off": (png()[:64], "damaged"),
    "another size": (png(Image.new("RGB", (3, 5))), f"expected {SIZE} x {SIZE} pixels, got 3 x 5"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_an_image_is_named(text: str, said: str) -> None:
    """With the cause."""
    with pytest.raises(FieldError, match=r"^start\.image: ") as refused:
        sent(text)
    assert said in str(refused.value)


def test_every_level_of_an_interlaced_image_is_a_start() -> None:
    """A quarter and a half of the side: their pixels are kept in coarse bits. Raster order has the first slice alone."""
    geometry = Geometry(size=32, slice_size=8, order=Order.INTERLACED)
    noise = np.random.default_rng(2).integers(0, 256, (16, 16, 3), np.uint8)
    assert (geometry.start_sizes(Stage.SIZE), geometry.start_sizes(Stage.DEPTH)) == ((8, 16), (32,))
    assert replace(geometry, order=Order.RASTER).start_sizes(Stage.SIZE) == (8,)
    progress = started(png(Image.fromarray(noise)), Stage.SIZE, geometry)
    (coarse, _), (known, _) = progress.values, progress.known()
    assert progress.done == 4
    assert (coarse[::2, ::2] == noise >> 5).all()
    assert known.sum() == known[::2, ::2].sum() == 16 * 16
    with pytest.raises(FieldError, match="expected 8 x 8 or 16 x 16 pixels, got 32 x 32"):
        started(png(Image.new("RGB", (32, 32))), Stage.SIZE, geometry)


def test_a_jpeg_keeps_the_edges_between_colours() -> None:
    """4:4:4: a pixel of colour beside one of another does not blur into it."""
    colours = np.zeros((SIZE, SIZE, 3), np.uint8)
    colours[:, ::2] = (224, 32, 32)
    colours[:, 1::2] = (32, 32, 224)
    progress = Progress.of(colours >> np.uint8(8 - GEOMETRY.bits), GEOMETRY, 2 * GEOMETRY.slices)
    file = encode(progress, ImageFormat.JPEG, text={})
    exact = progress.image().astype(int)
    assert np.abs(np.asarray(Image.open(io.BytesIO(file))).astype(int) - exact).max() < LONGEST_ERROR


@pytest.mark.parametrize(("name", "kind"), [("jpg", "jpeg"), ("JPG", "jpeg"), ("WebP", "webp"), ("PNG", "png")])
def test_formats_have_their_usual_names(name: str, kind: str) -> None:
    """In any letter case, and jpg."""
    assert ImageFormat(name) == kind


@pytest.mark.parametrize(
    ("accept", "kind"), [("IMAGE/WEBP", "webp"), ("image/jpg", "jpeg"), ("Image/Png;Q=0.1, image/jpeg;Q=0.5", "jpeg")]
)
def test_accept_is_read_in_any_letter_case(accept: str, kind: str) -> None:
    """As RFC 9110 has media types and parameters."""
    assert preferred(accept) == kind
