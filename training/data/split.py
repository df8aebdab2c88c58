"""Which drawings are held out, and that none of them has a near twin among those trained on.

Packages name the same drawing differently, so a split by name alone leaks: twins are found by their thumbnails.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.drawings import Drawing

TWIN: Final = 8.0
"""Mean absolute difference of 16 x 16 thumbnails, in 0..255, below which two drawings are twins."""

_HELD_SHARE: Final = 0.07
_LARGEST_HELD: Final = 30
_SAME_ICON: Final = 4.0
_SAME_LETTER: Final = 2.0
_ROUNDING: Final = 0.01

Thumbnails = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Drawings to train on and drawings to judge by."""

    train: tuple[Drawing, ...]
    held_out: tuple[Drawing, ...]


def split_glyphs(icons: list[Drawing], letters: list[Drawing], held_faces: frozenset[str]) -> Split:
    """Icons by concept, letters by face. Near a held-out icon the train icon goes; near any letter the held-out one goes."""
    by_concept = _by_concept(_distinct(icons, _SAME_ICON))
    faces = _by(_distinct(letters, _SAME_LETTER), lambda drawing: drawing.concept in held_faces)
    train_icons = _apart(by_concept.train, by_concept.held_out)
    held_letters = _apart(faces.held_out, (*train_icons, *faces.train))
    held_icons = _apart(by_concept.held_out, faces.train)
    return Split(train=(*train_icons, *faces.train), held_out=(*held_icons, *held_letters))


def split_emoji(emoji: list[Drawing]) -> Split:
    """Emoji by concept across all styles; near a held-out one the train emoji goes."""
    halves = _by_concept(_distinct(emoji, _SAME_ICON))
    return Split(train=_apart(halves.train, halves.held_out), held_out=halves.held_out)


def twinned(some: Thumbnails, others: Thumbnails) -> NDArray[np.bool_]:
    """For each of `some` (n, d), whether any of `others` (m, d) is its twin.

    Two drawings differ at least as much as their means do: most pairs need no closer look.
    """
    means = others.mean(axis=1)
    candidates = (others[np.abs(means - each.mean()) < TWIN + _ROUNDING] for each in some)
    pairs = zip(some, candidates, strict=True)
    return np.array([bool((np.abs(near - each).mean(axis=1) < TWIN).any()) for each, near in pairs])


def thumbnails(drawings: tuple[Drawing, ...]) -> Thumbnails:
    """All thumbnails as rows."""
    return np.stack([drawing.thumbnail for drawing in drawings])


def held(concept: str) -> bool:
    """Whether a concept's hash falls into the held-out share."""
    return int.from_bytes(hashlib.sha256(concept.encode()).digest()[:4]) < _HELD_SHARE * 2**32


def _by_concept(drawings: tuple[Drawing, ...]) -> Split:
    """By hash; a concept of very many drawings is always trained on, else it would be most of what is held out."""
    sizes = Counter(drawing.concept for drawing in drawings)
    return _by(drawings, lambda drawing: held(drawing.concept) and sizes[drawing.concept] <= _LARGEST_HELD)


def _by(drawings: tuple[Drawing, ...], is_held: Callable[[Drawing], bool]) -> Split:
    return Split(
        train=tuple(drawing for drawing in drawings if not is_held(drawing)),
        held_out=tuple(drawing for drawing in drawings if is_held(drawing)),
    )


def _apart(drawings: tuple[Drawing, ...], others: tuple[Drawing, ...]) -> tuple[Drawing, ...]:
    """The drawings that are no twin of any of `others`."""
    twins = twinned(thumbnails(drawings), thumbnails(others))
    return tuple(drawing for drawing, twin in zip(drawings, twins, strict=True) if not twin)


def _distinct(drawings: list[Drawing], gap: float) -> tuple[Drawing, ...]:
    """Greedily, in order: a drawing nearer than `gap` to one already kept, of the same label or not, is dropped."""
    rows = thumbnails(tuple(drawings))
    kept: list[int] = []
    for index, row in enumerate(rows):
        if not kept or np.abs(rows[kept] - row).mean(axis=1).min() >= gap:
            kept.append(index)
    return tuple(drawings[index] for index in kept)
