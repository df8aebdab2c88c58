"""The pace of training: processor seconds of an update, all networks in turn, on one core and otherwise in quiet.

Budgets are processor minutes at these paces (`Part.pace`), so a run has the same updates on every machine, and runs can be
split among several.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from research.evidence.contestants import Contestant, Part
from training.data.dataset import Dataset
from training.loop.minibatches import ExampleSource
from training.loop.trainer import Trainer
from training.scoring.scores import markdown

REPEATS: Final = 15


@dataclass(frozen=True, kw_only=True)
class PaceRow:
    """One network of a contestant: updates in a minute of processor time, from the median of `REPEATS` updates."""

    name: str
    stage: str
    pace: float


def rows_of(compared: Sequence[Contestant], data: Dataset) -> list[PaceRow]:
    """Measure the pace of every part, after one update each."""
    actions = {(each.name, part.stage.value): update(part, data) for each in compared for part in each.parts}
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in actions}
    for _ in range(REPEATS + 1):
        for key, action in actions.items():
            begun = time.thread_time()
            action()
            seconds[key].append(time.thread_time() - begun)
    return [
        PaceRow(name=name, stage=stage, pace=round(60 / statistics.median(times[1:]), 1))
        for (name, stage), times in seconds.items()
    ]


def update(part: Part, data: Dataset) -> Callable[[], object]:
    """Return an action that makes one update of a new network."""
    recipe = part.recipe(seed=0)
    trainer = Trainer(part.make(), recipe)
    minibatch = ExampleSource(data=data, stage=part.stage, geometry=part.geometry, recipe=recipe).minibatch(0, 0)
    return lambda: trainer.update([minibatch], 1.0)


def table(rows: Sequence[PaceRow], compared: Sequence[Contestant]) -> str:
    """Return the paces as Markdown, those of a contestant's parts in a line."""
    found = {each.name: " + ".join(f"{row.pace:g}" for row in rows if row.name == each.name) for each in compared}
    return markdown(["model", "updates a minute"], [[each.title, found[each.name]] for each in compared])
