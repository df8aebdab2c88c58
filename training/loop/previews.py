"""Preview sheets: held-out images, and what the stage in training draws from their true earlier slices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models.cards import ModelCard
from models.config import ModelConfig, Stage, Widths
from models.network import build
from models.pipeline import ImageState, Pipeline
from models.subscale import Bytes, Progress
from training.data.symbols import ImageBatch
from training.scoring.bits import BYTE
from training.scoring.samples import tiled

IMAGES: Final = 8

_POSITIONS: Final = 4096
_PIXELS: Final = 96
_UNUSED: Final = Widths(width=8, blocks=1, heads=1, conv_width=4, reach=1, expansion=1, embedder_blocks=1)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Previews of `stage` while it trains. The networks of the other stages are never used and as small as possible.

    At most 4096 positions of an image are drawn, so that a sheet takes seconds: of large images only the first slices.
    """

    config: ModelConfig
    stage: Stage
    held_out: ImageBatch
    device: torch.device

    def write(self, weights: dict[str, Tensor], path: Path) -> None:
        """Write the sheet as PNG, row by row: the input of the stage, its output, and the true images."""
        pipeline = self.pipeline(weights)
        start = self.states()
        made = start
        for _ in range(self._slices()):
            made = pipeline.advance(made)
        truth = [Progress.of(image, self.config.geometry) for image in self._images()]
        rows = [[state.progress for state in made], truth]
        if self.stage is not Stage.BASE:
            rows.insert(0, [state.progress for state in start])
        images = np.stack([progress.image() for row in rows for progress in row])
        scale = max(1, _PIXELS // self.config.geometry.size)
        sheet = tiled(images, columns=len(made), scale=scale)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet).save(path)

    def pipeline(self, weights: dict[str, Tensor]) -> Pipeline:
        """Return a pipeline with these weights for the stage."""
        widths = {stage: self.config.widths[stage] if stage is self.stage else _UNUSED for stage in Stage}
        config = replace(self.config, widths=widths)
        networks = build(config)
        networks[self.stage].load_state_dict(weights)
        networks = networks.to(self.device).eval().requires_grad_(requires_grad=False)
        return Pipeline(networks, ModelCard(name="preview", config=config, sha256="", parameters=0), capacity=IMAGES)

    def states(self) -> list[ImageState]:
        """Return held-out images with all slices before this stage."""
        geometry = self.config.geometry
        known = next(i for i, step in enumerate(geometry.steps) if step.stage is self.stage)
        return [
            ImageState(
                seed=i,
                controls=tuple(int(index) for index in controls),
                progress=Progress.of(image, geometry, known),
            )
            for i, (image, controls) in enumerate(zip(self._images(), self.held_out.controls[:IMAGES], strict=True))
        ]

    def _images(self) -> Bytes:
        return self.held_out.images[:IMAGES] >> np.uint8(BYTE - self.config.geometry.bits)

    def _slices(self) -> int:
        """Return how many slices of this stage are drawn."""
        geometry = self.config.geometry
        whole = sum(step.stage is self.stage for step in geometry.steps)
        return min(whole, max(1, _POSITIONS // geometry.positions))
