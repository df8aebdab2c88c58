"""Diversity: how many different glyphs, colours and tiles a thousand images show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from models.subscale import Bytes
from research.evidence.shapes import clusters, shapes
from training.judging.looks import hues, tiles
from training.scoring.scores import markdown

GAP: Final = 3.0
"""Glyphs nearer than this count as one. So fifty drawings, composed twenty times each, count as sixty."""

COLLAPSED: Final = 50
"""Drawings of the row that simulates a collapse."""

_COLOUR_BITS: Final = 4


@dataclass(frozen=True, kw_only=True)
class Variety:
    """The diversity of a source: numbers of distinct glyphs, colours, hues and tiles.

    Colours are means of painted pixels at 4 bits a channel. Numbers of hues and tiles are exponentials of the entropy.
    """

    source: str
    glyphs: int
    colours: int
    hues: float
    tiles: float


def variety(source: str, alone: Bytes, on_tiles: Bytes) -> Variety:
    """Measure glyphs alone on white, and images on all tiles."""
    return Variety(
        source=source,
        glyphs=clusters(shapes(alone), GAP),
        colours=len({colour(image) for image in on_tiles}),
        hues=effective(hues(on_tiles)),
        tiles=effective(tiles(on_tiles)),
    )


def colour(image: Bytes) -> tuple[int, ...]:
    """Return the mean of the pixels that are not white, at 4 bits a channel."""
    painted = image[(image < 255).any(-1)]  # noqa: PLR2004 - white
    mean = painted.mean(0) if len(painted) else np.full(3, 255.0)
    return tuple(int(channel) >> (8 - _COLOUR_BITS) for channel in mean)


def effective(seen: Iterable[str]) -> float:
    """Return how many equally frequent values have the same entropy."""
    counts = np.array(list(Counter(seen).values()), float)
    shares = counts / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def table(rows: Sequence[Variety]) -> str:
    """Return one line per source."""
    lines = [[r.source, str(r.glyphs), str(r.colours), f"{r.hues:.1f}", f"{r.tiles:.2f}"] for r in rows]
    return markdown(["images", "distinct glyphs", "distinct colours", "hues", "tiles"], lines)


def record(rows: Sequence[Variety]) -> list[dict[str, object]]:
    """Return the figures for JSON."""
    return [asdict(r) for r in rows]
