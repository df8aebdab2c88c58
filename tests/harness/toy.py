"""Tiny models with random weights: large enough to have every part, small enough for an oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from models.cards import ModelCard
from models.checkpoint import save_model
from models.config import Control, Geometry, ModelConfig, Sampling, Stage, Temperatures, Widths
from models.network import build
from models.verifier import save_verifier, verifier_of

CONTROLS = (
    Control(name="label", values=("A", "B", "icon")),
    Control(name="hue", values=("red", "blue")),
    Control(name="tile", values=("circle", "square")),
)


def toy_config(geometry: Geometry) -> ModelConfig:
    """Every part of a network, as narrow as compiled code takes it."""
    widths = Widths(width=32, blocks=2, heads=2, conv_width=16, embedder_blocks=1)
    mapped = replace(widths, maps=("label", "tile"), map_channels=3)
    return ModelConfig(
        geometry=geometry, controls=CONTROLS, widths={**dict.fromkeys(Stage, widths), Stage.BASE: mapped}
    )


def toy_networks(geometry: Geometry, seed: int = 0, scale: float = 0.3) -> nn.ModuleDict:
    """Return networks with random weights. No weight is zero, so no test passes vacuously."""
    networks = build(toy_config(geometry))
    generator = torch.Generator().manual_seed(seed)
    for parameter in networks.parameters():
        parameter.data.normal_(0, scale, generator=generator)
    return networks.eval().requires_grad_(requires_grad=False)


def toy_card(geometry: Geometry, name: str = "toy") -> ModelCard:
    """A card without provenance, whose base network is guided by label and tile, not by hue."""
    return ModelCard(
        name=name,
        config=toy_config(geometry),
        sha256="",
        parameters=0,
        guided=(Stage.BASE,),
        unguided_controls=("label", "tile"),
    )


class ToyVerifier:
    """Verifier with random weights, which reads a label in each base slice independently of its batch."""

    def __init__(self) -> None:
        self.calls = 0

    def scores(self, slices: Tensor, controls: Sequence[int]) -> Tensor:
        """(B, h, w, C) uint8 -> (B,)."""
        self.calls += 1
        generator = torch.Generator().manual_seed(0)
        weights = torch.randn(slices[0].numel(), len(CONTROLS[0].values), generator=generator)
        logits = torch.stack([(each.flatten().float()[:, None] * weights).sum(0) for each in slices]).div(8)
        return logits.softmax(-1)[:, controls[0] - 1]


def save_toy_model(folder: Path, name: str = "toy", size: int = 8) -> Path:
    """Write a toy model of `size` x `size` images in 4 x 4 slices to `folder / name` and return that folder."""
    geometry = Geometry(size=size, slice_size=4)
    save_model(toy_networks(geometry), toy_card(geometry, name), folder / name)
    return folder / name


def save_choosing_model(folder: Path, name: str = "choosing", size: int = 8) -> Path:
    """Write a toy model with a verifier, aliases and defaults of its own; returns `folder / name`."""
    geometry = Geometry(size=size, slice_size=4)
    label, *others = CONTROLS
    config = replace(toy_config(geometry), controls=(replace(label, aliases={"a": "A", "symbol": "icon"}), *others))
    torch.manual_seed(0)
    card = replace(
        toy_card(geometry, name),
        config=config,
        sampling=Sampling(temperature=Temperatures(size=0.8, depth=0.7), guidance=2.0, candidates=3),
        verifier=save_verifier(verifier_of(config).eval(), folder / name),
    )
    save_model(toy_networks(geometry), card, folder / name)
    return folder / name
