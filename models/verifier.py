"""A classifier of base slices. It predicts what an image will show, to choose the best of several candidates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models.cards import ModelCard
from models.checkpoint import check_tensors, read_tensors, sha256_of
from models.config import ANY, LABEL, Control, Geometry, ModelConfig
from models.errors import CheckpointError

VERIFIER: Final = "verifier.safetensors"
"""Name of the file beside the model's tensors."""

READ: Final = (LABEL, "style")
"""The controls that a verifier reads, if the model has them."""

_WIDTHS: Final = (32, 64, 96, 128)
_STRIDES: Final = (1, 2, 1, 2)
_CELLS: Final = 2


class Verifier(nn.Module):
    """A classifier of base slices.

    - One softmax for each control that it reads: label, and style.
    - Four plain 3 x 3 convolutions with batch normalisation, two of them of stride 2; means over quarters; one linear layer.
    - Input: the (h, w, C) coarse values of slice 0. It never sees a finished image; the judge of training/ never sees a slice.
    - 0.3 million parameters; half a millisecond a slice on one core.
    """

    def __init__(self, geometry: Geometry, controls: Sequence[Control]) -> None:
        super().__init__()
        self.columns = [i for i, control in enumerate(controls) if control.name in READ]
        self.counts = [len(controls[i].values) for i in self.columns]
        self.levels = (1 << geometry.coarse_bits) - 1
        widths = (geometry.channels, *_WIDTHS)
        layers: list[nn.Module] = []
        for (before, after), stride in zip(pairwise(widths), _STRIDES, strict=True):
            convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(_CELLS), nn.Flatten())
        self.dropout = nn.Dropout(0.2)
        self.last = nn.Linear(widths[-1] * _CELLS**2, sum(self.counts))

    def forward(self, slices: Tensor) -> list[Tensor]:
        """Map (B, h, w, C) uint8 coarse values to logits (B, n_values) of each control that is read, without `ANY`."""
        x = slices.permute(0, 3, 1, 2).float() * (2 / self.levels) - 1
        return list(self.last(self.dropout(self.features(x))).split(self.counts, -1))

    @torch.inference_mode()
    def probabilities(self, slices: Tensor) -> list[Tensor]:
        """Return the probabilities (B, n_values) float32 of each control that is read.

        `slices`: (B, h, w, C) uint8 coarse values. Each row is computed alone, so that it does not depend on the batch.
        """
        rows = [self(row[None]) for row in slices]
        return [torch.cat(each).softmax(-1) for each in zip(*rows, strict=True)]

    def scores(self, slices: Tensor, controls: Sequence[int]) -> Tensor:
        """Return (B,) float32: the probability that a slice shows the label, times that of the style; `ANY` counts as 1.

        `slices`: (B, h, w, C) uint8 coarse values. `controls`: the indices of a request, of all controls.
        """
        found = torch.ones(len(slices))
        for column, probabilities in zip(self.columns, self.probabilities(slices), strict=True):
            if controls[column] != ANY:
                found = found * probabilities[:, controls[column] - 1]
        return found


def verifier_of(config: ModelConfig) -> Verifier:
    """Return an untrained verifier for the slices and controls of a model. Raises CheckpointError if it has no label."""
    if LABEL not in {control.name for control in config.controls}:
        msg = f"a verifier needs a model with the control {LABEL}; this model has none"
        raise CheckpointError(msg)
    return Verifier(config.geometry, config.controls)


def save_verifier(verifier: Verifier, folder: Path) -> str:
    """Write the verifier into a model's folder; return its sha256, for `ModelCard.verifier`.

    Weights are stored as bfloat16, the few numbers of normalisation and biases as float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: _stored(tensor) for name, tensor in verifier.state_dict().items()}, folder / VERIFIER)
    return sha256_of(folder / VERIFIER)


def load_verifier(folder: Path, card: ModelCard) -> Verifier | None:
    """Return the verifier of the model in `folder`, in evaluation mode on the CPU; None if its card has none.

    Raises CheckpointError for a missing or damaged file, an unknown or missing tensor, or a wrong shape.
    """
    if not card.verifier:
        return None
    tensors = read_tensors(folder / VERIFIER, card.verifier)
    verifier = verifier_of(card.config)
    check_tensors(tensors, verifier.state_dict(), folder.name)
    verifier.load_state_dict(tensors)
    return verifier.eval().requires_grad_(requires_grad=False)


def _stored(tensor: Tensor) -> Tensor:
    return (tensor.bfloat16() if tensor.ndim > 1 else tensor).detach().contiguous()
