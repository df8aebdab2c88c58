"""Training speed: slices per second of each network with its step compiled, on random images, until the time is over."""

from __future__ import annotations

import time

import torch

from benchmarks.gpu.section import loaded, options, report, synchronise
from models.network import Network
from training.loop.minibatches import Minibatch
from training.loop.recipe import Recipe
from training.loop.trainer import Trainer

SECONDS, BATCH = 60.0, 256
"""Of each network, after the first updates, which compile; slices of an update."""


def minibatch(network: Network, controls: int, batch: int) -> Minibatch:
    """Return random images, without controls, and slices of the network's stage."""
    geometry = network.geometry
    images = torch.randint(256, (batch, geometry.size, geometry.size, geometry.channels), dtype=torch.uint8)
    slices = torch.tensor([step.slice for step in geometry.steps if step.stage is network.stage])
    targets = slices[torch.randint(len(slices), (batch,))]
    no_drift = torch.zeros(batch, geometry.positions, geometry.channels, dtype=torch.long)
    return Minibatch(images, torch.zeros(batch, controls, dtype=torch.long), targets, no_drift)


def slices_per_second(trainer: Trainer, examples: Minibatch, seconds: float) -> float:
    """Return the speed of updates on `examples`."""
    for _ in range(3):
        trainer.update([examples], 1.0)
    synchronise(str(trainer.device))
    started, updates = time.perf_counter(), 0
    while not updates or time.perf_counter() - started < seconds:
        trainer.update([examples], 1.0)
        updates += 1
    synchronise(str(trainer.device))
    return updates * len(examples.k) / (time.perf_counter() - started)


def main() -> None:
    """Report each network, the depth network first: most slices are its."""
    chosen = options()
    on_cuda = torch.device(chosen.device).type == "cuda"
    networks, card = loaded(chosen)
    batch, seconds = (BATCH, SECONDS) if on_cuda else (2, 0.0)
    for stage in reversed(card.config.geometry.stages):
        network: Network = networks[stage]  # type: ignore[assignment]
        trainer = Trainer(network.train().requires_grad_(), Recipe(batch=batch), compiled=on_cuda)
        examples = minibatch(network, len(card.config.controls), batch)
        report(stage=stage, batch=batch, slices_per_second=slices_per_second(trainer, examples, seconds))


if __name__ == "__main__":
    main()
