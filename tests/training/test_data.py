"""The committed symbols pack keeps its promises, and the composer draws what was asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data.colours import hue_of
from training.data.split import TWIN, twinned
from training.data.symbols import DEFAULT, Pack, Symbols
from training.data.tiles import MASTER, Look, box, compose, placed
from training.data.vocabulary import CONTROLS, FAMILIES, HUE, LABEL, MONOGRAMS, Family, Tile

WHITE = 255


@cache
def pack() -> Pack:
    """The committed file, read once."""
    return Pack.read(DEFAULT)


def thumbnails(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures (n, 64, 64, ...) as 16 x 16 block means, one row each."""
    blocks = pictures.reshape(len(pictures), 16, 4, 16, 4, -1)
    return np.asarray(blocks.mean(axis=(2, 4)), np.float32).reshape(len(pictures), -1)


def glyph() -> NDArray[np.uint8]:
    """One icon of the pack."""
    return np.asarray(pack().glyphs[0])


def tile_pixels(hue: str, seed: int) -> NDArray[np.float64]:
    """The colours, in 0..1, along the top of a square tile, above its glyph."""
    look = Look(family=Family.TILES, hue=hue, tile=Tile.SQUARE)
    picture = compose(np.random.default_rng(seed), glyph(), look, size=64)
    return picture[4:7, 4:60].reshape(-1, 3) / 255.0


def test_no_held_out_glyph_has_a_twin_among_the_trained() -> None:
    """Every held-out mask is at least the twin distance away from every train mask."""
    assert not twinned(thumbnails(pack().held_glyphs), thumbnails(pack().glyphs)).any()


def test_no_held_out_emoji_has_a_twin_among_the_trained() -> None:
    """Every held-out emoji is at least the twin distance away from every train emoji, in whatever style."""
    held = pack().held_images[pack().held_families >= Family.FLUENT]
    assert not twinned(thumbnails(held), thumbnails(pack().emoji)).any()


def test_twins_are_found_up_to_the_twin_distance() -> None:
    """A glyph made evenly darker is a twin just below the distance and none just above it, as by plain comparison."""
    plain = np.full((1, 256), 100, np.float32)
    others = plain + np.array([[TWIN + 0.5], [3 * TWIN]], np.float32)
    assert not twinned(plain, others).any()
    assert twinned(plain, others - 1).all()
    rows = thumbnails(pack().glyphs[:600:2])
    distances = np.abs(rows[:40, None] - rows[None, 40:]).mean(axis=2)
    assert (twinned(rows[:40], rows[40:]) == (distances < TWIN).any(axis=1)).all()


def test_no_concept_is_both_trained_on_and_held_out() -> None:
    """The names of subjects, faces and emoji of the two splits have nothing in common."""
    assert not set(pack().glyph_concepts) & set(pack().held_glyph_concepts)
    held_emoji = pack().held_concepts[pack().held_families >= Family.FLUENT]
    assert not set(pack().emoji_concepts) & set(held_emoji)


def test_held_out_pictures_are_of_held_out_concepts() -> None:
    """Every frozen tile and monogram shows a held-out glyph's concept."""
    composed = pack().held_concepts[pack().held_families < Family.FLUENT]
    assert set(composed) <= set(pack().held_glyph_concepts)


def test_every_family_is_in_both_splits() -> None:
    """All five families are trained on and judged by."""
    trained = set(pack().glyph_families) | set(pack().emoji_families)
    assert trained == set(pack().held_families) == set(range(len(FAMILIES)))


def test_every_label_has_train_drawings() -> None:
    """No value of the vocabulary is empty."""
    assert set(pack().glyph_labels) | set(pack().emoji_labels) == set(range(1, len(LABEL.values) + 1))


def test_manifest_names_the_packs_hash() -> None:
    """The manifest belongs to the committed file, and to the frozen vocabulary."""
    manifest = json.loads(DEFAULT.with_name("manifest.json").read_text(encoding="utf-8"))
    assert manifest["sha256"] == hashlib.sha256(DEFAULT.read_bytes()).hexdigest()
    assert manifest["controls"] == {control.name: list(control.values) for control in CONTROLS}


def test_notice_names_every_source() -> None:
    """Whoever ships the pack finds each package's licence notice."""
    manifest = json.loads(DEFAULT.with_name("manifest.json").read_text(encoding="utf-8"))
    notice = DEFAULT.with_name("NOTICE").read_text(encoding="utf-8")
    assert [source["package"] for source in manifest["sources"] if source["package"] not in notice] == []


def test_pack_is_small_enough_for_git() -> None:
    """The file stays under 40 MB."""
    assert DEFAULT.stat().st_size < 40e6


@pytest.mark.parametrize("size", [32, 64])
def test_controls_are_within_the_vocabulary(size: int) -> None:
    """Training and held-out batches have the asked size, and no control index without a value."""
    symbols = Symbols(pack(), size=size)
    limits = [len(control.values) for control in CONTROLS]
    for batch in (symbols.draw(np.random.default_rng(3), 64), symbols.held_out()):
        assert batch.images.shape[1:] == (size, size, 3)
        assert batch.controls.min() >= 1
        assert (batch.controls <= limits).all()


def test_same_generator_state_draws_the_same_pictures() -> None:
    """Two draws from equal generators are equal, byte for byte; from others they are not."""
    symbols = Symbols(pack(), size=32)
    first, again, other = (symbols.draw(np.random.default_rng(seed), 16) for seed in (5, 5, 6))
    assert (first.images == again.images).all()
    assert (first.controls == again.controls).all()
    assert (first.images != other.images).any()


def test_small_pictures_are_the_large_ones_boxed_down() -> None:
    """Composing at 32 gives the block means of composing at 64."""
    large, small = (Symbols(pack(), size=size).held_out().images for size in (64, 32))
    look = Look(family=Family.TILES, hue="teal", tile=Tile.ROUNDED)
    pictures = [compose(np.random.default_rng(1), glyph(), look, size=size) for size in (64, 32)]
    assert (box(pictures[0], 32) == pictures[1]).all()
    assert (box(large, 32) == small).all()


@pytest.mark.parametrize("hue", HUE.values)
def test_a_tile_is_of_the_hue_it_was_asked_in(hue: str) -> None:
    """The mean colour of forty tiles in each hue is called by that hue's name."""
    named = {hue_of(tile_pixels(hue, seed).mean(axis=0)) for seed in range(40)}
    assert named == {hue}


def _shapes() -> Iterator[tuple[Tile, bool, bool]]:
    """A tile, whether it is painted 6 pixels in from the corner, and whether at the middle of its upper edge."""
    yield Tile.CIRCLE, False, True
    yield Tile.ROUNDED, True, True
    yield Tile.SQUARE, True, True
    yield Tile.NONE, False, False


@pytest.mark.parametrize(("tile", "corner", "edge"), list(_shapes()))
def test_a_tile_has_the_shape_it_was_asked_in(tile: Tile, *, corner: bool, edge: bool) -> None:
    """White outside the tile, painted inside: told by one pixel near a corner and one at an edge."""
    dot = np.zeros((MASTER, MASTER), np.uint8)
    dot[28:36, 28:36] = WHITE
    look = Look(family=Family.TILES, hue="blue", tile=tile)
    picture = compose(np.random.default_rng(2), dot, look, size=64)
    assert (picture[[0, 0, -1, -1], [0, -1, 0, -1]] == WHITE).all()
    assert bool((picture[7, 7] < WHITE).any()) == corner
    assert bool((picture[4, 32] < WHITE).any()) == edge


def test_only_the_square_tile_has_its_corner() -> None:
    """The outermost painted pixel of the square is white on a rounded tile."""
    looks = {tile: Look(family=Family.TILES, hue="blue", tile=tile) for tile in (Tile.SQUARE, Tile.ROUNDED)}
    corners = {tile: compose(np.random.default_rng(2), glyph(), look, size=64)[2, 2] for tile, look in looks.items()}
    assert (corners[Tile.ROUNDED] == WHITE).all()
    assert (corners[Tile.SQUARE] != WHITE).any()


def test_placing_a_mask_unchanged_gives_it_back() -> None:
    """At scale one and without offset the resampling is the identity, and halving gives block means."""
    same = placed(glyph(), scale=1.0, offset=np.zeros(2), pixels=MASTER)
    half = placed(glyph(), scale=1.0, offset=np.zeros(2), pixels=MASTER // 2)
    np.testing.assert_allclose(same, glyph() / 255.0, atol=1e-9)
    np.testing.assert_allclose(half, glyph().reshape(32, 2, 32, 2).mean(axis=(1, 3)) / 255.0, atol=1e-9)


def test_monograms_are_centred_and_large() -> None:
    """Every letter and digit is centred within a pixel and, at most as wide as the mask allows, a cap height tall."""
    letters = pack().glyphs[pack().glyph_families == Family.MONOGRAMS]
    for mask in letters[:: len(MONOGRAMS) // 2]:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert abs(rows[0] + rows[-1] - 63) <= 2
        assert abs(columns[0] + columns[-1] - 63) <= 2
        assert len(rows) >= 40 or len(columns) >= 56
