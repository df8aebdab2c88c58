"""Model configurations by name. All widths are ours: the paper's are not known to us."""

from __future__ import annotations

from collections.abc import Callable

from models.config import Control, Geometry, ModelConfig, Stage, Widths


def symbols_32(controls: tuple[Control, ...]) -> ModelConfig:
    """32 x 32 in 16 x 16 slices: S = 2, about 1.2 M parameters a network."""
    widths = Widths(width=96, blocks=4, heads=3, conv_width=48, embedder_blocks=2)
    return ModelConfig(
        geometry=Geometry(size=32, slice_size=16), controls=controls, widths=dict.fromkeys(Stage, widths)
    )


PRESETS: dict[str, Callable[[tuple[Control, ...]], ModelConfig]] = {"symbols-32": symbols_32}
