"""The processes of a data-parallel run under torchrun, and the values that they share at every step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import distributed

_BACKENDS: Final = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """The rank of this process among `count`; the first one saves, logs and draws previews."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the first process."""
        return self.rank == 0

    def from_first(self, value: float) -> float:
        """Return the value of the first process, in all processes: clocks differ."""
        return self._total(value if self.is_first else 0.0)

    def any(self, *, value: bool) -> bool:
        """Return whether `value` is true in any process."""
        return self._total(float(value)) > 0

    def mean(self, value: float) -> float:
        """Return the mean over all processes."""
        return self._total(value) / self.count

    def _total(self, value: float) -> float:
        if self.count == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(shared)
        return float(shared)


ALONE: Final = Ranks()
"""One process."""


@contextmanager
def process_group(device: str) -> Iterator[tuple[Ranks, torch.device]]:
    """Join the processes that torchrun started, if it did; yield the rank and the device, a GPU for each process."""
    if "WORLD_SIZE" not in os.environ:
        yield ALONE, torch.device(device)
        return
    kind = torch.device(device).type
    own = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(own)
    distributed.init_process_group(_BACKENDS[kind])
    try:
        yield Ranks(rank=distributed.get_rank(), count=distributed.get_world_size()), own
    finally:
        distributed.destroy_process_group()
