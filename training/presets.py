"""Model configurations by name. All widths are ours: the paper's are not known to us."""

from __future__ import annotations

from collections.abc import Callable

from models.config import Control, Geometry, ModelConfig, Stage, Widths


def symbols(size: int) -> Callable[[tuple[Control, ...]], ModelConfig]:
    """Pictures of `size` in 16 x 16 slices, three networks of about 1.2 M parameters.

    Small slices learn faster at equal time, and the networks of one size are a start for another: docs/decisions/005.
    """

    def preset(controls: tuple[Control, ...]) -> ModelConfig:
        widths = Widths(width=96, blocks=4, heads=3, conv_width=48, embedder_blocks=2)
        return ModelConfig(
            geometry=Geometry(size=size, slice_size=16), controls=controls, widths=dict.fromkeys(Stage, widths)
        )

    return preset


PRESETS: dict[str, Callable[[tuple[Control, ...]], ModelConfig]] = {
    f"symbols-{size}": symbols(size) for size in (32, 64, 128)
}
