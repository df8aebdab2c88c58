"""What a configuration costs, counted without running it: parameters, memory and arithmetic, on tensors without contents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from models.config import ModelConfig, Stage
from models.network import Network
from training.scoring.scores import markdown


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one network.

    - `activation_bytes`: what autograd keeps of one slice for the backward pass, in bfloat16 with fused attention, without
      temporary buffers.
    - `training_flops`: one slice forward and backward, which is the cost of an image in a step.
    - `sampling_flops`: every slice of the stage forward once with full attention, about the cost of the cached sampler.
      Rejected forecasts are extra.
    """

    parameters: int
    activation_bytes: int
    training_flops: int
    sampling_flops: int


def costs_of(config: ModelConfig) -> dict[Stage, Cost]:
    """Return the cost of each network of a configuration."""
    return {stage: cost_of(config, stage) for stage in config.geometry.stages}


def cost_of(config: ModelConfig, stage: Stage) -> Cost:
    """Return the cost of a network. Memory is the difference between two slices and one, without what is kept only once."""
    slices = sum(step.stage is stage for step in config.geometry.steps)
    with FakeTensorMode():
        network = Network(config, stage)
        there = flops(network, back=False)
        return Cost(
            parameters=sum(p.numel() for p in network.parameters()),
            activation_bytes=kept_bytes(network, 2) - kept_bytes(network, 1),
            training_flops=flops(network, back=True),
            sampling_flops=there * slices,
        )


def flops(network: Network, *, back: bool) -> int:
    """Count the operations of one slice: two per multiplication and addition in matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        loss = network(*example(network, 1)).mean()
        if back:
            loss.backward()
    return int(counter.get_total_flops())


def kept_bytes(network: Network, count: int) -> int:
    """Return the bytes of all tensors that autograd keeps of `count` slices, each storage once."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage: Any = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()  # noqa: SLF001 - its identity: there is no address without contents
        return tensor

    kernels = [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
    with saved_tensors_hooks(keep, lambda tensor: tensor), sdpa_kernel(kernels), torch.autocast("cpu", torch.bfloat16):
        loss = network(*example(network, count)).mean()
    del loss
    return sum(kept.values())


def example(network: Network, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return arguments of a network for `count` images."""
    geometry, controls = network.geometry, len(network.embedder.controls)
    image = torch.zeros(count, geometry.size, geometry.size, geometry.channels, dtype=torch.long)
    return image, image, torch.zeros(count, dtype=torch.long), torch.zeros(count, controls, dtype=torch.long)


def table(costs: Mapping[str, Mapping[Stage, Cost]]) -> str:
    """Return one line per preset, with networks separated by slashes."""
    rows = []
    for name, stages in costs.items():
        each = stages.values()
        rows.append(
            [
                name,
                " / ".join(f"{c.parameters / 1e6:.1f}" for c in each),
                f"{sum(c.parameters for c in each) / 1e6:.1f}",
                " / ".join(f"{c.activation_bytes / 2**20:.0f}" for c in each),
                f"{sum(c.training_flops for c in each) / 1e9:.1f}",
                f"{sum(c.sampling_flops for c in each) / 1e9:.1f}",
            ]
        )
    head = ["preset", "M parameters", "in all", "MiB per sample", "GFLOP to train", "GFLOP to sample"]
    return markdown(head, rows)
