"""The same requests under several settings of the sampler: which defaults a model should have."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.config import Sampling, Temperatures
from models.pipeline import Pipeline
from training.data.vocabulary import LABEL, MONOGRAMS, TILE
from training.judging.judged_requests import requests
from training.judging.keepers import ReferenceImages, is_keeper
from training.judging.observation import observe
from training.judging.proportions import Proportion
from training.judging.reader import Reader
from training.scoring.samples import ControlValues, samples
from training.scoring.scores import markdown

GUIDANCES: Final = (1.0, 1.5, 2.0, 3.0)
CANDIDATES: Final = (1, 4)
TEMPERATURES: Final = (Temperatures(), Temperatures(size=0.7, depth=0.8))
"""Each with each, as far as the model has guided networks and a verifier."""

CONCEPTS: Final = 5
"""One in so many concepts is drawn."""


@dataclass(frozen=True, kw_only=True)
class GridPoint:
    """One setting, and what images drawn so are like."""

    sampling: Sampling
    letters: Proportion
    concepts: Proportion
    keepers: Proportion
    seconds: float
    """Per image."""


def grid(pipeline: Pipeline, reader: Reader, real: ReferenceImages, *, each: int) -> list[GridPoint]:
    """Judge every setting by `each` images per letter, and per some of the concepts, in all hues and on all tiles."""
    asked = [one for one in requests(pipeline.card.config.controls, each) if {LABEL.name, TILE.name} <= set(one)]
    letters = [one for one in asked if one[LABEL.name] in MONOGRAMS]
    concepts = [one for one in asked if one[LABEL.name] not in MONOGRAMS][::CONCEPTS]
    return [point(pipeline, reader, real, [*letters, *concepts], sampling) for sampling in settings(pipeline)]


def point(
    pipeline: Pipeline, reader: Reader, real: ReferenceImages, asked: Sequence[ControlValues], sampling: Sampling
) -> GridPoint:
    """Draw and judge under one setting."""
    begun = time.perf_counter()
    pictures = samples(pipeline, asked, sampling=sampling)
    seconds = (time.perf_counter() - begun) / len(pictures)
    pairs = list(zip(asked, observe(reader, list(pictures)), strict=True))
    bounds = real.bounds()
    read = [(wish[LABEL.name] in MONOGRAMS, seen.shows(LABEL.name, wish[LABEL.name])) for wish, seen in pairs]
    return GridPoint(
        sampling=sampling,
        letters=Proportion.of([hit for letter, hit in read if letter]),
        concepts=Proportion.of([hit for letter, hit in read if not letter]),
        keepers=Proportion.of([is_keeper(wish, seen, bounds) for wish, seen in pairs]),
        seconds=seconds,
    )


def settings(pipeline: Pipeline) -> list[Sampling]:
    """The settings that make a difference to a model."""
    guidances = GUIDANCES if pipeline.card.guided else GUIDANCES[:1]
    candidates = CANDIDATES if pipeline.verifier else CANDIDATES[:1]
    return [
        Sampling(temperature=temperature, guidance=guidance, candidates=count)
        for temperature in TEMPERATURES
        for guidance in guidances
        for count in candidates
    ]


def table(points: Sequence[GridPoint]) -> str:
    """One line per setting, as Markdown."""
    head = ["guidance", "candidates", "base, size, depth", "letters read", "concepts read", "keepers", "s an image"]
    return markdown(head, [_row(each) for each in points])


def _row(each: GridPoint) -> list[str]:
    heat = each.sampling.temperature
    return [
        f"{each.sampling.guidance:g}",
        str(each.sampling.candidates),
        f"{heat.base:g}, {heat.size:g}, {heat.depth:g}",
        *(str(share) if share.count else "" for share in (each.letters, each.concepts, each.keepers)),
        f"{each.seconds:.2f}",
    ]
