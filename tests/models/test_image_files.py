"""Every mode of PNG, WebP and JPEG in RGB, against colours worked out by hand."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from models.image_files import as_rgb

WHITE, RED = [255, 255, 255], [255, 0, 0]


def png(depth: int, colour: int, row: bytes, *, transparent: bytes = b"", palette: bytes = b"") -> bytes:
    """A PNG of one row, bit by bit: Pillow writes few of its kinds."""
    head = struct.pack(">IIBBBBB", 2, 1, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"PLTE", palette), (b"tRNS", transparent), (b"IDAT", zlib.compress(b"\0" + row))]
    kept = [(name, data) for name, data in chunks if data] + [(b"IEND", b"")]
    written = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in kept)
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def rgb(data: bytes) -> list[list[int]]:
    """The pixels of a file."""
    with Image.open(io.BytesIO(data), formats=["PNG", "WEBP", "JPEG"]) as image:
        return np.asarray(as_rgb(image)).reshape(-1, 3).tolist()


def words(*values: int) -> bytes:
    """16-bit values."""
    return struct.pack(f">{len(values)}H", *values)


def grey(*values: int) -> list[list[int]]:
    """Grey pixels."""
    return [[value] * 3 for value in values]


KINDS = {
    "grey of 1 bit": (png(1, 0, b"\x40"), grey(0, 255)),
    "grey of 2 bits": (png(2, 0, b"\x60"), grey(85, 170)),
    "grey of 2 bits, one transparent": (png(2, 0, b"\x60", transparent=words(1)), grey(255, 170)),
    "grey of 4 bits, one transparent": (png(4, 0, b"\x3c", transparent=words(3)), grey(255, 204)),
    "grey of 8 bits, one transparent": (png(8, 0, b"\x03\x04", transparent=words(3)), grey(255, 4)),
    "grey of 16 bits": (png(16, 0, words(0x1234, 257 * 200)), grey(18, 200)),
    "grey of 16 bits, dark": (png(16, 0, words(0, 300)), grey(0, 1)),
    "grey of 16 bits, one transparent": (png(16, 0, words(0x1234, 0x8080), transparent=words(0x1234)), grey(255, 128)),
    "grey of 16 bits with alpha": (png(16, 4, words(0x8000, 0xFFFF, 0, 0)), grey(128, 255)),
    "colour of 16 bits": (png(16, 2, words(0xFFFF, 0, 0, 0x8080, 0x8080, 0x8080)), [RED, [128] * 3]),
    "colour of 16 bits, one transparent": (
        png(16, 2, words(0x1234, 0, 0, 0xFFFF, 0, 0), transparent=words(0x1234, 0, 0)),
        [WHITE, RED],
    ),
    "palette, one transparent": (png(8, 3, b"\0\1", palette=bytes([9, 9, 9, *RED]), transparent=b"\0"), [WHITE, RED]),
    "colour with alpha": (png(8, 6, bytes([*RED, 255, 0, 0, 0, 0])), [RED, WHITE]),
}


@pytest.mark.parametrize(("data", "wanted"), KINDS.values(), ids=KINDS)
def test_a_png_has_its_colours(data: bytes, wanted: list[list[int]]) -> None:
    """Whatever its depth, with transparent parts on white."""
    assert rgb(data) == wanted


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_upright(orientation: int, kind: str) -> None:
    """As its EXIF orientation says, in each format."""
    corner = np.zeros((16, 16, 3), np.uint8)
    corner[:8, :8] = 255
    turned = Image.fromarray(corner)
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    turned.save(out, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    found = np.asarray(as_rgb(Image.open(io.BytesIO(out.getvalue()))))
    row, column = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    means = found.reshape(2, 8, 2, 8, 3).mean(axis=(1, 3, 4))
    assert np.unravel_index(means.argmax(), (2, 2)) == (row, column)


@pytest.mark.parametrize("mode", ["CMYK", "L", "RGB"])
def test_a_jpeg_has_its_colours(mode: str) -> None:
    """CMYK among them."""
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (250, 250, 250)).convert(mode).save(out, "JPEG")
    assert np.abs(np.array(rgb(out.getvalue())) - 250).max() <= 2


def test_a_mode_without_colours_is_refused() -> None:
    """Numbers without a range are no image."""
    with pytest.raises(ValueError, match="images of mode F are not accepted"):
        as_rgb(Image.new("F", (1, 1)))
