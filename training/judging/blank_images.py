"""How many images are blank at each temperature of the base network.

Whole images are drawn, since a base slice does not decide. In the coarse bits of every fourth pixel a gradient has steps, and
steps look like a glyph (docs/quality.md, Blank images).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from models.config import Sampling
from models.pipeline import Pipeline
from training.judging.glyph_recovery import recover
from training.judging.looks import tile_of
from training.judging.proportions import Proportion
from training.scoring.samples import ControlValues, samples
from training.scoring.scores import markdown

BASE_TEMPERATURES: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)


@dataclass(frozen=True, kw_only=True)
class BlankCount:
    """Blank images at one base temperature."""

    temperature: float
    blank: Proportion


def count_blank(
    pipeline: Pipeline, requests: Sequence[ControlValues], sampling: Sampling, temperature: float
) -> BlankCount:
    """Draw all requests at a base temperature, and count the images that are blank by the rule of the judge."""
    sampling = replace(sampling, temperature=replace(sampling.temperature, base=temperature))
    images = samples(pipeline, requests, sampling=sampling)
    blank = Proportion.of([recover(image, tile_of(image)).blank for image in images])
    return BlankCount(temperature=temperature, blank=blank)


def table(counts: Sequence[BlankCount]) -> str:
    """Return one line per temperature, as Markdown."""
    rows = [[f"{c.temperature:g}", str(c.blank.count), str(c.blank.right), str(c.blank)] for c in counts]
    return markdown(["base temperature", "images", "blank", "share (95 %)"], rows)
