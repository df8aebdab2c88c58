"""The split into train and held-out drawings, without near copies between them.

Whole icon sets and whole font families are held out. Sets borrow from each other, and typefaces share their strokes. So near
copies are found by thumbnails, and the train drawing of a pair is removed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.build.drawings import Drawing
from training.data.build.faces import HELD_OUT_FAMILIES
from training.data.build.icons import HELD_OUT_SETS
from training.data.vocabulary import Family

COPY: Final = 2.5
"""Mean absolute difference of 16 x 16 thumbnails, in 0..255, below which two drawings are near copies."""

_ROUNDING: Final = 0.01

Thumbnails = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Drawings for training and drawings for evaluation."""

    train: tuple[Drawing, ...]
    held_out: tuple[Drawing, ...]


def split(drawings: Iterable[Drawing]) -> Split:
    """Split drawings by set and family.

    Near copies of a drawing of the same label are removed, then train drawings that are near copies of any held-out one.
    """
    train: list[Drawing] = []
    held_out: list[Drawing] = []
    for each in by_label(drawings).values():
        held_out += distinct([drawing for drawing in each if is_held(drawing)])
        train += distinct([drawing for drawing in each if not is_held(drawing)])
    return Split(train=tuple(apart(train, held_out)), held_out=tuple(held_out))


def is_held(drawing: Drawing) -> bool:
    """Return whether the set or the family of a drawing is held out."""
    return drawing.source in (HELD_OUT_SETS if drawing.family is Family.ICONS else HELD_OUT_FAMILIES)


def by_label(drawings: Iterable[Drawing]) -> dict[str, list[Drawing]]:
    """Group drawings by label, in their order."""
    grouped: dict[str, list[Drawing]] = defaultdict(list)
    for drawing in drawings:
        grouped[drawing.label].append(drawing)
    return grouped


def distinct(drawings: Sequence[Drawing]) -> list[Drawing]:
    """Return the drawings without near copies of earlier ones."""
    rows = thumbnails(drawings)
    kept: list[int] = []
    for index, row in enumerate(rows):
        if not kept or np.abs(rows[kept] - row).mean(axis=1).min() >= COPY:
            kept.append(index)
    return [drawings[index] for index in kept]


def apart(drawings: Sequence[Drawing], others: Sequence[Drawing]) -> list[Drawing]:
    """Return the drawings that are no near copies of any of `others`."""
    copies = copied(thumbnails(drawings), thumbnails(others))
    return [drawing for drawing, copy in zip(drawings, copies, strict=True) if not copy]


def copied(some: Thumbnails, others: Thumbnails) -> NDArray[np.bool_]:
    """Return for each of `some` (n, d) whether any of `others` (m, d) is a near copy of it.

    Two drawings differ at least as much as their means, so most pairs need no full comparison.
    """
    order = np.argsort(others.mean(axis=1), kind="stable")
    ranked, means = others[order], others.mean(axis=1)[order]
    found = np.zeros(len(some), bool)
    for index, each in enumerate(some):
        low, high = np.searchsorted(means, each.mean() + np.array([-1, 1]) * (COPY + _ROUNDING))
        found[index] = bool((np.abs(ranked[low:high] - each).mean(axis=1) < COPY).any())
    return found


def thumbnails(drawings: Sequence[Drawing]) -> Thumbnails:
    """Return all thumbnails as rows."""
    return np.stack([drawing.thumbnail for drawing in drawings]) if drawings else np.zeros((0, 256), np.float32)
