"""Training within a budget of processor minutes; runs are saved and can be resumed.

A minute has as many updates as the network makes in a minute of the training thread, its `pace`, measured once. So a run is
the same on every machine, busy or not. Other processes prepare examples and are not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from research.evidence.contestants import Contestant, Part
from training.data.dataset import Dataset
from training.loop.minibatches import ExampleSource, Prefetcher
from training.loop.stopping import stop_on_signal
from training.loop.trainer import Trainer

RUNS: Final = Path("runs/evidence")
SAVE_EVERY: Final = 50
"""Updates from one checkpoint, and one point of the curve, to the next."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One contestant, one seed, and `minutes` of processor time in all."""

    contestant: Contestant
    seed: int
    minutes: float
    folder: Path = RUNS

    def path(self, part: Part) -> Path:
        """Return the checkpoint of a part."""
        return self.place / f"{part.stage}.pt"

    @property
    def label(self) -> str:
        """The name and the seed."""
        return f"{self.contestant.name}-{self.seed}"

    @property
    def place(self) -> Path:
        """The folder of this run."""
        return self.folder / f"{self.minutes:g}-minutes" / self.label

    def updates(self, part: Part) -> int:
        """Return the budget of a part."""
        return max(1, round(self.minutes * part.share * part.pace))

    @property
    def finished(self) -> bool:
        """Whether every part has made its updates."""
        return all(self.path(part).exists() and self.state(part)["step"] == self.updates(part) for part in self.parts)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the contestant."""
        return self.contestant.parts

    @property
    def steps(self) -> dict[str, int]:
        """The updates that each part has made."""
        return {part.stage.value: int(self.state(part)["step"]) for part in self.parts}

    def curve(self, points: int) -> list[float]:
        """Return the training bits/dim at `points` equal shares of the budget: each part is then at that share of its own."""
        shares = np.arange(1, points + 1) / points
        total = np.zeros(points)
        for part in self.parts:
            steps, bits = zip(*self.state(part)["curve"], strict=True)
            total += np.interp(shares * self.updates(part), steps, bits)
        return total.tolist()

    def state(self, part: Part) -> dict[str, Any]:
        """Return the saved state of a part. Raises ValueError if it was trained by another recipe."""
        path = self.path(part)
        state: dict[str, Any] = torch.load(path, weights_only=True)
        if state["recipe"] != asdict(part.recipe(self.seed)):
            msg = f"{path} was trained by another recipe, {state['recipe']}; remove its folder"
            raise ValueError(msg)
        return state

    def networks(self) -> nn.ModuleDict:
        """Return the networks of a finished run with averaged weights, by stage."""
        networks = nn.ModuleDict()
        for part in self.parts:
            network = part.make()
            network.load_state_dict(self.state(part)["average"])
            networks[part.stage] = network
        return networks.eval().requires_grad_(requires_grad=False)


def train(run: TrainingRun, data: Dataset) -> bool:
    """Train the rest of a run; return whether it reached its end without a signal to stop."""
    with stop_on_signal() as stopped:
        for part in run.parts:
            spend(run, part, data, stopped)
            if stopped():
                return False
    return True


def spend(run: TrainingRun, part: Part, data: Dataset, stopped: Callable[[], bool]) -> None:
    """Train one part until its budget is used, at the rates of the recipe."""
    torch.manual_seed(run.seed)
    recipe, budget, path = part.recipe(run.seed), run.updates(part), run.path(part)
    trainer, curve = Trainer(part.make(), recipe), list[tuple[int, float]]()
    if path.exists():
        state = run.state(part)
        trainer.resume(state)
        curve = state["curve"]
    source = ExampleSource(data=data, stage=part.stage, geometry=part.geometry, recipe=recipe)
    recent = list[float]()
    with Prefetcher(source, trainer.step) as prefetcher:
        for minibatches in islice(prefetcher, budget - trainer.step):
            recent.append(trainer.update(minibatches, recipe.rate(trainer.step / budget)))
            over = trainer.step == budget or stopped()
            if over or trainer.step % SAVE_EVERY == 0:
                curve.append((trainer.step, fmean(recent)))
                recent.clear()
                keep(trainer, path, curve)
                print(f"{run.label} {part.stage}: step {trainer.step} of {budget}, {curve[-1][1]:.3f}", flush=True)
            if over:
                break


def keep(trainer: Trainer, path: Path, curve: list[tuple[int, float]]) -> None:
    """Write a checkpoint atomically. `curve`: mean training bits/dim since the point before, by updates made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save({**trainer.state(), "recipe": asdict(trainer.recipe), "curve": curve}, partial)
    partial.replace(path)
