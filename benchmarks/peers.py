"""Other models of the same size: ImageGPT with its KV cache, a diffusion UNet with DDIM.

Weights are random: their time does not depend on them. Widths are chosen so that parameters come close to `parameters`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DModel
from torch import nn
from transformers import ImageGPTConfig, ImageGPTForCausalImageModeling

DDIM_STEPS = 50


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A model of another project; `draw` draws `batch` images."""

    name: str
    parameters: int
    draw: Callable[[int], object]


def image_gpt(parameters: int, size: int) -> Peer:
    """Return ImageGPT: one token per pixel, 512 colours as published, drawn by `generate` of transformers with its cache."""
    model = nearest(lambda width: _image_gpt(width, size), parameters, range(64, 513, 32))

    def draw(batch: int) -> object:
        start = torch.full((batch, 1), 512)
        return model.generate(start, max_new_tokens=size * size, do_sample=True, use_cache=True)

    return Peer(name="ImageGPT generate", parameters=count(model), draw=draw)


def ddim(parameters: int, size: int) -> Peer:
    """Return the unconditional UNet of diffusers with 50 steps."""
    model = nearest(lambda width: _unet(width, size), parameters, range(16, 129, 8))
    scheduler = DDIMScheduler()
    scheduler.set_timesteps(DDIM_STEPS)

    @torch.inference_mode()
    def draw(batch: int) -> object:
        image = torch.randn(batch, 3, size, size)
        for step in scheduler.timesteps:
            image = scheduler.step(model(image, step).sample, step, image).prev_sample
        return image

    return Peer(name=f"UNet DDIM-{DDIM_STEPS}", parameters=count(model), draw=draw)


def nearest(build: Callable[[int], Any], parameters: int, widths: range) -> Any:  # noqa: ANN401 - another library's class
    """Return the model whose width has the closest number of parameters."""
    width = min(widths, key=lambda w: abs(count(build(w)) - parameters))
    return build(width).eval()


def count(model: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(p.numel() for p in model.parameters())


def _image_gpt(width: int, size: int) -> Any:  # noqa: ANN401 - another library's class
    return ImageGPTForCausalImageModeling(
        ImageGPTConfig(n_positions=size * size + 1, n_embd=width, n_layer=8, n_head=4)
    )


def _unet(width: int, size: int) -> Any:  # noqa: ANN401 - another library's class
    return UNet2DModel(
        sample_size=size,
        block_out_channels=(width, 2 * width, 2 * width),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
    )
