"""Attention in blocks is attention: the same result, the same gradients, nothing from the future."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models import attention
from models.attention import causal_attention


def inputs(positions: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(positions)
    shape = (3, 2, positions, 8)
    q, k, v = (torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for _ in range(3))
    return q, k, v


@pytest.mark.parametrize("positions", [1, 63, 64, 100, 256])
def test_blocks_are_torchs_attention(monkeypatch: pytest.MonkeyPatch, positions: int) -> None:
    """Forth and back, also where neither queries nor heads come out even."""
    monkeypatch.setattr(attention, "SCORES", 4 * attention.QUERIES * positions)
    given = inputs(positions)
    mine, own = causal_attention(*given), F.scaled_dot_product_attention(*given, is_causal=True)
    gradient = torch.randn_like(own)
    assert torch.allclose(mine, own, atol=1e-12)
    for a, b in zip(torch.autograd.grad(mine, given, gradient), torch.autograd.grad(own, given, gradient), strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_it_takes_bfloat16() -> None:
    """With softmax in float32, so that the error stays that of the products."""
    given = inputs(128, torch.bfloat16)
    q, k, v = (t.double() for t in given)
    exact = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    out = causal_attention(*given)
    assert out.dtype is torch.bfloat16
    assert (out.double() - exact).abs().max() < 0.05
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(out.float().sum(), given))
