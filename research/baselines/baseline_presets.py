"""The baselines by name, with the parameters of the Subscale Pixel Network in all, and in a size for a quick check."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from models.config import Control, Geometry
from research.baselines.baseline import Baseline
from research.baselines.gated import GatedPixelCNN
from research.baselines.pixelcnn import PixelCNN
from research.baselines.row_lstm import RowLSTM
from research.baselines.snail import PixelSNAIL
from research.baselines.trunk import Trunk

CONDITION_WIDTH: Final = 32
"""Width of the embedded controls."""

HIDDEN: Final = 96
"""Width of the hidden layer of the head per channel, as in the Subscale Pixel Network."""


class BaselineKind(StrEnum):
    """The four baselines, in order of publication."""

    PIXELCNN = "pixelcnn"
    ROW_LSTM = "row-lstm"
    GATED = "gated-pixelcnn"
    SNAIL = "pixelsnail"


Size = Callable[[Geometry, int], Trunk]
"""Returns a trunk for a geometry and bits."""

_WHOLE: Final[dict[BaselineKind, Size]] = {
    BaselineKind.PIXELCNN: lambda g, bits: PixelCNN(
        channels=g.channels, bits=bits, condition_width=CONDITION_WIDTH, half=152, blocks=15
    ),
    BaselineKind.ROW_LSTM: lambda g, bits: RowLSTM(
        channels=g.channels, bits=bits, condition_width=CONDITION_WIDTH, half=108, layers=9
    ),
    BaselineKind.GATED: lambda g, bits: GatedPixelCNN(
        channels=g.channels, bits=bits, condition_width=CONDITION_WIDTH, width=124, layers=10
    ),
    BaselineKind.SNAIL: lambda g, bits: PixelSNAIL(
        channels=g.channels,
        bits=bits,
        condition_width=CONDITION_WIDTH,
        width=116,
        blocks=4,
        residuals=4,
        heads=2,
        side=g.size,
    ),
}
_SMALL: Final[dict[BaselineKind, Size]] = {
    BaselineKind.PIXELCNN: lambda g, bits: PixelCNN(
        channels=g.channels, bits=bits, condition_width=CONDITION_WIDTH, half=28, blocks=6
    ),
    BaselineKind.ROW_LSTM: lambda g, bits: RowLSTM(
        channels=g.channels, bits=bits, condition_width=CONDITION_WIDTH, half=20, layers=4
    ),
    BaselineKind.GATED: lambda g, bits: GatedPixelCNN(
        channels=g.channels, bits=bits, condition_width=CONDITION_WIDTH, width=26, layers=4
    ),
    BaselineKind.SNAIL: lambda g, bits: PixelSNAIL(
        channels=g.channels,
        bits=bits,
        condition_width=CONDITION_WIDTH,
        width=28,
        blocks=2,
        residuals=2,
        heads=1,
        side=g.size,
    ),
}


def whole(kind: BaselineKind, geometry: Geometry, controls: tuple[Control, ...], *, kernels: bool = False) -> Baseline:
    """Return a baseline over all bits, with about the parameters of the network of research/evidence."""
    return _built(_WHOLE, kind, geometry, controls, bits=geometry.bits, hidden=HIDDEN, kernels=kernels)


def small(
    kind: BaselineKind, geometry: Geometry, controls: tuple[Control, ...], *, bits: int, kernels: bool = False
) -> Baseline:
    """Return a baseline of about 95,000 parameters over the `bits` most significant bits."""
    return _built(_SMALL, kind, geometry, controls, bits=bits, hidden=CONDITION_WIDTH, kernels=kernels)


def _built(  # noqa: PLR0913 - the parts of a baseline
    sizes: dict[BaselineKind, Size],
    kind: BaselineKind,
    geometry: Geometry,
    controls: tuple[Control, ...],
    *,
    bits: int,
    hidden: int,
    kernels: bool,
) -> Baseline:
    trunk = sizes[kind](geometry, bits)
    return Baseline(
        trunk, geometry, controls, bits=bits, condition_width=CONDITION_WIDTH, hidden=hidden, kernels=kernels
    )
