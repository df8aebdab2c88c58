"""The card of a shipped model, `card.json` beside `model.safetensors`; free of torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from models.config import MODEL_SAMPLING, ModelConfig, Sampling, Stage
from models.errors import CheckpointError, ConfigError

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the shipped models: one folder each, named after the model."""

CARD, TENSORS, SHEET = "card.json", "model.safetensors", "sheet.png"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Name, configuration and provenance of one model.

    `sha256` is that of the tensors file. `bits_per_dim` is that of the held-out images, by family and stage where measured,
    with `all` among them. `stage_bits_per_dim` has the additive shares of `all` by network.
    `training` describes data, machine and hours in words.
    `sampling` is the default of a request. `guided`: the networks on which guidance acts;
    `unguided_controls`: names of the controls that are `ANY` on its unconditional side. `verifier`: the sha256 of
    `verifier.safetensors` beside the tensors, empty if there is none.
    """

    name: str
    config: ModelConfig
    sha256: str
    parameters: int
    licence: str = "Apache-2.0"
    training: str = ""
    bits_per_dim: Mapping[str, float] = field(default_factory=dict)
    stage_bits_per_dim: Mapping[str, float] = field(default_factory=dict)
    sampling: Sampling = MODEL_SAMPLING
    guided: tuple[Stage, ...] = ()
    unguided_controls: tuple[str, ...] = ()
    verifier: str = ""

    def __post_init__(self) -> None:
        names = {control.name for control in self.config.controls}
        if unknown := sorted(set(self.unguided_controls) - names):
            msg = f"unguided_controls that the model does not have: {', '.join(unknown)}"
            raise ConfigError(msg)


_ADAPTER = TypeAdapter(ModelCard)


def load_card(folder: Path) -> ModelCard:
    """Return the card in `folder`. Raises CheckpointError if it cannot be read or is not a card."""
    path = folder / CARD
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except OSError as error:
        msg = f"no model in {folder}: {CARD} cannot be read: {error.strerror}"
        raise CheckpointError(msg) from None
    except ValidationError as error:
        msg = f"{folder.name}/{CARD} is not a model card: {error.errors()[0]['loc']} {error.errors()[0]['msg']}"
        raise CheckpointError(msg) from error
    except ConfigError as error:
        msg = f"{folder.name}/{CARD} is not a model card: {error}"
        raise CheckpointError(msg) from error


def load_named_card(folder: Path) -> ModelCard:
    """Return the card in `folder`. Raises CheckpointError as `load_card`, and for a card of another name.

    The API and the worker name the queue of a model by one or the other, so jobs would wait for ever.
    """
    card = load_card(folder)
    if card.name != folder.name:
        msg = f"{folder.name}/{CARD} has the name {card.name!r}: rename the folder, or the model in its card"
        raise CheckpointError(msg)
    return card


def save_card(card: ModelCard, folder: Path) -> None:
    """Write `card` as readable JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).write_text(json.dumps(_ADAPTER.dump_python(card, mode="json"), indent=1) + "\n")
