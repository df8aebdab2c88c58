"""Runs on disk: saved whole or not at all, taken up again, or begun from a shipped model's weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from models.network import Network
from training.trainer import Trainer


def save_state(trainer: Trainer, path: Path) -> None:
    """Write atomically: a kill leaves the old or the new checkpoint, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(trainer.state(), partial)
    partial.replace(path)


def take_up(trainer: Trainer, path: Path) -> None:
    """Go on from `path`, if it is there."""
    if path.exists():
        trainer.resume(torch.load(path, weights_only=True, map_location=trainer.device))


def warm_start(network: Network, weights: dict[str, Tensor]) -> tuple[int, list[str]]:
    """Take over every tensor of `weights` that fits; how many that were, and the names of those that begin anew.

    Between picture sizes only the embedder's first layer and its meta-positions differ.
    """
    own = network.state_dict()
    fitting = {name: t for name, t in weights.items() if name in own and t.shape == own[name].shape}
    network.load_state_dict({**own, **fitting})
    return len(fitting), sorted(own.keys() - fitting.keys())
