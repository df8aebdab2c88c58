"""What an image shows is told rightly from real images."""

import numpy as np
import pytest

from training.data.symbols import ImageBatch, Symbols
from training.data.vocabulary import CONTROLS, HUE, TILE, Family, Tile
from training.judging.looks import rim, tile_hue, tile_of


def composed(size: int) -> ImageBatch:
    """The held-out images that the composer made."""
    held_out = Symbols.load(size=size).held_out()
    chosen = held_out.families <= Family.LETTERS
    return ImageBatch(
        images=held_out.images[chosen], controls=held_out.controls[chosen], families=held_out.families[chosen]
    )


@pytest.mark.parametrize("size", [32, 64])
def test_tiles_are_told_by_their_shape(size: int) -> None:
    """At least 98 of 100 held-out tiles and monograms, and all but one of 100 that have a tile."""
    images = composed(size)
    wanted = np.array([TILE.values[i - 1] for i in images.controls[:, CONTROLS.index(TILE)]])
    right = np.array([tile_of(image) for image in images.images]) == wanted
    assert right.mean() >= 0.98
    assert right[wanted != Tile.NONE].mean() >= 0.99


@pytest.mark.parametrize("size", [32, 64])
def test_hues_are_told_by_the_rim(size: int) -> None:
    """At least 97 of 100 held-out images, where there is a tile."""
    images = composed(size)
    on_tile = images.controls[:, CONTROLS.index(TILE)] != TILE.index(Tile.NONE)
    wanted = [HUE.values[i - 1] for i in images.controls[on_tile, CONTROLS.index(HUE)]]
    told = [tile_hue(image, tile_of(image)) for image in images.images[on_tile]]
    assert np.mean([a == b for a, b in zip(told, wanted, strict=True)]) >= 0.97


def test_an_empty_image_has_no_tile_and_no_hue() -> None:
    """Pure white."""
    white = np.full((32, 32, 3), 255, np.uint8)
    assert tile_of(white) is Tile.NONE
    assert tile_hue(white, Tile.NONE) == "neutral"


def test_rims_lie_within_their_tiles() -> None:
    """A rim keeps off the outermost pixels and the middle, and a thinner one is part of a thicker."""
    for tile in (Tile.CIRCLE, Tile.ROUNDED, Tile.SQUARE):
        thick, thin = rim(tile, 64), rim(tile, 64, 2)
        assert not thick[:2].any()
        assert not thick[28:36, 28:36].any()
        assert (thin <= thick).all()
        assert thin.sum() < thick.sum()
