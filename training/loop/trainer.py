"""One network under training: its update, its averaged weights, and the state that a resumed run needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW, Optimizer

from training.loop.minibatches import Minibatch
from training.loop.muon import Muon
from training.loop.precision import fast
from training.loop.recipe import Recipe
from training.loop.slices import importance
from training.loop.trainable import Trainable
from training.scoring.bits import split, stage_share


class Trainer:
    """One network, its optimisers and its exponential moving average.

    - `parallel`: the processes of the current group average their gradients.
    - `compiled`: Inductor compiles the forward and the backward pass, which takes a minute at the start.
    """

    def __init__(self, network: Trainable, recipe: Recipe, *, parallel: bool = False, compiled: bool = False) -> None:
        self.network, self.recipe = network, recipe
        self.device = next(network.parameters()).device
        weights = importance(network.geometry, network.stage, recipe.early)
        self.importance = torch.from_numpy(weights).float().to(self.device)
        self.replicas = DistributedDataParallel(cast("nn.Module", network)) if parallel else None
        nats: Callable[..., Tensor] = self.replicas or network
        self.nats = cast("Callable[..., Tensor]", torch.compile(nats)) if compiled else nats
        self.optimizers = optimizers_of(network, recipe)
        self.average = {name: t.detach().clone() for name, t in network.state_dict().items()}
        self.step = 0

    def update(self, minibatches: Sequence[Minibatch], rate: float) -> float:
        """Make one step at the fraction `rate` of the peak rates, on the mean over `minibatches` of equal size.

        Return an unbiased estimate of the stage's share of bits/dim, from the minibatches of this process.
        """
        self._set_rates(rate * min(1.0, (self.step + 1) / self.recipe.warmup_steps))
        self.network.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for i, minibatch in enumerate(minibatches):
            with self._without_exchange(last=i == len(minibatches) - 1):
                nats = self._nats(minibatch) / len(minibatches)
                nats.mean().backward()  # type: ignore[no-untyped-call]
            total += (nats.detach() * self.importance[minibatch.k.to(self.device)]).mean()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self._update_average()
        return float(total) * stage_share(self.network.stage, self.network.geometry)

    def state(self) -> dict[str, Any]:
        """Return everything that `resume` needs to continue exactly."""
        return {
            "network": self.network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "average": self.average,
            "step": self.step,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from a `state`."""
        self.network.load_state_dict(state["network"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.average = {name: tensor.to(self.device) for name, tensor in state["average"].items()}
        self.step = state["step"]

    def _nats(self, minibatch: Minibatch) -> Tensor:
        """Return the mean nats per sub-pixel of each example of a minibatch: (B,)."""
        images, controls, k, *drift = (tensor.to(self.device, non_blocking=True) for tensor in minibatch)
        coarse, fine = split(images, self.network.geometry)
        narrow = fast(self.device) is torch.bfloat16
        with torch.autocast(self.device.type, torch.bfloat16, enabled=narrow):
            return self.nats(coarse, fine, k, controls, *(drift if self.recipe.drift else [])).flatten(1).mean(1)

    def _without_exchange(self, *, last: bool) -> AbstractContextManager[None]:
        """Return a context in which processes keep their gradients; they exchange them with the last minibatch."""
        if self.replicas is None or last:
            return nullcontext()
        return self.replicas.no_sync()

    def _set_rates(self, rate: float) -> None:
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = group["peak"] * rate

    def _update_average(self) -> None:
        halflife = min(self.recipe.ema_halflife_steps, 1 + self.step / 4)  # a young average forgets its start
        weight = 1 - 0.5 ** (1 / halflife)
        torch._foreach_lerp_(list(self.average.values()), list(self.network.state_dict().values()), weight)


def optimizers_of(network: Trainable, recipe: Recipe) -> list[Optimizer]:
    """Return Muon for the hidden matrices, and AdamW for embeddings, convolutions, biases, norms and the last layer.

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
