"""What guidance costs: how many images show their label, beside how varied they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.subscale import Bytes
from research.evidence.accuracy import ratio_interval
from research.evidence.drawings import Drawings, distances
from training.judging.copies import Thumbnails
from training.judging.proportions import Proportion
from training.judging.reader import Reader
from training.scoring.samples import tiled
from training.scoring.scores import markdown

GAP: Final = 3.0
"""Drawings of one label nearer than this count as one."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The quality and the diversity of n images of some labels.

    - `read`: images that the reader of the judge reads as their label
    - `distinct`: drawings at least `GAP` from every other of their label
    - `spreads`: mean distance of two drawings of each label
    - `recall`: held-out drawings with a near image of their label
    """

    source: str
    count: int
    read: Proportion
    distinct: int
    spreads: list[float]
    recall: Proportion

    def spread(self, real: Coverage) -> tuple[float, tuple[float, float]]:
        """Return the mean spread as a ratio to `real`, with its 95 % interval over labels."""
        own, other = np.array(self.spreads), np.array(real.spreads)
        return float(own.mean() / other.mean()), ratio_interval(own, other)


def coverage(source: str, drawings: Drawings, reader: Reader, held_out: Drawings, radii: Sequence[float]) -> Coverage:
    """Measure drawings beside held-out ones, near which everything within `radii` (n held-out) is."""
    parts = [drawings.thumbnails[drawings.labels == label] for label in np.unique(drawings.labels)]
    return Coverage(
        source=source,
        count=len(drawings),
        read=Proportion.of(list(drawings.read_by(reader))),
        distinct=sum(clusters(part, GAP) for part in parts),
        spreads=[spread(part) for part in parts],
        recall=Proportion.of(list(nearest_of_label(held_out, drawings) <= np.array(radii))),
    )


def half_radii(held_out: Drawings, real: Drawings) -> list[float]:
    """Return for each held-out drawing the distance within which half of those of its label have a real one: (n held-out)."""
    nearest = nearest_of_label(held_out, real)
    return [float(np.median(nearest[held_out.labels == label])) for label in held_out.labels]


def nearest_of_label(some: Drawings, others: Drawings) -> NDArray[np.float32]:
    """Return the distance of each drawing to the nearest other of its label, infinite without any: (n,)."""
    found = np.full(len(some), np.inf, np.float32)
    for label in np.intersect1d(some.labels, others.labels):
        own = some.labels == label
        found[own] = distances(some.thumbnails[own], others.thumbnails[others.labels == label]).min(axis=1)
    return found


def clusters(thumbnails: Thumbnails, gap: float) -> int:
    """Return how many drawings are at least `gap` from all counted before them."""
    kept: list[int] = []
    for index, row in enumerate(thumbnails):
        if not kept or np.abs(thumbnails[kept] - row).mean(axis=1).min() >= gap:
            kept.append(index)
    return len(kept)


def spread(thumbnails: Thumbnails) -> float:
    """Return the mean distance of two different drawings of (n, 256); n is at least 2."""
    count = len(thumbnails)
    return float(distances(thumbnails, thumbnails).sum() / (count * (count - 1)))


def plot(rows: Sequence[Coverage], path: Path) -> None:
    """Plot quality against diversity: the share of images read, over the recall and over the spread; the first row is real."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - needs the benchmarks extra

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    by_recall, by_spread = figure.subplots(1, 2, sharey=True)
    for row in rows:
        recall, read = (_reaches(share.value, share.interval) for share in (row.recall, row.read))
        by_recall.errorbar(row.recall.value, row.read.value, xerr=recall, yerr=read, fmt="o", label=row.source)
        ratio, ends = row.spread(rows[0])
        by_spread.errorbar(ratio, row.read.value, xerr=_reaches(ratio, ends), yerr=read, fmt="o")
    by_recall.set(xlabel="recall: held-out drawings with a near image", ylabel="images read as their label")
    by_spread.set(xlabel="spread of the drawings of a label, of real")
    figure.legend(loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)


def _reaches(value: float, ends: tuple[float, float]) -> list[list[float]]:
    """Return how far an interval reaches below and above a value, as errors of matplotlib."""
    low, high = ends
    return [[value - low], [high - value]]


def save_sheet(images: Mapping[str, Bytes], columns: int, path: Path) -> None:
    """Save the first `columns` images of each source as a row."""
    rows = np.concatenate([some[:columns] for some in images.values()])
    Image.fromarray(tiled(rows, columns=columns)).save(path)


def table(rows: Sequence[Coverage]) -> str:
    """Return one line per source; the spread as a ratio to the first row, which is real."""
    lines = []
    for row in rows:
        ratio, (low, high) = row.spread(rows[0])
        spread_of_real = f"{ratio:.2f} ({low:.2f} to {high:.2f})"
        lines.append([row.source, str(row.count), str(row.read), str(row.distinct), spread_of_real, str(row.recall)])
    return markdown(["images", "n", "read (95 %)", "distinct", "spread, of real (95 %)", "recall (95 %)"], lines)


def record(rows: Sequence[Coverage]) -> list[dict[str, object]]:
    """Return the figures for JSON."""
    return [asdict(r) for r in rows]
