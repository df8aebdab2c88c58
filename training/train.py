"""Train one network of a model: `python -m training.train --preset symbols-32 --stage depth --minutes 30`.

Each picture gives one target slice, drawn uniformly; its nats times the number of slices of the stage estimate the
stage's share of bits/dim without bias, at constant memory (DESIGN section 2). The three networks share nothing, so each
is a run of its own, and they may run side by side. A run saves on the way out and goes on from there when called again.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim import AdamW, Muon, Optimizer
from tqdm import tqdm

from models.checkpoint import load_model
from models.config import ANY, Geometry, Stage
from models.network import Network
from training.data.symbols import Batch, Symbols
from training.presets import PRESETS


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train: rates per step, decays as fractions, `minutes` of wall time for this call."""

    batch: int = 16
    matrix_rate: float = 5e-3
    learning_rate: float = 3e-3
    final_rate: float = 0.02
    warmup_steps: int = 200
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_halflife_steps: int = 200
    drop_control: float = 0.1
    minutes: float = 10.0
    save_every_minutes: float = 2.0
    seed: int = 0


class Trainer:
    """One network, its optimiser and its exponential moving average; `state` is all that a resume needs."""

    def __init__(self, network: Network, recipe: Recipe) -> None:
        self.network, self.recipe = network, recipe
        self.optimizers = optimizers_of(network, recipe)
        self.average = {name: t.detach().clone() for name, t in network.state_dict().items()}
        self.step = 0

    def update(self, images: Tensor, controls: Tensor, k: Tensor, rate: float) -> float:
        """One step at the fraction `rate` of the peak rates, on images (B, H, W, C) uint8.

        Returns the stage's share of bits/dim on this batch.
        """
        rate *= min(1.0, (self.step + 1) / self.recipe.warmup_steps)
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = group["peak"] * rate
        geometry, device = self.network.geometry, images.device.type
        pixels = images.long()
        coarse, fine = pixels >> geometry.fine_bits, pixels & ((1 << geometry.fine_bits) - 1)
        # On a CPU plain attention trains faster than torch's fused one: 13.2 against 21.3 ms for 16 slices, both ways.
        kernels = [SDPBackend.MATH] if device == "cpu" else [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
        with sdpa_kernel(kernels), torch.autocast(device, torch.bfloat16):
            loss = self.network(coarse, fine, k, controls).mean()
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self._follow()
        return float(loss.detach()) * stage_share(self.network.stage, geometry)

    def _follow(self) -> None:
        halflife = min(self.recipe.ema_halflife_steps, 1 + self.step / 4)  # a young average forgets its start
        weight = 1 - 0.5 ** (1 / halflife)
        for name, tensor in self.network.state_dict().items():
            self.average[name].lerp_(tensor, weight)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on exactly here."""
        return {
            "network": self.network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "average": self.average,
            "step": self.step,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.network.load_state_dict(state["network"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.average, self.step = state["average"], state["step"]


def optimizers_of(network: Network, recipe: Recipe) -> list[Optimizer]:
    """Muon for the hidden matrices; AdamW for embeddings, convolutions, biases, norms and the last layer.

    Muon: Jordan et al. 2024, scaled to AdamW's update size as in arXiv:2502.16982. Why: docs/decisions/004-muon.md.
    """
    last = {f"decoder.head.{name}" for name, _ in network.decoder.head.named_parameters() if name.startswith("out.")}
    tables = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, nn.Embedding)}
    named = dict(network.named_parameters())
    hidden = {name for name, p in named.items() if p.ndim == 2} - last - tables  # noqa: PLR2004 - a matrix
    others = [p for name, p in named.items() if name not in hidden]
    muon = Muon(
        [named[name] for name in sorted(hidden)],
        lr=recipe.matrix_rate,
        weight_decay=recipe.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    adam = AdamW(others, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay)
    for group in (*muon.param_groups, *adam.param_groups):
        group["peak"] = group["lr"]
    return [muon, adam]


def stage_share(stage: Stage, geometry: Geometry) -> float:
    """What turns mean nats per sub-pixel of a stage's slice into its additive share of bits/dim."""
    slices = sum(step.stage is stage for step in geometry.steps)
    return slices / geometry.slices / math.log(2)


def draw_slices(rng: np.random.Generator, stage: Stage, geometry: Geometry, count: int) -> Tensor:
    """Uniform target slices of a stage, (count,) int64."""
    ks = [step.slice for step in geometry.steps if step.stage is stage]
    return torch.from_numpy(rng.choice(ks, count))


def drop_controls(rng: np.random.Generator, batch: Batch, chance: float) -> Tensor:
    """Controls (B, n) with each one set to "any" by chance, and all of them together by the same chance."""
    keep = (rng.random(batch.controls.shape) >= chance) & (rng.random((len(batch.controls), 1)) >= chance)
    return torch.from_numpy(np.where(keep, batch.controls, ANY))


def examples(data: Symbols, network: Network, recipe: Recipe, start: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Endless (images, controls, k), composed one batch ahead in a thread; a step always gets the same batch."""

    def make(step: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng([recipe.seed, step])
        batch = data.draw(rng, recipe.batch)
        k = draw_slices(rng, network.stage, network.geometry, recipe.batch)
        return torch.from_numpy(batch.images), drop_controls(rng, batch, recipe.drop_control), k

    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(make, start)
        while True:
            start += 1
            ready, ahead = ahead, pool.submit(make, start)
            yield ready.result()


def train(trainer: Trainer, data: Symbols, save: Path) -> None:
    """Run for the recipe's minutes, the rate falling along a cosine of this call's time; save to `save`."""
    recipe, begun = trainer.recipe, time.monotonic()
    saved, shown = begun, 0.0
    with tqdm(total=round(recipe.minutes * 60), unit="s", bar_format="{l_bar}{bar}| {remaining} left {postfix}") as bar:
        for images, controls, k in examples(data, trainer.network, recipe, trainer.step):
            done = (time.monotonic() - begun) / (recipe.minutes * 60)
            if done >= 1:
                break
            low = recipe.final_rate
            rate = low + (1 - low) * (1 + math.cos(math.pi * done)) / 2
            bits = trainer.update(images, controls, k, rate)
            shown = bits if not shown else shown + 0.02 * (bits - shown)
            bar.n = round(time.monotonic() - begun)
            bar.set_postfix_str(f"{trainer.network.stage} {shown:.4f} bits/dim, step {trainer.step}")
            if time.monotonic() - saved > recipe.save_every_minutes * 60:
                save_state(trainer, save)
                saved = time.monotonic()
    save_state(trainer, save)


def warm_start(network: Network, weights: dict[str, Tensor]) -> tuple[int, list[str]]:
    """Take over every tensor of `weights` that fits; how many that were, and the names of those that begin anew.

    Between picture sizes only the embedder's first layer and its meta-positions differ.
    """
    own = network.state_dict()
    fitting = {name: t for name, t in weights.items() if name in own and t.shape == own[name].shape}
    network.load_state_dict({**own, **fitting})
    return len(fitting), sorted(own.keys() - fitting.keys())


def save_state(trainer: Trainer, path: Path) -> None:
    """Write atomically: a kill leaves the old or the new checkpoint, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(trainer.state(), partial)
    partial.replace(path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train one network of a model.")
    parser.add_argument("--preset", choices=PRESETS, default="symbols-32")
    parser.add_argument("--stage", type=Stage, choices=list(Stage), required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--batch", type=int, default=Recipe.batch)
    parser.add_argument("--matrix-rate", type=float, default=Recipe.matrix_rate, help="peak rate of Muon")
    parser.add_argument("--learning-rate", type=float, default=Recipe.learning_rate, help="peak rate of AdamW")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of checkpoints")
    parser.add_argument("--warm-start", type=Path, help="folder of a shipped model to begin from")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = Symbols.load(size=PRESETS[args.preset](()).geometry.size)
    torch.manual_seed(0)
    network = Network(PRESETS[args.preset](data.controls), args.stage)
    if args.warm_start:
        fitted, left = warm_start(network, load_model(args.warm_start)[0][args.stage].state_dict())
        print(f"warm start: {fitted} tensors from {args.warm_start.name}; begun anew: {', '.join(left) or 'none'}")
    rates = {"matrix_rate": args.matrix_rate, "learning_rate": args.learning_rate}
    recipe = Recipe(batch=args.batch, minutes=args.minutes, **rates)
    trainer, path = Trainer(network, recipe), args.runs / args.preset / f"{args.stage}.pt"
    if path.exists():
        trainer.resume(torch.load(path, weights_only=True))
    train(trainer, data, path)


if __name__ == "__main__":
    main()
