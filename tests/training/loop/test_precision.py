"""The dtype of products is what this device multiplies faster."""

from collections.abc import Iterator

import pytest
import torch

from training.loop import precision

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _measured_anew() -> Iterator[None]:
    precision.fast.cache_clear()
    yield
    precision.fast.cache_clear()


@pytest.mark.parametrize("faster", [torch.bfloat16, torch.float32])
def test_the_faster_dtype_is_taken(monkeypatch: pytest.MonkeyPatch, faster: torch.dtype) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(precision, "seconds", lambda dtype: 1.0 if dtype is faster else 2.0)
    assert precision.fast(CPU) is faster


def test_without_instructions_for_it_no_stopwatch_can_choose_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    monkeypatch.setattr(precision, "seconds", lambda dtype: 1.0 if dtype is torch.bfloat16 else 2.0)
    assert precision.fast(CPU) is torch.float32


def test_a_gpu_multiplies_bfloat16() -> None:
    assert precision.fast(torch.device("cuda")) is torch.bfloat16
