"""How many images are blank at each temperature of the base network: whether a lower or a higher one is safe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from models.config import Sampling
from models.pipeline import ImageState, Pipeline
from models.subscale import Bytes
from training.judging.glyph_recovery import EMPTY, FAINT, recover
from training.judging.looks import tile_of
from training.judging.proportions import Proportion
from training.scoring.samples import ControlValues, finish, grouped, unstarted
from training.scoring.scores import markdown

BASE_TEMPERATURES: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)

_MARGIN: Final = 3.0
"""A base slice decides alone where its glyph has this many times the contrast and the ink of a blank image."""


@dataclass(frozen=True, kw_only=True)
class BlankCount:
    """Blank images at one base temperature. `completed`: images that were drawn to the end to decide."""

    temperature: float
    blank: Proportion
    completed: int


def count_blank(
    pipeline: Pipeline, requests: Sequence[ControlValues], sampling: Sampling, temperature: float
) -> BlankCount:
    """Draw the base slice of every request, and the whole image where the base slice has no clear glyph.

    The pixels of a base slice stay in the image, so an image with a clear glyph there is not blank. All others are judged
    by the rule of the judge on the whole image.
    """
    sampling = replace(sampling, temperature=replace(sampling.temperature, base=temperature))
    states = unstarted(pipeline, requests, sampling=sampling)
    begun = [state for group in grouped(states, pipeline.capacity) for state in pipeline.advance(group)]
    doubtful = [state for state in begun if not has_clear_glyph(state.progress.picture())]
    return BlankCount(
        temperature=temperature,
        blank=Proportion(right=sum(_blank_in_the_end(pipeline, doubtful)), count=len(states)),
        completed=len(doubtful),
    )


def has_clear_glyph(image: Bytes) -> bool:
    """Return whether an image, perhaps enlarged from its base slice, is far from blank."""
    glyph = recover(image, tile_of(image))
    return glyph.contrast >= _MARGIN * FAINT and float(glyph.coverage.mean()) >= _MARGIN * EMPTY


def table(counts: Sequence[BlankCount]) -> str:
    """Return one line per temperature, as Markdown."""
    rows = [
        [f"{c.temperature:g}", str(c.blank.count), str(c.blank.right), str(c.blank), str(c.completed)] for c in counts
    ]
    return markdown(["base temperature", "images", "blank", "share (95 %)", "drawn to the end"], rows)


def _blank_in_the_end(pipeline: Pipeline, states: Sequence[ImageState]) -> list[bool]:
    images = [
        state.progress.picture() for group in grouped(states, pipeline.capacity) for state in finish(pipeline, group)
    ]
    return [recover(image, tile_of(image)).blank for image in images]
