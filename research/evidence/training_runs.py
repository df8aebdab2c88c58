"""Training within a budget of processor time, which is fair on a busy machine; runs are saved and can be resumed.

The budget counts the training thread, the only one of torch. Other processes prepare examples and are not counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
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
SAVE_EVERY_SECONDS: Final = 30.0


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

    def seconds(self, part: Part) -> float:
        """Return the budget of a part."""
        return self.minutes * 60 * part.share

    @property
    def finished(self) -> bool:
        """Whether every part has used its budget."""
        return all(self.path(p).exists() and self.state(p)["spent_seconds"] >= self.seconds(p) for p in self.parts)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the contestant."""
        return self.contestant.parts

    @property
    def steps(self) -> dict[str, int]:
        """The updates of each part."""
        return {part.stage.value: int(self.state(part)["step"]) for part in self.parts}

    @property
    def spent_seconds(self) -> float:
        """The processor time of all parts."""
        return sum(float(self.state(part)["spent_seconds"]) for part in self.parts)

    def curve(self, points: int) -> list[float]:
        """Return the training bits/dim at `points` equal shares of the budget: each part is then at that share of its own."""
        shares = np.arange(1, points + 1) / points
        total = np.zeros(points)
        for part in self.parts:
            seconds, bits = zip(*self.state(part)["curve"], strict=True)
            total += np.interp(shares * self.seconds(part), seconds, bits)
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
    recipe, budget, path = part.recipe(run.seed), run.seconds(part), run.path(part)
    trainer, spent, curve = Trainer(part.make(), recipe), 0.0, list[tuple[float, float]]()
    if path.exists():
        state = run.state(part)
        trainer.resume(state)
        spent, curve = state["spent_seconds"], state["curve"]
    source = ExampleSource(data=data, stage=part.stage, geometry=part.geometry, recipe=recipe)
    recent, saved = list[float](), spent
    with Prefetcher(source, trainer.step) as prefetcher:
        begun = time.thread_time() - spent
        for minibatches in prefetcher:
            spent = time.thread_time() - begun
            if spent >= budget or stopped():
                break
            recent.append(trainer.update(minibatches, recipe.rate(spent / budget)))
            if spent - saved > SAVE_EVERY_SECONDS:
                saved = spent
                curve.append((spent, fmean(recent)))
                recent.clear()
                keep(trainer, path, spent, curve)
                print(f"{run.label} {part.stage}: {spent:.0f} s, step {trainer.step}, {curve[-1][1]:.3f}", flush=True)
    if recent:
        curve.append((spent, fmean(recent)))
    keep(trainer, path, spent, curve)


def keep(trainer: Trainer, path: Path, spent_seconds: float, curve: list[tuple[float, float]]) -> None:
    """Write a checkpoint atomically. `curve`: mean training bits/dim since the point before, by seconds spent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    record = {"recipe": asdict(trainer.recipe), "spent_seconds": spent_seconds, "curve": curve}
    torch.save({**trainer.state(), **record}, partial)
    partial.replace(path)
