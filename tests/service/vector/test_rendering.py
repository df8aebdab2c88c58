"""Images of a document by resvg."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from service.vector import rendering

BAR = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><path fill="#0a84ff" d="M10.3 5.4h20v40h-20z"/></svg>'
)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_a_partly_covered_pixel_has_the_alpha_of_its_share(size: int) -> None:
    """By itself resvg is up to an eighth off."""
    alpha = np.asarray(Image.open(io.BytesIO(rendering.png(BAR, size))))[..., 3] / 255
    scale = size / 64
    for found, edge in ((alpha[size // 2], 10.3 * scale), (alpha[:, size // 4], 5.4 * scale)):
        assert found[int(edge)] == pytest.approx(1 - edge % 1, abs=1 / 16)


def test_averaging_keeps_the_colour_of_a_partly_covered_pixel() -> None:
    shown = np.asarray(rendering.image(BAR, 64))
    assert np.abs(shown[32, 10, :3].astype(int) - (0x0A, 0x84, 0xFF)).max() <= 1
