"""Diversity: how many different glyphs, colours and tiles a thousand pictures show."""

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
"""Glyphs nearer than this count as one: fifty drawings, twenty times each, for sixty."""

COLLAPSED: Final = 50
"""Drawings of the row that shows what a collapse would look like."""

_COLOUR_BITS: Final = 4


@dataclass(frozen=True, kw_only=True)
class Variety:
    """Of a source: distinct glyphs; distinct mean colours of painted pixels at 4 bits a channel; effective numbers (the
    exponential of entropy) of hues and of tiles.
    """

    source: str
    glyphs: int
    colours: int
    hues: float
    tiles: float


def variety(source: str, alone: Bytes, on_tiles: Bytes) -> Variety:
    """From glyphs alone on white and from pictures on all tiles."""
    return Variety(
        source=source,
        glyphs=clusters(shapes(alone), GAP),
        colours=len({colour(picture) for picture in on_tiles}),
        hues=effective(hues(on_tiles)),
        tiles=effective(tiles(on_tiles)),
    )


def colour(picture: Bytes) -> tuple[int, ...]:
    """Mean of the pixels that are not white, coarsely."""
    painted = picture[(picture < 255).any(-1)]  # noqa: PLR2004 - white
    mean = painted.mean(0) if len(painted) else np.full(3, 255.0)
    return tuple(int(channel) >> (8 - _COLOUR_BITS) for channel in mean)


def effective(seen: Iterable[str]) -> float:
    """How many equally frequent values would be as varied."""
    counts = np.array(list(Counter(seen).values()), float)
    shares = counts / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def table(rows: Sequence[Variety]) -> str:
    """One line per source."""
    lines = [[r.source, str(r.glyphs), str(r.colours), f"{r.hues:.1f}", f"{r.tiles:.2f}"] for r in rows]
    return markdown(["pictures", "distinct glyphs", "distinct colours", "hues", "tiles"], lines)


def record(rows: Sequence[Variety]) -> list[dict[str, object]]:
    """For JSON."""
    return [asdict(r) for r in rows]
