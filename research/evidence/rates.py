"""The search for peak rates, the same small grid for each contestant: held-out bits/dim after a short training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from research.evidence.contestants import DECAY_SHARE, Contestant
from research.evidence.likelihood import DIGITS, image_bits
from research.evidence.training_runs import TrainingRun, train
from training.data.dataset import Dataset
from training.data.symbols import ImageBatch
from training.scoring.scores import markdown

GRID: Final = ((1.0, 3.0), (1.0, 8.0), (3.0, 3.0), (3.0, 8.0))
"""Multiples of the peak rates of the recipe, of Muon and of AdamW."""


@dataclass(frozen=True, kw_only=True)
class RatesRow:
    """One contestant: bits/dim at each point of the grid, after `updates` in all, the last `decay_share` at falling rates.

    `updates` is None where it was not kept.
    """

    name: str
    bits: tuple[float, ...]
    decay_share: float
    updates: int | None


def row(contestant: Contestant, minutes: float, data: Dataset, held_out: ImageBatch, folder: Path) -> RatesRow | None:
    """Return the row of a contestant; None if training was stopped."""
    bits, updates = [], 0
    for rates in GRID:
        label = "x".join(f"{each:g}" for each in rates)
        parts = tuple(replace(part, rates=rates) for part in contestant.parts)
        there = replace(contestant, name=f"{contestant.name}-{label}", parts=parts)
        run = TrainingRun(contestant=there, seed=0, minutes=minutes, folder=folder)
        if not train(run, data):
            return None
        bits.append(round(float(image_bits(run, held_out).mean()), DIGITS))
        updates = sum(run.steps.values())
    return RatesRow(name=contestant.name, bits=tuple(bits), decay_share=DECAY_SHARE, updates=updates)


def table(rows: Sequence[RatesRow], compared: Sequence[Contestant]) -> str:
    """Return the rows as Markdown, the best point of each in bold."""
    titles = {each.name: each.title for each in compared}
    lines = [
        [
            titles[row.name],
            *(f"**{b:.3f}**" if b == min(row.bits) else f"{b:.3f}" for b in row.bits),
            "falling" if row.decay_share else "constant",
        ]
        for row in sorted(rows, key=lambda row: [*titles].index(row.name))
    ]
    return markdown(["model", *(", ".join(f"{rate:g}" for rate in rates) for rates in GRID), "rates"], lines)
