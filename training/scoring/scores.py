"""Held-out bits/dim of a model and the codecs by family, with bootstrap intervals, as tables and records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.config import Geometry, Stage
from models.subscale import Bytes, to_full_range
from training.data.symbols import ImageBatch
from training.scoring.bits import BYTE
from training.scoring.codecs import CODECS, bits_per_dim

Floats = NDArray[np.float64]

JOINT: Final = "joint"
ALL: Final = "all"

_RESAMPLES: Final = 2000
_LEVELS: Final = (2.5, 97.5)


@dataclass(frozen=True, kw_only=True)
class LikelihoodScore:
    """Bits/dim of one family: additive shares by stage, and codecs by name on the same images.

    `intervals`: low and high end of the 95 % bootstrap interval over images, by stage and joint. `painted`: share of the
    sub-pixels in pixels that are not pure white.
    """

    family: str
    count: int
    stages: dict[Stage, float]
    intervals: dict[str, tuple[float, float]]
    painted: float
    codecs: dict[str, float]

    @property
    def joint(self) -> float:
        """The bits/dim of the model."""
        return sum(self.stages.values())

    @property
    def sides(self) -> dict[str, float]:
        """The bits/dim of the model, as `joint`, and of every codec."""
        return {JOINT: self.joint, **self.codecs}

    def record(self) -> dict[str, object]:
        """Return the score for JSON."""
        return {**asdict(self), JOINT: self.joint}


def scores_of(
    parts: Mapping[Stage, Floats],
    batch: ImageBatch,
    families: Sequence[str],
    geometry: Geometry,
    *,
    codecs: bool = True,
) -> list[LikelihoodScore]:
    """Return one score per family of `batch`, and one over all images, from the shares of each image."""
    groups = {name: batch.families == i for i, name in enumerate(families)}
    groups[ALL] = np.ones(len(batch.images), bool)
    images = shown(batch.images, geometry)
    return [
        LikelihoodScore(
            family=name,
            count=int(chosen.sum()),
            stages={stage: float(share[chosen].mean()) for stage, share in parts.items()},
            intervals=intervals({stage: share[chosen] for stage, share in parts.items()}),
            painted=float((images[chosen] < 255).any(-1).mean()),  # noqa: PLR2004 - white
            codecs={c: bits_per_dim(images[chosen], e) for c, e in CODECS.items()} if codecs else {},
        )
        for name, chosen in groups.items()
        if chosen.any()
    ]


def shown(images: Bytes, geometry: Geometry) -> Bytes:
    """Return images with only the bits of the geometry, in full range."""
    return to_full_range(images >> np.uint8(BYTE - geometry.bits), geometry.bits)


def intervals(parts: Mapping[Stage, Floats]) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the mean over images, by stage and joint; resamples draw whole images for all stages."""
    shares = {**{stage.value: share for stage, share in parts.items()}, JOINT: sum(parts.values(), np.zeros(1))}
    count = len(shares[JOINT])
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _RESAMPLES) / count
    ends = {name: np.percentile(weights @ share, _LEVELS) for name, share in shares.items()}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def table(scores: Sequence[LikelihoodScore]) -> str:
    """Return the scores as a Markdown table, the joint with half the width of its interval."""
    names = [*scores[0].stages, JOINT, *scores[0].codecs]
    rows = []
    for s in scores:
        low, high = s.intervals[JOINT]
        stages = [f"{share:.3f}" for share in s.stages.values()]
        rows.append([s.family, str(s.count), *stages, f"{s.joint:.3f} ± {(high - low) / 2:.3f}", *_plain(s.codecs)])
    return markdown(["images", "n", *names], rows)


def painted_table(scores: Sequence[LikelihoodScore]) -> str:
    """Return all bits over the sub-pixels that are not white as Markdown: white costs almost nothing."""
    rows = [
        [s.family, f"{s.painted:.0%}", *_plain({side: bits / s.painted for side, bits in s.sides.items()})]
        for s in scores
    ]
    return markdown(["images", "painted", *scores[0].sides], rows)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(values: Mapping[str, float]) -> list[str]:
    return [f"{value:.3f}" for value in values.values()]
