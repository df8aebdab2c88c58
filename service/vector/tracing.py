"""Tracing by layers of colour (vtracer): the fallback for images that are no glyph on a ground."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image
from vtracer.vtracer import convert_raw_image_to_svg

from models.subscale import Bytes

ENLARGED: Final = 4
"""Pixels of the traced image for each of the original: curves need room."""

_PATH: Final = re.compile(r'<path d="([-MCLZ0-9., ]+)" fill="#([0-9A-Fa-f]{6})" transform="translate\(([-0-9.,]+)\)"/>')


@dataclass(frozen=True, kw_only=True)
class TracedLayer:
    """A filled path (SVG path data), moved by `offset`, in `ENLARGED` times the pixels of the image."""

    path: str
    colour: tuple[int, int, int]
    offset: str


def trace(image: Bytes) -> tuple[TracedLayer, ...]:
    """Return the layers of an image (S, S, 3), bottom first."""
    side = len(image) * ENLARGED
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).resize((side, side), Image.Resampling.BICUBIC).save(out, "PNG")
    svg = convert_raw_image_to_svg(
        out.getvalue(),
        img_format="png",
        mode="spline",
        hierarchical="stacked",
        layer_difference=24,
        filter_speckle=10,
        path_precision=1,
    )
    return tuple(
        TracedLayer(path=path.strip(), colour=(int(tone[:2], 16), int(tone[2:4], 16), int(tone[4:], 16)), offset=offset)
        for path, tone, offset in _PATH.findall(svg)
    )
