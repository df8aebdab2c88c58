"""Muon (Jordan et al. 2024): momentum whose matrix is made orthogonal before it is applied.

Like `torch.optim.Muon`, but in the number format that the device multiplies fastest. torch always uses bfloat16, which was
0.81 of the 1.5 s of a training step on a processor without instructions for it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from training.loop.precision import fast

MOMENTUM = 0.95
QUINTIC = (3.4445, -4.7750, 2.0315)
"""Of the published Newton-Schulz iteration: steep at zero, singular values end between 0.5 and 1.5."""
ITERATIONS = 5


class Muon(Optimizer):
    """For matrices alone; Nesterov's momentum, updates as long as AdamW's (arXiv:2502.16982), decoupled weight decay."""

    def __init__(self, params: Iterable[Tensor], *, lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient; matrices of one shape are made orthogonal together."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes[matrix.shape].append(matrix)
            for matrices in shapes.values():
                self._step(matrices, rate=group["lr"], decay=group["weight_decay"])

    def _step(self, matrices: list[Tensor], *, rate: float, decay: float) -> None:
        updates = orthogonal(torch.stack([self._follow(matrix) for matrix in matrices]))
        for matrix, update in zip(matrices, updates, strict=True):
            matrix.mul_(1 - rate * decay)
            matrix.add_(update, alpha=-rate * 0.2 * math.sqrt(max(matrix.shape)))

    def _follow(self, matrix: Tensor) -> Tensor:
        """Add the gradient to the momentum; return Nesterov's look-ahead."""
        state = self.state[matrix]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        momentum: Tensor = state["momentum_buffer"]
        gradient = matrix.grad
        assert gradient is not None  # noqa: S101 - as `step` chose
        momentum.lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(momentum, MOMENTUM)


def orthogonal(matrices: Tensor) -> Tensor:
    """Return roughly the nearest orthogonal matrices: same singular vectors, singular values near 1. (n, a, b) -> (n, a, b)."""
    if matrices.shape[-2] > matrices.shape[-1]:
        return orthogonal(matrices.mT).mT
    a, b, c = QUINTIC
    x = matrices.to(fast(matrices.device))
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x
