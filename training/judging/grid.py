"""A grid of sampler settings: the same requests under each, to choose the defaults of a model."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from models.config import Control, Sampling, Temperatures
from models.pipeline import Pipeline
from training.data.vocabulary import LABEL, MONOGRAMS, TILE
from training.judging.judged_requests import judged_requests
from training.judging.keepers import ReferenceImages, is_keeper
from training.judging.observation import observe
from training.judging.proportions import Proportion
from training.judging.reader import Reader
from training.scoring.samples import ControlValues, samples
from training.scoring.scores import markdown

GUIDANCES: Final = (1.0, 1.5, 2.0, 3.0)
CANDIDATES: Final = (1, 4, 8)
TEMPERATURES: Final = (
    Temperatures(),
    Temperatures(base=0.8, size=0.4, depth=0.4),
    Temperatures(base=0.8, size=0.2, depth=0.2),
)
"""The grid is every combination; a model without guided networks or without a verifier has fewer points."""

CONCEPTS: Final = 5
"""One in this many concepts is drawn."""


@dataclass(frozen=True, kw_only=True)
class GridPoint:
    """One setting and the images drawn with it. `cpu_minutes`: processor time of drawing and judging all of them."""

    sampling: Sampling
    images: int
    letters: Proportion
    concepts: Proportion
    keepers: Proportion
    cpu_minutes: float


_POINTS: Final = TypeAdapter(list[GridPoint])


def grid_requests(controls: Sequence[Control], each: int, *, labels: Collection[str] = ()) -> list[ControlValues]:
    """Return `each` requests per letter and per fifth concept, or per label of `labels`, in all hues and on all tiles."""
    every = judged_requests(controls, each, labels=labels)
    requests = [one for one in every if {LABEL.name, TILE.name} <= set(one)]
    letters = [one for one in requests if one[LABEL.name] in MONOGRAMS]
    concepts = [one for one in requests if one[LABEL.name] not in MONOGRAMS]
    return [*letters, *(concepts if labels else concepts[::CONCEPTS])]


def settings(pipeline: Pipeline) -> list[Sampling]:
    """Return the settings of the grid that make a difference to a model."""
    guidances = GUIDANCES if pipeline.card.guided else GUIDANCES[:1]
    candidates = CANDIDATES if pipeline.verifier else CANDIDATES[:1]
    return [
        Sampling(temperature=temperature, guidance=guidance, candidates=count)
        for temperature in TEMPERATURES
        for guidance in guidances
        for count in candidates
    ]


def measure(
    pipeline: Pipeline,
    reader: Reader,
    bounds_of: ReferenceImages,
    requests: Sequence[ControlValues],
    sampling: Sampling,
) -> GridPoint:
    """Draw and judge all requests with one setting."""
    begun = time.process_time()
    images = samples(pipeline, requests, sampling=sampling)
    pairs = list(zip(requests, observe(reader, list(images)), strict=True))
    bounds = bounds_of.bounds()
    read = [(one[LABEL.name] in MONOGRAMS, seen.shows(LABEL.name, one[LABEL.name])) for one, seen in pairs]
    return GridPoint(
        sampling=sampling,
        images=len(images),
        letters=Proportion.of([right for is_letter, right in read if is_letter]),
        concepts=Proportion.of([right for is_letter, right in read if not is_letter]),
        keepers=Proportion.of([is_keeper(one, seen, bounds) for one, seen in pairs]),
        cpu_minutes=round((time.process_time() - begun) / 60, 2),
    )


def save_points(path: Path, points: Sequence[GridPoint], conditions: dict[str, Any]) -> None:
    """Write the measured points and the conditions that they share."""
    path.write_text(json.dumps({**conditions, "grid": [asdict(each) for each in points]}, indent=1) + "\n")


def saved_points(path: Path, conditions: dict[str, Any]) -> list[GridPoint]:
    """Return the points that an earlier call left in `path`, none without a file.

    Raises ValueError where the file has other conditions: its points cannot be compared with new ones.
    """
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    if {name: found.get(name) for name in conditions} != conditions:
        raise ValueError(f"{path} has points of another model, or of other requests; remove it, or name another file")
    return _POINTS.validate_python(found["grid"])


def table(points: Sequence[GridPoint]) -> str:
    """Return one line per setting, as Markdown."""
    head = ["guidance", "candidates", "base, size, depth", "letters read", "concepts read", "keepers", "CPU minutes"]
    return markdown(head, [_row(each) for each in points])


def _row(each: GridPoint) -> list[str]:
    heat = each.sampling.temperature
    return [
        f"{each.sampling.guidance:g}",
        str(each.sampling.candidates),
        f"{heat.base:g}, {heat.size:g}, {heat.depth:g}",
        *(str(share) if share.count else "" for share in (each.letters, each.concepts, each.keepers)),
        f"{each.cpu_minutes:.2f}",
    ]
