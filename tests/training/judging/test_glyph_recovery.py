"""The glyph of a composed image is found again."""

import numpy as np
import pytest

from tests.training.judging.painted import coverage, picture, ring
from training.data.tiles import box, placed
from training.data.vocabulary import HUE, Tile
from training.judging.glyph_recovery import grown, recover, residual


@pytest.mark.parametrize("tile", list(Tile))
def test_coverage_is_what_was_composed(tile: Tile) -> None:
    """In every hue: within a hundredth of the ring's own coverage in the mean, whatever its place and size."""
    wanted = {
        round(float(scale), 3): placed(ring(), scale=scale, offset=np.zeros(2), pixels=64).mean()
        for scale in np.linspace(0.6, 1.06, 80)
    }
    for seed, hue in enumerate(HUE.values):
        found = coverage(picture(ring(), tile, hue=hue, seed=seed), tile)
        assert min(abs(found.mean() - mean) for mean in wanted.values()) < 0.01
        assert np.quantile(found, 0.95) > 0.97, "ink covers whole pixels"
        assert np.quantile(found, 0.4) < 0.02, "ground has none"


def test_ground_and_ink_are_fitted_to_a_level() -> None:
    """The planes lie within a level or two of the composed gradient."""
    pixels = picture(ring(), Tile.SQUARE)
    found = recover(pixels, Tile.SQUARE)
    assert residual(pixels, found.ground, found.inside & ~grown(found.coverage > 0, 2)) < 1.5
    assert residual(pixels, found.ink, ~grown(found.coverage < 1, 1)) < 1.5


@pytest.mark.parametrize("tile", list(Tile))
def test_a_image_without_glyph_is_blank(tile: Tile) -> None:
    """And one with a glyph is not."""
    empty = picture(np.zeros((128, 128), np.uint8), tile)
    assert recover(empty, tile).blank
    assert not recover(picture(ring(), tile), tile).blank


def test_small_and_large_images_agree() -> None:
    """Coverage at 128, boxed down, is that at 64."""
    large, small = (coverage(picture(ring(), Tile.CIRCLE, size=size), Tile.CIRCLE) for size in (128, 64))
    boxed = box(np.repeat((large * 255).astype(np.uint8)[..., None], 3, axis=-1), 64)[..., 0] / 255
    assert np.abs(boxed - small).mean() < 0.01
