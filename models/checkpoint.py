"""Weights on disk: one safetensors file for the networks of a model, checked against its card."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from models.cards import TENSORS, ModelCard, load_card, save_card
from models.errors import CheckpointError
from models.network import build

STORED: Final = (torch.float32, torch.bfloat16)
"""Dtypes of stored weights; they are read as float32."""


def sha256_of(path: Path) -> str:
    """Return the hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_model(
    networks: nn.ModuleDict, card: ModelCard, folder: Path, *, dtype: torch.dtype = torch.float32
) -> ModelCard:
    """Write weights as `dtype`, and the card, into `folder`; return the card with sha256 and parameter count."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().to(dtype).contiguous() for name, t in networks.state_dict().items()}
    save_file(tensors, folder / TENSORS)
    parameters = sum(p.numel() for p in networks.parameters())
    card = replace(card, sha256=sha256_of(folder / TENSORS), parameters=parameters)
    save_card(card, folder)
    return card


def load_model(folder: Path) -> tuple[nn.ModuleDict, ModelCard]:
    """Return the networks of `folder`, in float32 and evaluation mode on the CPU, and their card.

    Raises CheckpointError for a missing or damaged file, an unknown or missing tensor, or a wrong shape or dtype.
    """
    card = load_card(folder)
    tensors = read_tensors(folder / TENSORS, card.sha256)
    networks = build(card.config)
    check_tensors(tensors, networks.state_dict(), folder.name)
    networks.load_state_dict(tensors)
    return networks.eval().requires_grad_(requires_grad=False), card


def read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file in a model's folder.

    Raises CheckpointError if the file is missing, damaged, or not the one that the card names.
    """
    folder, name = path.parent.name, path.name
    if not path.is_file():
        msg = f"{folder}: {name} is missing"
        raise CheckpointError(msg)
    if (found := sha256_of(path)) != sha256:
        msg = f"{folder}: {name} has sha256 {found}, its card says {sha256}"
        raise CheckpointError(msg)
    try:
        return load(path.read_bytes())
    except SafetensorError as error:
        msg = f"{folder}: {name} is not a safetensors file: {error}"
        raise CheckpointError(msg) from error


def check_tensors(found: dict[str, Tensor], wanted: dict[str, Tensor], name: str) -> None:
    """Raise CheckpointError for the first tensor that is unknown, missing, not finite, or of a wrong shape or dtype."""
    for key in sorted(found.keys() | wanted.keys()):
        if key not in wanted or key not in found:
            msg = f"{name}: tensor {key} is {'unknown' if key in found else 'missing'}"
            raise CheckpointError(msg)
        if found[key].shape != wanted[key].shape:
            msg = f"{name}: tensor {key} has shape {tuple(found[key].shape)}, expected {tuple(wanted[key].shape)}"
            raise CheckpointError(msg)
        stored = STORED if wanted[key].is_floating_point() else (wanted[key].dtype,)
        if found[key].dtype not in stored:
            accepted = " or ".join(str(dtype).removeprefix("torch.") for dtype in stored)
            msg = f"{name}: tensor {key} is of {str(found[key].dtype).removeprefix('torch.')}, expected {accepted}"
            raise CheckpointError(msg)
        if not torch.isfinite(found[key]).all():
            msg = f"{name}: tensor {key} has values that are not finite"
            raise CheckpointError(msg)
