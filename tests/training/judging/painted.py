"""Images composed of a known glyph, with known faults added."""

from __future__ import annotations

import numpy as np

from models.subscale import Bytes
from training.data.tiles import MASTER, Look, compose
from training.data.vocabulary import Family, Tile
from training.judging.craft import Craft, craft
from training.judging.glyph_recovery import Floats, recover

Mask = Bytes


def ring(wobble: float = 0.0) -> Mask:
    """A ring (128, 128) whose edges wave by `wobble` pixels of the mask, 24 times around; 4 x 4 samples a pixel."""
    side = 4 * MASTER
    at = (np.arange(side) + 0.5) / 4 - MASTER / 2
    rows, columns = np.meshgrid(at, at, indexing="ij")
    radius = np.hypot(rows, columns) + wobble * np.sin(24 * np.arctan2(rows, columns))
    inside = (radius > 24) & (radius < 44)
    return np.asarray(inside.reshape(MASTER, 4, MASTER, 4).mean(axis=(1, 3)) * 255, np.uint8)


def disc() -> Mask:
    """A disc as wide as the ring."""
    at = np.arange(MASTER) + 0.5 - MASTER / 2
    inside = np.hypot(*np.meshgrid(at, at)) < 44
    return np.asarray(inside * np.uint8(255))


def picture(mask: Mask, tile: Tile = Tile.ROUNDED, *, hue: str = "blue", seed: int = 0, size: int = 64) -> Bytes:
    """The glyph in a hue on a tile."""
    look = Look(family=Family.ICONS, hue=hue, tile=tile)
    return compose(np.random.default_rng(seed), mask, look, size=size)


def coverage(pixels: Bytes, tile: Tile) -> Floats:
    """What is recovered of it."""
    return recover(pixels, tile).coverage


def faults(pixels: Bytes, tile: Tile = Tile.ROUNDED) -> Craft:
    """Its faults."""
    return craft(pixels, recover(pixels, tile), tile)
