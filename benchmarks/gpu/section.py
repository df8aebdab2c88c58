"""What sections share: their options, and how they report."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import nn

from benchmarks.sampling import ARTEFACTS
from models.cards import WEIGHTS, ModelCard
from models.checkpoint import load_model
from models.config import Sampling, Stage
from models.pipeline import ImageState
from models.sampling.backends.backend import BackendFactory
from models.sampling.backends.fastest import Fastest
from models.subscale import Progress

MODEL: Final = WEIGHTS / "symbols-64"


@dataclass(frozen=True, kw_only=True)
class SectionOptions:
    """The options of a section."""

    device: str
    model: Path


def options() -> SectionOptions:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", type=Path, default=MODEL, help="folder of a model")
    return SectionOptions(**vars(parser.parse_args()))


def report(**finding: object) -> None:
    """Print a finding as one line of JSON, at once."""
    print(json.dumps(finding), flush=True)


def loaded(chosen: SectionOptions) -> tuple[nn.ModuleDict, ModelCard]:
    """Return the networks of the model on the device, and its card."""
    networks, card = load_model(chosen.model)
    return networks.to(chosen.device), card


def backends() -> dict[str, BackendFactory]:
    """Return what is compared: the backend that serves, and the persistent kernel on a GPU."""
    serving: dict[str, BackendFactory] = {"serving": Fastest(ARTEFACTS)}
    if not torch.cuda.is_available():
        return serving
    from models.sampling.backends.persistent import PersistentBackend  # noqa: PLC0415 - needs triton

    return {**serving, "persistent": PersistentBackend}


def middle_states(card: ModelCard, stage: Stage, count: int) -> list[ImageState]:
    """Return random images in the middle of a stage; seeds, temperatures and, if the card guides it, guidance differ."""
    geometry = card.config.geometry
    steps = [done for done, step in enumerate(geometry.steps) if step.stage is stage]
    generator, shape = torch.Generator().manual_seed(0), (geometry.size, geometry.size, geometry.channels)

    def state(seed: int) -> ImageState:
        image = torch.randint(1 << geometry.bits, shape, generator=generator, dtype=torch.uint8).numpy()
        return ImageState(
            seed=seed,
            controls=tuple(seed % (len(control.values) + 1) for control in card.config.controls),
            sampling=Sampling(guidance=(1.0, 2.0)[seed % 2]),
            progress=Progress.of(image, geometry, steps[len(steps) // 2]),
        )

    return [state(seed) for seed in range(count)]


def synchronise(device: str) -> None:
    """Wait for the work of the device."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
