"""The committed symbols pack keeps its promises, and the composer draws what was asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data.build.split import COPY, copied
from training.data.colours import hue_of
from training.data.masks import Masks
from training.data.symbols import DEFAULT, LETTER_SHARES, Mix, Pack, Symbols
from training.data.tiles import COMPOSED, MASTER, Look, box, compose, placed
from training.data.vocabulary import (
    ALIASES,
    CONCEPTS,
    CONTROLS,
    FAMILIES,
    HUE,
    LABEL,
    MONOGRAMS,
    STYLE,
    Family,
    Style,
    Tile,
)

WHITE = 255
FEWEST_CONCEPTS = 120
FEWEST_DRAWINGS = 100
FEWEST_ANYWHERE = 75
FEWEST_HELD_LETTERS = 20


@cache
def pack() -> Pack:
    """The committed file, read once."""
    return Pack.read(DEFAULT)


@cache
def thumbnails(*, held: bool) -> NDArray[np.float32]:
    """Drawings of one split as 16 x 16 block means, one row each."""
    masks = pack().held_glyphs if held else pack().glyphs
    rows = [mask.reshape(16, MASTER // 16, 16, MASTER // 16).mean(axis=(1, 3)).ravel() for mask in masks]
    return np.stack(rows).astype(np.float32)


def glyph() -> NDArray[np.uint8]:
    """One icon of the pack."""
    return pack().glyphs[int(np.flatnonzero(pack().glyph_families == Family.ICONS)[0])]


def tile_pixels(hue: str, seed: int) -> NDArray[np.float64]:
    """The colours, in 0..1, along the top of a square tile, above its glyph."""
    look = Look(family=Family.ICONS, hue=hue, tile=Tile.SQUARE)
    image = compose(np.random.default_rng(seed), glyph(), look, size=64)
    return image[4:7, 4:60].reshape(-1, 3) / 255.0


def test_no_held_out_drawing_has_a_copy_among_the_trained() -> None:
    """Every held-out mask is at least the copy distance away from every train mask, but for the rounding of coverage."""
    copies = copied(thumbnails(held=True), thumbnails(held=False))
    nearest = [np.abs(thumbnails(held=False) - each).mean(axis=1).min() for each in thumbnails(held=True)[copies]]
    assert all(distance > COPY - 0.5 for distance in nearest)


def test_copies_are_found_up_to_the_copy_distance() -> None:
    """A drawing made evenly darker is a copy just below the distance and none just above it, as by plain comparison."""
    plain = np.full((1, 256), 100, np.float32)
    others = plain + np.array([[COPY + 0.5], [3 * COPY]], np.float32)
    assert not copied(plain, others).any()
    assert copied(plain, others - 1).all()
    rows = thumbnails(held=True)[:600:2]
    distances = np.abs(rows[:40, None] - rows[None, 40:]).mean(axis=2)
    assert (copied(rows[:40], rows[40:]) == (distances < COPY).any(axis=1)).all()


def test_no_source_is_both_trained_on_and_held_out() -> None:
    """Icon sets and font families of the two splits have nothing in common."""
    assert not set(pack().glyph_sources.tolist()) & set(pack().held_glyph_sources.tolist())


def test_every_family_and_style_is_in_both_splits() -> None:
    """Icons and letters, and all seven styles, are trained on and judged by."""
    assert set(pack().glyph_families) == set(pack().held_families) == set(range(len(FAMILIES)))
    assert set(pack().glyph_styles) == set(pack().held_glyph_styles) == set(range(1, len(STYLE.values) + 1))


def test_every_label_has_drawings_enough() -> None:
    """At least 120 concepts with a hundred train drawings each, none with less than 75; letters are held out twenty times."""
    train = np.bincount(pack().glyph_labels, minlength=len(LABEL.values) + 1)[1:]
    held = np.bincount(pack().held_glyph_labels, minlength=len(LABEL.values) + 1)[1:]
    assert (train[len(MONOGRAMS) :] >= FEWEST_DRAWINGS).sum() >= FEWEST_CONCEPTS
    assert train.min() >= FEWEST_ANYWHERE
    assert held.min() > 0
    assert held[: len(MONOGRAMS)].min() >= FEWEST_HELD_LETTERS


def test_held_out_images_show_every_label() -> None:
    """And are of the drawing that is named beside them."""
    assert set(pack().held_controls[:, 0]) == set(range(1, len(LABEL.values) + 1))
    assert (pack().held_glyph_labels[pack().held_drawings] == pack().held_controls[:, 0]).all()
    assert (pack().held_glyph_styles[pack().held_drawings] == pack().held_controls[:, 1]).all()


def test_letters_and_icons_have_styles_of_their_own() -> None:
    """Solid and outline are icons; the others are letters."""
    solid = pack().glyph_styles <= STYLE.index(Style.OUTLINE)
    assert (solid == (pack().glyph_families == Family.ICONS)).all()


def test_other_names_mean_labels() -> None:
    """Small letters are letters, and a house is a home."""
    assert LABEL.index("a") == LABEL.index("A")
    assert LABEL.index("house") == LABEL.index("home")
    assert set(ALIASES.values()) <= set(CONCEPTS)


@pytest.mark.parametrize("mix", list(Mix))
def test_a_mix_has_its_share_of_letters(mix: Mix) -> None:
    """Within four standard deviations, of a thousand images."""
    families = Symbols(pack(), size=32, mix=mix).draw(np.random.default_rng(1), 1000).families
    assert abs((families == Family.LETTERS).mean() - LETTER_SHARES[mix]) < 4 * 0.5 / 1000**0.5


def test_masks_come_back_as_they_were() -> None:
    """Within half a level; one, some and all; what is packed again is the same."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 256, (5, MASTER, MASTER), dtype=np.uint8)
    packed = Masks.of(masks)
    assert np.abs(packed[:].astype(int) - masks).max() <= 18
    assert (packed[3] == packed[np.array([1, 3])][1]).all()
    assert (np.stack(list(packed)) == packed[np.ones(5, bool)]).all()
    again = Masks.of(packed)
    assert (again.packed == packed.packed).all()
    assert packed[:0].shape == (0, MASTER, MASTER)


def test_manifest_names_the_packs_hash() -> None:
    """The manifest belongs to the committed file, and to the frozen vocabulary."""
    manifest = json.loads(DEFAULT.with_name("manifest.json").read_text(encoding="utf-8"))
    assert manifest["sha256"] == hashlib.sha256(DEFAULT.read_bytes()).hexdigest()
    assert manifest["controls"] == {control.name: list(control.values) for control in CONTROLS}
    assert manifest["aliases"] == {LABEL.name: dict(LABEL.aliases)}


def test_notice_names_every_source() -> None:
    """Whoever ships the pack finds each package's licence notice."""
    manifest = json.loads(DEFAULT.with_name("manifest.json").read_text(encoding="utf-8"))
    notice = DEFAULT.with_name("NOTICE").read_text(encoding="utf-8")
    assert [source["package"] for source in manifest["sources"] if source["package"] not in notice] == []
    assert [each["title"] for each in manifest["sets"] if each["title"] not in notice] == []
    used = {each["prefix"] for each in manifest["sets"]} | {
        source["package"].removeprefix("@fontsource/") for source in manifest["sources"]
    }
    assert {*pack().glyph_sources.tolist(), *pack().held_glyph_sources.tolist()} <= used | {"@iconify/json"}


def test_pack_is_small_enough_for_git() -> None:
    """The file stays under 35 MB."""
    assert DEFAULT.stat().st_size < 35e6


@pytest.mark.parametrize("size", [32, 64, 128])
def test_controls_are_within_the_vocabulary(size: int) -> None:
    """Training and held-out batches have the asked size, and no control index without a value."""
    symbols = Symbols(pack(), size=size)
    limits = [len(control.values) for control in CONTROLS]
    for batch in (symbols.draw(np.random.default_rng(3), 64), symbols.held_out()):
        assert batch.images.shape[1:] == (size, size, 3)
        assert batch.controls.min() >= 1
        assert (batch.controls <= limits).all()


def test_same_generator_state_draws_the_same_images() -> None:
    """Two draws from equal generators are equal, byte for byte; from others they are not."""
    symbols = Symbols(pack(), size=32)
    first, again, other = (symbols.draw(np.random.default_rng(seed), 16) for seed in (5, 5, 6))
    assert (first.images == again.images).all()
    assert (first.controls == again.controls).all()
    assert (first.images != other.images).any()


def test_small_images_are_the_large_ones_boxed_down() -> None:
    """Composing at 32 gives the block means of composing at 64."""
    large, small = (Symbols(pack(), size=size).held_out().images for size in (64, 32))
    look = Look(family=Family.ICONS, hue="teal", tile=Tile.ROUNDED)
    images = [compose(np.random.default_rng(1), glyph(), look, size=size) for size in (64, 32)]
    assert (box(images[0], 32) == images[1]).all()
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
    dot[56:72, 56:72] = WHITE
    look = Look(family=Family.ICONS, hue="blue", tile=tile)
    image = compose(np.random.default_rng(2), dot, look, size=64)
    assert (image[[0, 0, -1, -1], [0, -1, 0, -1]] == WHITE).all()
    assert bool((image[7, 7] < WHITE).any()) == corner
    assert bool((image[4, 32] < WHITE).any()) == edge


def test_only_the_square_tile_has_its_corner() -> None:
    """The outermost painted pixel of the square is white on a rounded tile."""
    looks = {tile: Look(family=Family.ICONS, hue="blue", tile=tile) for tile in (Tile.SQUARE, Tile.ROUNDED)}
    corners = {tile: compose(np.random.default_rng(2), glyph(), look, size=64)[2, 2] for tile, look in looks.items()}
    assert (corners[Tile.ROUNDED] == WHITE).all()
    assert (corners[Tile.SQUARE] != WHITE).any()


def test_placing_a_mask_unchanged_gives_it_back() -> None:
    """At scale one and without offset the resampling is the identity, and halving gives block means."""
    same = placed(glyph(), scale=1.0, offset=np.zeros(2), pixels=MASTER)
    half = placed(glyph(), scale=1.0, offset=np.zeros(2), pixels=COMPOSED)
    np.testing.assert_allclose(same, glyph() / 255.0, atol=1e-9)
    np.testing.assert_allclose(half, glyph().reshape(64, 2, 64, 2).mean(axis=(1, 3)) / 255.0, atol=1e-9)


def test_monograms_are_centred_and_large() -> None:
    """Every letter and digit is centred within two pixels and fills about half of the mask or more."""
    letters = np.flatnonzero(pack().glyph_families == Family.LETTERS)
    for mask in pack().glyphs[letters[::37]]:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert abs(rows[0] + rows[-1] - 127) <= 4
        assert abs(columns[0] + columns[-1] - 127) <= 4
        assert max(len(rows), len(columns)) >= 60
