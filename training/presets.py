"""Model configurations by name: `python -m training.presets` prints what each costs.

All widths are ours: the paper's are not known to us. Slices are the paper's where known, 32 x 32 from 64 pixels on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from models.config import LABEL, Control, Geometry, ModelConfig, Order, Stage, Widths

Preset = Callable[[tuple[Control, ...]], ModelConfig]
"""Returns a configuration for the controls of a data set."""

SUBJECT: Final = (LABEL, "style")
"""Controls of the subject: the base network has maps of them, and the unconditional side of guidance drops them."""

_HEAD: Final = 64

_MANY_SLICES: Final = 16
"""From so many slices on the base network, which draws one of them, may take longer than the others."""


def symbols(size: int, order: Order = Order.RASTER) -> Preset:
    """Return a preset for images of `size` in 16 x 16 slices. Only the base network decides the subject and has control maps.

    Small slices learn faster in equal time, and the networks of one size are a start for another (docs/decisions/005).
    Grounds are smooth gradients, so five of the bits are coarse (docs/decisions/028).
    """
    geometry = Geometry(size=size, slice_size=16, coarse_bits=5, fine_bits=3, order=order)
    widths = Widths(width=96, blocks=4, heads=3, conv_width=48, embedder_blocks=2)
    wider = Widths(width=128, blocks=6, heads=2, conv_width=64, embedder_blocks=2)
    base = wider if geometry.slices >= _MANY_SLICES else widths

    def make(controls: tuple[Control, ...]) -> ModelConfig:
        maps = tuple(control.name for control in controls if control.name in SUBJECT)
        return preset(geometry, base=replace(base, maps=maps), others=widths)(controls)

    return make


def photographs(size: int, *, width: int, blocks: int, fine_bits: int = 5) -> Preset:
    """Return a preset for photographs of `size`. The base network, with few of the bits, is two heads narrower."""
    geometry = Geometry(size=size, slice_size=16 if size == 32 else 32, fine_bits=fine_bits)  # noqa: PLR2004 - pixels
    return preset(geometry, base=wide(width - 2 * _HEAD, blocks), others=wide(width, blocks))


def wide(width: int, blocks: int) -> Widths:
    """Return widths with heads of 64, convolutions of a quarter of the width, and few blocks in the embedder.

    They are one fewer than half: the embedder's sums see further than a block does.
    """
    return Widths(
        width=width, blocks=blocks, heads=width // _HEAD, conv_width=width // 4, embedder_blocks=max(2, blocks // 2 - 1)
    )


def preset(geometry: Geometry, *, base: Widths, others: Widths) -> Preset:
    """Return a preset whose size and depth networks have the same widths."""
    widths = {Stage.BASE: base, Stage.SIZE: others, Stage.DEPTH: others}
    return lambda controls: ModelConfig(geometry=geometry, controls=controls, widths=widths)


PRESETS: Final[dict[str, Preset]] = {
    "symbols-32": symbols(32),
    "symbols-64": symbols(64),
    "symbols-128": symbols(128, Order.INTERLACED),
    "celebahq-256": photographs(256, width=448, blocks=10),
    "celebahq-256-5bit": photographs(256, width=384, blocks=8, fine_bits=2),
    "imagenet-32": photographs(32, width=384, blocks=8),
    "imagenet-64": photographs(64, width=512, blocks=10),
    "imagenet-128": photographs(128, width=512, blocks=10),
    "imagenet-256": photographs(256, width=512, blocks=12),
}


def main() -> None:
    """Run the command line."""
    from training.scoring.costs import costs_of, table  # noqa: PLC0415 - presets are importable without torch

    classes = (Control(name="label", values=tuple(f"n{i}" for i in range(1000))),)
    print(
        table({name: costs_of(make(classes if name.startswith("imagenet") else ())) for name, make in PRESETS.items()})
    )


if __name__ == "__main__":
    main()
