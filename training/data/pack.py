"""The packed file: fixed arrays of train drawings and held-out pictures, the same bytes on every build."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.colours import hue_index
from training.data.drawings import Drawing
from training.data.split import Split
from training.data.symbols import Pack
from training.data.tiles import MASTER, Look, compose
from training.data.vocabulary import HUE, LABEL, NEUTRAL, TILE, Family, Tile

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_TILES: Final = 400
_MONOGRAMS: Final = 300
_WHITE: Final = 250
_COLOURED: Final = 0.2
_SEED: Final = 1812


def pack(glyphs: Split, emoji: Split) -> Pack:
    """All arrays, from both splits."""
    rng = np.random.default_rng(_SEED)
    composed = list(_renderings(rng, glyphs.held_out))
    drawn = [(each.pixels, _emoji_controls(each), each) for each in emoji.held_out]
    held = [(composed + drawn)[index] for index in rng.permutation(len(composed) + len(drawn))]
    return Pack(
        glyphs=_pixels(glyphs.train),
        glyph_labels=_labels(glyphs.train),
        glyph_families=_families(glyphs.train),
        glyph_concepts=_concepts(glyphs.train),
        emoji=_pixels(emoji.train),
        emoji_labels=_labels(emoji.train),
        emoji_hues=np.array([HUE.index(dominant_hue(each.pixels)) for each in emoji.train], np.int64),
        emoji_families=_families(emoji.train),
        emoji_concepts=_concepts(emoji.train),
        held_glyphs=_pixels(glyphs.held_out),
        held_glyph_concepts=_concepts(glyphs.held_out),
        held_images=np.stack([image for image, _, _ in held]),
        held_controls=np.array([controls for _, controls, _ in held], np.int64),
        held_families=_families(each for _, _, each in held),
        held_concepts=_concepts(each for _, _, each in held),
    )


def write(packed: Pack, path: Path) -> str:
    """Writes a compressed npz without dates; gives its sha256."""
    unfinished = path.with_suffix(".part")
    with zipfile.ZipFile(unfinished, "w") as archive:
        for field in fields(packed):
            member = zipfile.ZipInfo(f"{field.name}.npy", _EPOCH)
            archive.writestr(member, _npy(getattr(packed, field.name)), zipfile.ZIP_LZMA)
    unfinished.replace(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def dominant_hue(picture: NDArray[np.uint8]) -> str:
    """The hue that covers most of a picture (H, W, 3) on white; neutral where colour covers next to nothing."""
    painted = picture[picture.min(axis=-1) < _WHITE] / 255.0
    named = hue_index(painted)
    coloured = named[named != HUE.values.index(NEUTRAL)]
    if len(coloured) < max(1, _COLOURED * len(named)):
        return NEUTRAL
    return HUE.values[int(np.bincount(coloured).argmax())]


_Row = tuple[NDArray[np.uint8], tuple[int, int, int], Drawing]


def _renderings(rng: np.random.Generator, held_out: tuple[Drawing, ...]) -> Iterable[_Row]:
    """Frozen tiles and monograms: the held-out glyphs in turn, every hue and ground in turn."""
    for family, count in ((Family.TILES, _TILES), (Family.MONOGRAMS, _MONOGRAMS)):
        glyphs = [each for each in held_out if each.family is family]
        order = rng.permutation(len(glyphs))
        for index in range(count):
            yield _rendering(rng, glyphs[order[index % len(glyphs)]], index)


def _rendering(rng: np.random.Generator, glyph: Drawing, index: int) -> _Row:
    hue, tile = HUE.values[index % len(HUE.values)], tuple(Tile)[index % len(Tile)]
    image = compose(rng, glyph.pixels, Look(family=glyph.family, hue=hue, tile=tile), size=MASTER)
    return image, (LABEL.index(glyph.label), HUE.index(hue), TILE.index(tile)), glyph


def _emoji_controls(each: Drawing) -> tuple[int, int, int]:
    return LABEL.index(each.label), HUE.index(dominant_hue(each.pixels)), TILE.index(Tile.NONE)


def _pixels(drawings: Iterable[Drawing]) -> NDArray[np.uint8]:
    return np.stack([each.pixels for each in drawings])


def _labels(drawings: Iterable[Drawing]) -> NDArray[np.int64]:
    return np.array([LABEL.index(each.label) for each in drawings], np.int64)


def _families(drawings: Iterable[Drawing]) -> NDArray[np.int64]:
    return np.array([each.family for each in drawings], np.int64)


def _concepts(drawings: Iterable[Drawing]) -> NDArray[np.str_]:
    return np.array([each.concept for each in drawings])


def _npy(array: NDArray[np.generic]) -> bytes:
    data = io.BytesIO()
    np.lib.format.write_array(data, np.ascontiguousarray(array), allow_pickle=False)
    return data.getvalue()
