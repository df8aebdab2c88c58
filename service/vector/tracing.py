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

_LEAST_SIDE: Final = 64
"""Pixels below which an image is enlarged: curves need room. More than that adds detail that the image does not have."""

_PATH: Final = re.compile(r'<path d="([-MCLZ0-9., ]+)" fill="#([0-9A-Fa-f]{6})" transform="translate\(([-0-9.,]+)\)"/>')


@dataclass(frozen=True, kw_only=True)
class TracedLayer:
    """A filled path (SVG path data), moved by `offset`."""

    path: str
    colour: tuple[int, int, int]
    offset: str


@dataclass(frozen=True, kw_only=True)
class TracedForm:
    """Layers of colour, bottom first, of an image that is no glyph on a ground; `side` in the unit of all places."""

    side: int
    layers: tuple[TracedLayer, ...]


def trace(image: Bytes) -> TracedForm:
    """Return the layers of an image (S, S, 3)."""
    side = max(len(image), _LEAST_SIDE)
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).resize((side, side), Image.Resampling.BICUBIC).save(out, "PNG")
    svg = convert_raw_image_to_svg(
        out.getvalue(),
        img_format="png",
        mode="spline",
        hierarchical="stacked",
        layer_difference=24,
        filter_speckle=3,
        path_precision=1,
    )
    layers = (
        TracedLayer(path=path.strip(), colour=(int(tone[:2], 16), int(tone[2:4], 16), int(tone[4:], 16)), offset=offset)
        for path, tone, offset in _PATH.findall(svg)
    )
    return TracedForm(side=side, layers=tuple(layers))
