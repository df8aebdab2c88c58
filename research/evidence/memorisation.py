"""Memorisation: distances of the glyphs of samples to training glyphs, beside those of real glyphs to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.subscale import Bytes
from research.evidence.contestants import SIZE
from research.evidence.sample_requests import SampleRequests, composed
from research.evidence.shapes import Shapes, distances, shapes
from training.data.symbols import Symbols
from training.data.vocabulary import Tile
from training.scoring.samples import tiled
from training.scoring.scores import markdown

COPIES: Final = (0.5, 0.9, 0.99)
"""Quantiles of the distances of training glyphs rendered again: they define three distances of a near copy."""

PAIRS: Final = 32
_COLUMNS: Final = 16


@dataclass(frozen=True, kw_only=True)
class NearestDistances:
    """Distances of `count` glyphs to the nearest training glyph: quantiles 1, 10, 50 %, and shares within each of `near`."""

    source: str
    count: int
    quantiles: tuple[float, float, float]
    shares: tuple[float, ...]


def gallery(data: Symbols) -> SampleRequests:
    """Return every training glyph alone on white."""
    every = np.arange(len(data.pack.glyphs))
    return composed("gallery", data, np.random.default_rng(4), every, [Tile.NONE] * len(every))


def drawn_again(data: Symbols, some: SampleRequests) -> SampleRequests:
    """Return the same training glyphs in other hues, places and sizes: the samples of a model that memorised them."""
    return composed("again", data, np.random.default_rng(5), some.drawings, [Tile.NONE] * len(some.drawings))


def nearest_distances(source: str, nearest: NDArray[np.float32], near: Sequence[float]) -> NearestDistances:
    """Summarise distances to the nearest glyph."""
    low, tenth, median = (float(q) for q in np.quantile(nearest, (0.01, 0.1, 0.5)))
    below = [float((nearest <= distance).mean()) for distance in near]
    return NearestDistances(source=source, count=len(nearest), quantiles=(low, tenth, median), shares=tuple(below))


def to_others(some: SampleRequests, others: Shapes) -> NDArray[np.float32]:
    """Return distances of training glyphs to the nearest other one: those of a random split without removed near copies."""
    apart = distances(shapes(some.real), others)
    apart[np.arange(len(apart)), some.drawings] = np.inf
    return np.asarray(apart.min(1))


def sheet(images: Bytes, apart: NDArray[np.float32], real: Bytes, path: Path) -> None:
    """Save the closest pairs, nearest first: rows of samples, with the nearest training glyph below each."""
    order = np.argsort(apart.min(1))[:PAIRS]
    rows: list[Bytes] = []
    for start in range(0, len(order), _COLUMNS):
        chosen = order[start : start + _COLUMNS]
        rows += [*images[chosen], *real[apart[chosen].argmin(1)]]
    Image.fromarray(tiled(np.stack(rows), columns=_COLUMNS, scale=64 // SIZE)).save(path)


def table(rows: Sequence[NearestDistances], near: Sequence[float]) -> str:
    """Return one line per source."""
    lines = [
        [r.source, str(r.count), *(f"{q:.1f}" for q in r.quantiles), *(f"{share:.1%}" for share in r.shares)]
        for r in rows
    ]
    return markdown(["glyphs", "n", "1 %", "10 %", "median", *(f"within {distance:.1f}" for distance in near)], lines)


def record(rows: Sequence[NearestDistances]) -> list[dict[str, object]]:
    """Return the figures for JSON."""
    return [asdict(r) for r in rows]
