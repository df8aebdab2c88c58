"""The dtype of products is what this device multiplies faster."""

import pytest
import torch

from training import precision


@pytest.mark.parametrize("faster", [torch.bfloat16, torch.float32])
def test_the_faster_dtype_is_taken(monkeypatch: pytest.MonkeyPatch, faster: torch.dtype) -> None:
    monkeypatch.setattr(precision, "seconds", lambda dtype: 1.0 if dtype is faster else 2.0)
    precision.fast.cache_clear()
    assert precision.fast(torch.device("cpu")) is faster
    precision.fast.cache_clear()


def test_a_gpu_multiplies_bfloat16() -> None:
    assert precision.fast(torch.device("cuda")) is torch.bfloat16
