"""The search for peak rates, the same small grid for each contestant: held-out bits/dim after a short training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from research.evidence.contestants import Contestant
from research.evidence.likelihood import image_bits
from research.evidence.training_runs import TrainingRun, train
from training.data.dataset import Dataset
from training.data.symbols import ImageBatch
from training.scoring.scores import markdown

GRID: Final = ((1.0, 3.0), (1.0, 8.0), (3.0, 3.0), (3.0, 8.0))
"""Multiples of the peak rates of the recipe, of Muon and of AdamW."""


def row(contestant: Contestant, minutes: float, data: Dataset, held_out: ImageBatch) -> dict[str, Any] | None:
    """Return the bits/dim of a contestant at each point of the grid; None if training was stopped."""
    bits = {}
    for rates in GRID:
        label = "x".join(f"{each:g}" for each in rates)
        parts = tuple(replace(part, rates=rates) for part in contestant.parts)
        there = replace(contestant, name=f"{contestant.name}-{label}", parts=parts)
        run = TrainingRun(contestant=there, seed=0, minutes=minutes)
        if not train(run, data):
            return None
        bits[label] = round(float(image_bits(run, held_out).mean()), 4)
    return {"name": contestant.name, "title": contestant.title, "bits": bits}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as Markdown, the best point of each in bold."""
    lines = []
    for each in rows:
        best = min(each["bits"].values())
        lines.append([each["title"], *(f"**{b:.3f}**" if b == best else f"{b:.3f}" for b in each["bits"].values())])
    return markdown(["model", *(", ".join(f"{rate:g}" for rate in rates) for rates in GRID)], lines)
