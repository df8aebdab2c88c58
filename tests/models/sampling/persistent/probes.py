"""Kernels that run one function of the persistent kernel each."""

import triton
import triton.language as tl

from models.sampling.persistent.kernel import attention, guided, slice_forecast


@triton.jit
def attend(
    q, keys, contents, found, positions, N: tl.constexpr, M: tl.constexpr, DEPTH: tl.constexpr, KEYS: tl.constexpr
):
    """Write the attention of queries (M, DEPTH) over caches (M, N, DEPTH), each up to its own of `positions`, (M,)."""
    token, column = tl.arange(0, M)[:, None], tl.arange(0, DEPTH)[None, :]
    cache = token * N * DEPTH
    query = tl.load(q + token * DEPTH + column)
    result = attention(query, keys + cache, contents + cache, tl.load(positions + tl.arange(0, M)), M, DEPTH, KEYS)
    tl.store(found + token * DEPTH + column, result)


@triton.jit
def guide(logits, guidance, found, M: tl.constexpr, V: tl.constexpr):
    """Write the guided logits (M, V) of M / 2 rows with both lanes side by side; guidance (M,)."""
    token = tl.arange(0, M)
    cells = token[:, None] * V + tl.arange(0, V)[None, :]
    tl.store(found + cells, guided(tl.load(logits + cells), tl.load(guidance + token), M, V))


@triton.jit
def forecast(left, above, above_left, above_right, found, WHICH: tl.constexpr, M: tl.constexpr):
    """Write one forecast of M tokens."""
    token = tl.arange(0, M)
    sides = tl.load(above_left + token), tl.load(above_right + token)
    result = slice_forecast(tl.load(left + token), tl.load(above + token), sides[0], sides[1], WHICH)
    tl.store(found + token, result)
