"""One network under training: its update, its averaged weights, and the state that a resume needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW, Optimizer

from models.network import Network
from research.baselines.baseline import Baseline
from training.loop.minibatches import Minibatch
from training.loop.muon import Muon
from training.loop.precision import fast
from training.loop.recipe import Recipe
from training.loop.slices import importance
from training.scoring.bits import split, stage_share

Learner = Network | Baseline
"""What can be trained: nats of each sub-pixel of a slice, and a head whose last layers are `out`."""


class Trainer:
    """One network, its optimisers and its exponential moving average.

    `parallel`: gradients are averaged over the processes of the current group. `compiled`: the pass forth and back is
    compiled by Inductor, at the price of a minute at the start.
    """

    def __init__(self, network: Learner, recipe: Recipe, *, parallel: bool = False, compiled: bool = False) -> None:
        self.network, self.recipe = network, recipe
        self.device = next(network.parameters()).device
        self.importance = (
            torch.from_numpy(importance(network.geometry, network.stage, recipe.early)).float().to(self.device)
        )
        self.replicas = DistributedDataParallel(network) if parallel else None
        nats: nn.Module = self.replicas or network
        self.nats = cast("Callable[..., Tensor]", torch.compile(nats) if compiled else nats)
        self.optimizers = optimizers_of(network, recipe)
        self.average = {name: t.detach().clone() for name, t in network.state_dict().items()}
        self.step = 0

    def update(self, lots: Sequence[Minibatch], rate: float) -> float:
        """One step at the fraction `rate` of the peak rates, on the mean over `lots`, which are of one size.

        Returns an unbiased estimate of the stage's share of bits/dim, from this process's lots.
        """
        self._set_rates(rate * min(1.0, (self.step + 1) / self.recipe.warmup_steps))
        self.network.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for i, lot in enumerate(lots):
            with self._alone(last=i == len(lots) - 1):
                nats = self._nats(lot) / len(lots)
                nats.mean().backward()  # type: ignore[no-untyped-call]
            total += (nats.detach() * self.importance[lot.k.to(self.device)]).mean()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self._follow()
        return float(total) * stage_share(self.network.stage, self.network.geometry)

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
        self.average = {name: tensor.to(self.device) for name, tensor in state["average"].items()}
        self.step = state["step"]

    def _nats(self, lot: Minibatch) -> Tensor:
        """Return the mean nats per sub-pixel of each example of a minibatch: (B,)."""
        images, controls, k = (tensor.to(self.device, non_blocking=True) for tensor in lot)
        coarse, fine = split(images, self.network.geometry)
        narrow = fast(self.device) is torch.bfloat16
        with torch.autocast(self.device.type, torch.bfloat16, enabled=narrow):
            return self.nats(coarse, fine, k, controls).flatten(1).mean(1)

    def _alone(self, *, last: bool) -> AbstractContextManager[None]:
        """Processes exchange gradients once per update, with the last lot."""
        if self.replicas is None or last:
            return nullcontext()
        return self.replicas.no_sync()

    def _set_rates(self, rate: float) -> None:
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = group["peak"] * rate

    def _follow(self) -> None:
        halflife = min(self.recipe.ema_halflife_steps, 1 + self.step / 4)  # a young average forgets its start
        weight = 1 - 0.5 ** (1 / halflife)
        torch._foreach_lerp_(list(self.average.values()), list(self.network.state_dict().values()), weight)


def optimizers_of(network: Learner, recipe: Recipe) -> list[Optimizer]:
    """Muon for the hidden matrices; AdamW for embeddings, convolutions, biases, norms and the last layer.

    Why: docs/decisions/004-muon.md.
    """
    last = {name for name, _ in network.named_parameters() if "head.out." in name}
    tables = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, nn.Embedding)}
    named = dict(network.named_parameters())
    hidden = {name for name, p in named.items() if p.ndim == 2} - last - tables  # noqa: PLR2004 - a matrix
    others = [p for name, p in named.items() if name not in hidden]
    muon = Muon([named[name] for name in sorted(hidden)], lr=recipe.matrix_rate, weight_decay=recipe.weight_decay)
    adam = AdamW(others, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay, fused=True)
    for group in (*muon.param_groups, *adam.param_groups):
        group["peak"] = group["lr"]
    return [muon, adam]
