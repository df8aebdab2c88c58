"""Near copies are found, and other drawings are none."""

import numpy as np

from tests.training.judging.painted import coverage, disc, picture, ring
from training.data.symbols import DEFAULT, Pack
from training.data.vocabulary import LABEL, Tile
from training.judging.copies import copies, distances, table, thumbnail
from training.judging.glyphs import Glyphs
from training.judging.keepers import composed

PACK = Pack.read(DEFAULT)


def test_drawings_composed_again_are_found() -> None:
    """All of them, far nearer than held-out ones."""
    train = Glyphs.train(PACK)
    chosen = np.flatnonzero(train.labels == LABEL.values.index("heart"))[:20]
    images, _ = composed(np.random.default_rng(3), train, chosen, size=64)
    found = copies(images, PACK, "heart")
    assert min(found.images.value, found.again.value) > 0.9
    assert found.held_out.value < 0.3
    assert found.image_distance < found.held_out_distance / 3
    assert "| images of heart | 20 | 100.0%" in table(found)


def test_another_shape_is_farther() -> None:
    """A ring lies nearer to itself than to a disc."""
    (near, far), *_ = distances([ring() / 255], [ring() / 255, disc() / 255])
    assert near == 0
    assert far > 20


def test_place_size_and_tile_do_not_matter() -> None:
    """The thumbnail of what is recovered is that of the mask, about."""
    for tile in Tile:
        found = thumbnail(coverage(picture(ring(), tile), tile))
        assert np.abs(found - thumbnail(ring() / 255)).mean() < 4


def test_an_empty_glyph_has_an_empty_thumbnail() -> None:
    """Nothing to divide by."""
    assert not thumbnail(np.zeros((64, 64))).any()
