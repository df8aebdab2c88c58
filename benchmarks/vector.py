"""How near the vector form is to its image, and what it costs: `python -m benchmarks.vector`.

Held-out images composed by the data set, or PNG files of one's own: `python -m benchmarks.vector --images FOLDER`.
The sheet shows each image beside its vector form.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from models.subscale import Bytes
from service.vector import rendering
from service.vector.closed_curves import Curve, bernstein
from service.vector.composition import coverage_of, take_apart
from service.vector.paint import Floats
from service.vector.svg import Recolouring, svg
from service.vector.vector_form import GlyphForm, vector_form
from tests.harness.launcher import ONE_THREAD
from training.data.symbols import Symbols
from training.data.vocabulary import LABEL, STYLE, Style

SHEET: Final = 48
LARGE: Final = 1024
STRAIGHT: Final = frozenset("EFHILT")
CORNER: Final = np.cos(np.radians(45))


@dataclass(frozen=True, kw_only=True)
class VectorRow:
    """One image: how its vector form compares with it at its own size, and processor time."""

    name: str
    traced: bool
    overlap: float
    """Intersection over union of the half-covered pixels of the glyph."""
    soft_overlap: float
    """The same of coverage."""
    difference: float
    """Mean, in levels of 255."""
    kilobytes: float
    painted_corners: bool
    bend: float | None
    """Of straight letters: the largest distance of a long edge from its chord, as a share of the image's side."""
    svg_ms: float
    png_ms: float


def measured(name: str, image: Bytes, *, straight: bool) -> VectorRow:
    """Measure one image (S, S, 3)."""
    side = len(image)
    begun = time.process_time()
    form = vector_form(image)
    document = svg(form, title=name)
    drawn = time.process_time()
    rendering.png(form, LARGE)
    ended = time.process_time()
    large = rendering.by_resvg(document, LARGE)
    seen = np.asarray(large.convert("RGB").reduce(LARGE // side), np.float64)
    bare = np.asarray(rendering.image(form, side, Recolouring(background=None)))
    overlap, soft = overlaps(image.astype(np.float64), seen)
    return VectorRow(
        name=name,
        traced=not isinstance(form, GlyphForm),
        overlap=overlap,
        soft_overlap=soft,
        difference=float(np.abs(seen - image).mean()),
        kilobytes=len(document) / 1000,
        painted_corners=bool(form.ground and form.ground.corner and bare[[0, 0, -1, -1], [0, -1, 0, -1], 3].any())
        if isinstance(form, GlyphForm)
        else False,
        bend=bend(form, side) / side if straight and isinstance(form, GlyphForm) else None,
        svg_ms=(drawn - begun) * 1e3,
        png_ms=(ended - drawn) * 1e3,
    )


def overlaps(image: Floats, seen: Floats) -> tuple[float, float]:
    """Return intersection over union of the glyphs of two images: of half-covered pixels, and of coverage."""
    parts = take_apart(image)
    colours = (parts.ground_paint.over(len(image)), parts.glyph_paint.over(len(image)))
    inside = parts.ground.depth(len(image)) > 1.0 if parts.ground else True
    first, second = parts.coverage, np.where(inside, coverage_of(seen, *colours), 0.0)
    soft = float(np.minimum(first, second).sum() / max(1e-9, np.maximum(first, second).sum()))
    inked = first > 0.5, second > 0.5  # noqa: PLR2004 - half covered
    return float((inked[0] & inked[1]).sum() / max(1, (inked[0] | inked[1]).sum())), soft


def bend(form: GlyphForm, side: int) -> float:
    """Return the largest distance in pixels of a long edge between two corners from a straight line."""
    return max((_bend(edge) for curve in form.glyph for edge in _edges(curve, least=side / 8)), default=0.0)


def _edges(curve: Curve, *, least: float) -> list[Floats]:
    """The edges between corners of a curve that are longer than `least` pixels: points (n, 2)."""
    dense = np.einsum("tc,ncx->ntx", bernstein(np.arange(8) / 8), curve.controls).reshape(-1, 2)
    ahead = np.roll(dense, -1, axis=0) - dense
    ahead /= np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
    corners = np.flatnonzero((ahead * np.roll(ahead, 1, axis=0)).sum(axis=1) < CORNER)
    if corners.size < 2:  # noqa: PLR2004 - a closed curve without edges
        return []
    around = np.concatenate([dense, dense])
    ends = [*corners[1:], corners[0] + len(dense)]
    edges = [around[first : last + 1] for first, last in zip(corners, ends, strict=True)]
    return [edge for edge in edges if np.hypot(*(edge[-1] - edge[0])) > least]


def _bend(edge: Floats) -> float:
    along = edge[-1] - edge[0]
    along /= np.hypot(*along)
    far = (edge - edge[0]) @ np.array([-along[1], along[0]])
    return float(np.abs(far).max())


def held_out(count: int) -> list[tuple[str, Bytes, bool]]:
    """Return the first held-out images with their labels, and whether each is a straight letter."""
    batch = Symbols.load(size=64).held_out().first(count)
    labels = [LABEL.values[index - 1] for index in batch.controls[:, 0]]
    sans = [STYLE.values[index - 1] == Style.SANS for index in batch.controls[:, 1]]
    straight = [label in STRAIGHT and plain for label, plain in zip(labels, sans, strict=True)]
    return list(zip(labels, batch.images, straight, strict=True))


def stored(folder: Path, count: int) -> list[tuple[str, Bytes, bool]]:
    """Return the PNG files of a folder, by name; a name like `0007-E-sans-red-circle` is that of a straight letter."""
    files = sorted(folder.glob("*.png"))[:count]
    return [(file.stem, np.asarray(Image.open(file).convert("RGB")), names_straight(file.stem)) for file in files]


def names_straight(name: str) -> bool:
    """Return whether a name, as `benchmarks.keepers` gives them, is that of a straight letter without serifs."""
    parts = name.split("-")
    return bool(STRAIGHT & set(parts)) and Style.SANS.value in parts


def sheet(images: Sequence[tuple[str, Bytes, bool]], *, columns: int = 4, size: int = 256) -> Image.Image:
    """Return each image beside its vector form."""
    rows = -(-len(images) // columns)
    out = Image.new("RGB", (2 * size * columns, size * rows), "white")
    for place, (_, image, _) in enumerate(images):
        x, y = 2 * size * (place % columns), size * (place // columns)
        out.paste(Image.fromarray(image).resize((size, size), Image.Resampling.NEAREST), (x, y))
        out.paste(rendering.image(vector_form(image), size).convert("RGB"), (x + size, y))
    return out


def table(rows: Sequence[VectorRow]) -> str:
    """Return the summary as Markdown."""
    glyphs = [row for row in rows if not row.traced]
    bends = [row.bend for row in rows if row.bend is not None]
    lines = ["| measure | mean | worst twentieth | worst |", "|---|---|---|---|"]
    for name, values, worst in (
        ("overlap of the glyph", [row.overlap for row in glyphs], 0.0),
        ("overlap of coverage", [row.soft_overlap for row in glyphs], 0.0),
        ("mean difference, of 255", [row.difference for row in glyphs], 1.0),
        ("kB", [row.kilobytes for row in glyphs], 1.0),
        ("bend of straight letters, % of the side", [100 * each for each in bends], 1.0),
        ("SVG, ms of processor time", [row.svg_ms for row in rows], 1.0),
        (f"PNG of {LARGE}, ms of processor time", [row.png_ms for row in rows], 1.0),
    ):
        if values:
            figures = np.mean(values), np.quantile(values, 0.05 + 0.9 * worst), np.quantile(values, worst)
            lines.append(f"| {name} | " + " | ".join(f"{each:.3f}" for each in figures) + " |")
    lines.append(f"\n{len(rows)} images, {len(rows) - len(glyphs)} traced by colour, ")
    return "\n".join(lines) + f"{sum(row.painted_corners for row in rows)} with painted corners"


def take_one_thread() -> None:
    """Start again with one thread of BLAS, as the service has: idle threads spin, and that is processor time too."""
    if not ONE_THREAD.items() <= os.environ.items():
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **ONE_THREAD})  # noqa: S606 - this process itself


def main() -> None:
    """Measure, print the table, write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--images", type=Path, help="a folder of PNG files; without it, held-out images")
    parser.add_argument("--sheet", type=Path, help="where the contact sheet is written")
    options = parser.parse_args()
    take_one_thread()
    images = stored(options.images, options.count) if options.images else held_out(options.count)
    vector_form(images[0][1])  # what is computed once
    print(table([measured(name, image, straight=straight) for name, image, straight in images]))
    if options.sheet:
        sheet(images[:SHEET]).save(options.sheet)


if __name__ == "__main__":
    main()
