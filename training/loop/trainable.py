"""What `Trainer` can train: any module with a stage, a geometry and the loss of a slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from models.config import Geometry, Stage


class Trainable(Protocol):
    """The part of `nn.Module` that the trainer uses, with the stage and the geometry that scale the loss.

    The layers named `head.out.*` are the last ones: AdamW trains them, and not Muon.
    """

    @property
    def stage(self) -> Stage:
        """The stage whose slices the network predicts."""

    @property
    def geometry(self) -> Geometry:
        """Sizes and bits of images and slices."""

    def __call__(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Tensor:
        """Return the nats of each sub-pixel of slice k, (B, N, C): the arguments of `models.network.Network`."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return all weights."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Return all weights with their names."""

    def named_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Return all layers with their names."""

    def zero_grad(self, set_to_none: bool = ...) -> None:
        """Forget all gradients."""

    def state_dict(self) -> dict[str, Any]:
        """Return all tensors by name."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> object:
        """Take over all tensors by name."""
