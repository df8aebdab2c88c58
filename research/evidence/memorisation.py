"""Memorisation: distances of drawings to the nearest training drawing of their label, beside those of copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.subscale import Bytes
from research.evidence.comparison import SampleComparison
from research.evidence.drawings import KINDS, Drawings, Labels, distances, thumbnails_of
from training.data.symbols import Pack
from training.data.tiles import box
from training.scoring.samples import tiled
from training.scoring.scores import markdown

COPIES: Final = (0.5, 0.9, 0.99)
"""Shares of copies, which are training drawings composed again, that lie within each of the three distances."""

PAIRS: Final = 16
"""Pairs of each kind in a sheet."""


@dataclass(frozen=True, kw_only=True)
class NearestDrawings:
    """The nearest training drawing of each of n drawings: its distance, in 0..255, and its position in the pack."""

    distances: NDArray[np.float32]
    positions: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class NearestDistances:
    """Distances of `count` drawings: quantiles 1, 10, 50 %, and the shares within `near`, the distances of `COPIES`."""

    kind: str
    source: str
    count: int
    quantiles: tuple[float, ...]
    near: tuple[float, ...]
    shares: tuple[float, ...]


class Gallery:
    """The training drawings of some labels, by label: their positions in the pack (n,) and thumbnails (n, 256)."""

    def __init__(self, pack: Pack, labels: Labels) -> None:
        self.positions = {int(label): np.flatnonzero(pack.glyph_labels == label + 1) for label in np.unique(labels)}
        self.thumbnails = {
            label: thumbnails_of(pack.glyphs[position] / 255.0 for position in positions)
            for label, positions in self.positions.items()
        }

    def nearest(self, drawings: Drawings, but: NDArray[np.int64] | None = None) -> NearestDrawings:
        """Return the nearest training drawing of the same label, other than the one at position `but` (n,) if given."""
        apart, found = np.zeros(len(drawings), np.float32), np.zeros(len(drawings), np.int64)
        for label, positions in self.positions.items():
            own = drawings.labels == label
            pairs = distances(drawings.thumbnails[own], self.thumbnails[label])
            if but is not None:
                pairs[but[own][:, None] == positions] = np.inf
            apart[own], found[own] = pairs.min(axis=1), positions[pairs.argmin(axis=1)]
        return NearestDrawings(distances=apart, positions=found)


def rows(
    gallery: Gallery, comparison: SampleComparison, samples: Mapping[str, NearestDrawings]
) -> list[NearestDistances]:
    """Return the rows of both kinds: copies, a random split of the training drawings, held-out drawings, and samples."""
    real, held_out = comparison.real, comparison.held_out
    sources = {
        "training drawings, composed again": (real, gallery.nearest(real)),
        "training drawings, to the nearest other": (real, gallery.nearest(real, but=comparison.requests.drawings)),
        "held-out drawings": (held_out, gallery.nearest(held_out)),
        **{title: (comparison.samples[title], nearest) for title, nearest in samples.items()},
    }
    found = []
    for kind in KINDS:
        apart = {title: nearest.distances[some.of_kind(kind)] for title, (some, nearest) in sources.items()}
        near = [float(limit) for limit in np.quantile(next(iter(apart.values())), COPIES)]
        found += [nearest_distances(kind, title, values, near) for title, values in apart.items()]
    return found


def nearest_distances(kind: str, source: str, nearest: NDArray[np.float32], near: Sequence[float]) -> NearestDistances:
    """Summarise distances to the nearest drawing."""
    return NearestDistances(
        kind=kind,
        source=source,
        count=len(nearest),
        quantiles=tuple(float(q) for q in np.quantile(nearest, (0.01, 0.1, 0.5))),
        near=tuple(near),
        shares=tuple(float((nearest <= distance).mean()) for distance in near),
    )


def save_sheet(pack: Pack, comparison: SampleComparison, samples: Mapping[str, NearestDrawings], path: Path) -> None:
    """Save the closest pairs of each source and kind, nearest first: a row of images, then the training drawing of each."""
    pairs = [
        row
        for title, nearest in samples.items()
        for kind in KINDS
        for row in closest_pairs(pack, comparison.images[title], comparison.samples[title].of_kind(kind), nearest)
    ]
    Image.fromarray(tiled(np.stack(pairs), columns=PAIRS)).save(path)


def closest_pairs(pack: Pack, images: Bytes, own: NDArray[np.bool_], nearest: NearestDrawings) -> list[Bytes]:
    """Return the images (H, H, 3) `own` (n,) that are nearest to a training drawing, then these drawings, black on white."""
    order = np.argsort(np.where(own, nearest.distances, np.inf))[:PAIRS]
    masks = pack.glyphs[nearest.positions[order]]
    return [*images[order], *box(np.repeat((255 - masks)[..., None], 3, axis=-1), images.shape[2])]


def table(found: Sequence[NearestDistances]) -> str:
    """Return one line per kind and source."""
    lines = [
        [r.kind, r.source, str(r.count), *(f"{q:.1f}" for q in r.quantiles), *(f"{share:.1%}" for share in r.shares)]
        for r in found
    ]
    near = [f"as near as {share:.0%} of copies" for share in COPIES]
    return markdown(["labels", "drawings", "n", "1 %", "10 %", "median", *near], lines)


def record(found: Sequence[NearestDistances]) -> list[dict[str, object]]:
    """Return the figures for JSON."""
    return [asdict(r) for r in found]
