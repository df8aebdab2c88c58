"""Causal attention over whole slices for training on a processor: exact, in blocks that stay in its cache.

torch has two kernels for this. The plain one reads and writes every score several times, half of them masked. The fused one
computes every score twice. A block of queries skips most masked scores, and finds its own still in the cache
(docs/training.md).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

QUERIES = 64
"""Queries of a block: it attends to the keys up to its last query."""

SCORES = 1 << 18
"""Most scores of a block: 1 MiB in float32, half of a server core's second cache level."""


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(q k^T / sqrt(d)) v over the keys up to each query's position; (B, heads, N, d) each."""
    if q.device.type == "cpu" and q.requires_grad:
        out: Tensor = BlockedAttention.apply(*(t.flatten(0, 1) for t in (q, k, v)))  # type: ignore[no-untyped-call]
        return out.view_as(v)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


class BlockedAttention(torch.autograd.Function):
    """Attention of (H, N, d) tensors, H being batch and heads; the attention weights are kept for the backward pass."""

    @staticmethod
    def forward(ctx: FunctionCtx, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return (H, N, d): softmax in at least float32, products in the dtype of the inputs."""
        out, kept = torch.empty_like(v), []
        for heads, rows, seen in blocks(q):
            scores = torch.bmm(q[heads, rows], k[heads, seen].mT) * q.shape[-1] ** -0.5
            scores[:, :, rows].add_(hidden(rows, scores))
            weights = torch.softmax(scores, -1, dtype=wide(q.dtype)).to(q.dtype)
            out[heads, rows] = torch.bmm(weights, v[heads, seen])
            kept.append(weights)
        ctx.save_for_backward(q, k, v, *kept)
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of q, k and v; dS = P * (dP - sum(dP * P))."""
        q, k, v, *kept = ctx.saved_tensors  # type: ignore[attr-defined]
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for (heads, rows, seen), weights in zip(blocks(q), kept, strict=True):
            outer = gradient[heads, rows]
            dv[heads, seen].baddbmm_(weights.mT, outer)
            change = torch.bmm(outer, v[heads, seen].mT)
            scores = torch._softmax_backward_data(change, weights, -1, change.dtype)  # noqa: SLF001 - autograd's own rule
            scores *= q.shape[-1] ** -0.5
            dq[heads, rows] = torch.bmm(scores, k[heads, seen])
            dk[heads, seen].baddbmm_(scores.mT, q[heads, rows])
        return dq, dk, dv


def blocks(q: Tensor) -> Iterator[tuple[slice, slice, slice]]:
    """Yield slices of heads, of their queries, and of the keys that those may see."""
    count, positions, _ = q.shape
    heads = max(1, SCORES // (QUERIES * positions))
    for first in range(0, count, heads):
        for row in range(0, positions, QUERIES):
            end = min(row + QUERIES, positions)
            yield slice(first, first + heads), slice(row, end), slice(0, end)


def hidden(rows: slice, like: Tensor) -> Tensor:
    """Return (rows, rows): minus infinity where a block's query lies before the key, else 0."""
    side = rows.stop - rows.start
    return like.new_full((side, side), -torch.inf).triu(1)


def wide(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of a softmax: at least float32."""
    return torch.promote_types(dtype, torch.float32)
