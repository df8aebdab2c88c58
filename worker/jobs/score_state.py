"""The state of an image whose likelihood is computed."""

from __future__ import annotations

from dataclasses import dataclass

from service.contract.likelihood import Likelihood


@dataclass(frozen=True, kw_only=True)
class ScoreState:
    """A given image, its control indices, and its likelihood so far: to a score job what `ImageState` is to an image."""

    controls: tuple[int, ...]
    progress: Likelihood
