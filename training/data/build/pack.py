"""The packed file: fixed arrays of drawings and held-out images, the same bytes on every build."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.build.drawings import Drawing
from training.data.build.split import Split
from training.data.masks import Masks
from training.data.symbols import Pack
from training.data.tiles import COMPOSED, MASTER, ImageArray, Look, compose
from training.data.vocabulary import HUE, LABEL, STYLE, TILE, Family, Tile

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_FROZEN: Final = {Family.ICONS: 400, Family.LETTERS: 300}
_SEED: Final = 1812


@dataclass(frozen=True, kw_only=True)
class _Frozen:
    """One held-out image, at both sizes."""

    drawing: int
    look: Look
    small: ImageArray
    large: ImageArray


def pack(split: Split) -> Pack:
    """Return all arrays of a split."""
    rng = np.random.default_rng(_SEED)
    held = Masks.of(each.pixels for each in split.held_out)
    frozen = list(_frozen(rng, split.held_out, held))
    order = [frozen[index] for index in rng.permutation(len(frozen))]
    drawings = [split.held_out[each.drawing] for each in order]
    looks = [(HUE.index(each.look.hue), TILE.index(each.look.tile)) for each in order]
    labels, styles = _labels(drawings), _styles(drawings)
    return Pack(
        glyphs=Masks.of(each.pixels for each in split.train),
        glyph_labels=_labels(split.train),
        glyph_styles=_styles(split.train),
        glyph_families=_families(split.train),
        glyph_sources=_sources(split.train),
        held_glyphs=held,
        held_glyph_labels=_labels(split.held_out),
        held_glyph_styles=_styles(split.held_out),
        held_glyph_families=_families(split.held_out),
        held_glyph_sources=_sources(split.held_out),
        held_images=np.stack([each.small for each in order]),
        held_large_images=np.stack([each.large for each in order]),
        held_controls=np.column_stack([labels, styles, np.array(looks, np.int64)]),
        held_families=_families(drawings),
        held_drawings=np.array([each.drawing for each in order], np.int64),
    )


def write(packed: Pack, path: Path) -> str:
    """Write a compressed npz without dates; return its sha256."""
    unfinished = path.with_suffix(".part")
    with zipfile.ZipFile(unfinished, "w") as archive:
        for name, array in packed.arrays().items():
            kind = zipfile.ZIP_STORED if name.endswith("_packed") else zipfile.ZIP_LZMA
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), _npy(array), kind)
    unfinished.replace(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _frozen(rng: np.random.Generator, held_out: Sequence[Drawing], masks: Masks) -> Iterator[_Frozen]:
    """Yield images of both families: labels, hues and tiles in turn, each time with another drawing."""
    for family, count in _FROZEN.items():
        for place, drawing in zip(range(count), _in_turn(rng, held_out, family), strict=False):
            hue, tile = HUE.values[place % len(HUE.values)], tuple(Tile)[place % len(Tile)]
            look, seed = Look(family=family, hue=hue, tile=tile), int(rng.integers(2**32))
            small, large = (
                compose(np.random.default_rng(seed), masks[drawing], look, size=size) for size in (COMPOSED, MASTER)
            )
            yield _Frozen(drawing=drawing, look=look, small=small, large=large)


def _in_turn(rng: np.random.Generator, drawings: Sequence[Drawing], family: Family) -> Iterator[int]:
    """Yield positions of the drawings of a family: one of each label, shuffled, then a second one of each, and so on."""
    by_label: dict[str, list[int]] = defaultdict(list)
    for index in rng.permutation(len(drawings)):
        if drawings[index].family is family:
            by_label[drawings[index].label].append(int(index))
    for depth in range(max(len(each) for each in by_label.values())):
        labels = [label for label in sorted(by_label) if depth < len(by_label[label])]
        yield from (by_label[labels[place]][depth] for place in rng.permutation(len(labels)))


def _labels(drawings: Sequence[Drawing]) -> NDArray[np.int64]:
    return np.array([LABEL.index(each.label) for each in drawings], np.int64)


def _styles(drawings: Sequence[Drawing]) -> NDArray[np.int64]:
    return np.array([STYLE.index(each.style) for each in drawings], np.int64)


def _families(drawings: Sequence[Drawing]) -> NDArray[np.int64]:
    return np.array([each.family for each in drawings], np.int64)


def _sources(drawings: Sequence[Drawing]) -> NDArray[np.str_]:
    return np.array([each.source for each in drawings])


def _npy(array: NDArray[np.generic]) -> bytes:
    data = io.BytesIO()
    np.lib.format.write_array(data, np.ascontiguousarray(array), allow_pickle=False)
    return data.getvalue()
