"""What determines a slice, as the host knows it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from models.config import Step
from models.subscale import Progress


class SliceRequest(NamedTuple):
    """Everything that determines one slice, except weights and numerics.

    `step` is the next one of `progress`. `unconditional`: the controls on the unconditional side of guidance; None without
    guidance, and `guidance` is 1 then. Requests for candidates of one image follow one another.
    """

    progress: Progress
    step: Step
    seed: int
    controls: tuple[int, ...]
    temperature: float
    guidance: float = 1.0
    unconditional: tuple[int, ...] | None = None
    candidate: int = 0

    @property
    def conditioned_on(self) -> Hashable:
        """A key that the candidates of one image share, and no other requests of a call."""
        return id(self.progress), self.seed, self.controls, self.unconditional
