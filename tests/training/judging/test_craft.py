"""Known faults raise the measure that is meant for them, and no other."""

import numpy as np
import pytest

from tests.training.judging.painted import coverage, faults, picture, ring
from training.data.vocabulary import Tile
from training.judging.glyph_recovery import grown

TILES = pytest.mark.parametrize("tile", list(Tile))


@TILES
def test_a_composed_image_has_next_to_no_faults(tile: Tile) -> None:
    """Edges within a fiftieth of a pixel, no speck, fills within two levels."""
    found = faults(picture(ring(), tile), tile)
    assert found.wobble < 0.03
    assert found.speckle == 0
    assert found.fill < 2


@TILES
def test_waves_on_the_edge_are_wobble(tile: Tile) -> None:
    """The more, the higher; they are neither specks nor fill."""
    found = [faults(picture(ring(waves), tile), tile) for waves in (0.0, 0.6, 1.2)]
    assert found[0].wobble < found[1].wobble < found[2].wobble
    assert found[2].wobble > 3 * found[0].wobble
    assert found[2].speckle == 0
    assert found[2].fill < 2


@TILES
def test_specks_on_the_ground_and_in_the_ink_are_speckle(tile: Tile) -> None:
    """An area of one pixel each, about; edges stay as they were."""
    clean = picture(ring(), tile)
    marred = clean.copy()
    marred[32, 32] = 255 - marred[32, 32]  # in the middle of the ring
    assert 0.5 < faults(marred, tile).speckle < 4
    row, column = np.argwhere(~grown(coverage(clean, tile) < 0.99, 2))[0]  # within the ring itself
    marred[row, column] = clean[32, 32]
    assert faults(marred, tile).speckle > 1.5
    assert faults(marred, tile).wobble == pytest.approx(faults(clean, tile).wobble, abs=0.01)


def test_paint_off_the_tile_is_speckle() -> None:
    """Grey in a corner of a circle's image."""
    marred = picture(ring(), Tile.CIRCLE)
    marred[1:4, 1:4] = 120
    assert faults(marred, Tile.CIRCLE).speckle == pytest.approx(9 * (1 - 120 / 255), rel=0.05)


def test_noise_is_uneven_fill() -> None:
    """By about its own size."""
    clean = picture(ring()).astype(int)
    noise = np.random.default_rng(0).normal(0, 6, clean.shape)
    found = faults(np.clip(clean + noise, 0, 255).astype(np.uint8))
    assert 3 < found.fill < 8


def test_a_band_across_the_ground_is_uneven_fill() -> None:
    """A tenth of the tile, fifteen levels lighter."""
    clean = picture(ring())
    banded = clean.copy()
    banded[50:58] = np.clip(banded[50:58].astype(int) + 15, 0, 255)
    assert faults(banded).fill > 2 * faults(clean).fill + 1


@pytest.mark.parametrize("size", [64, 128])
def test_waves_are_seen_at_every_size(size: int) -> None:
    """And clean edges are clean at every size."""
    clean, waved = (faults(picture(ring(waves), size=size)).wobble for waves in (0.0, 1.5))
    assert clean < 0.06
    assert waved > 2 * clean
