"""The requests by which a model is judged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import cycle, islice
from typing import Final

from models.config import Control
from training.data.vocabulary import CONCEPTS, HUE, LABEL, MONOGRAMS, STYLE, TILE, Style
from training.judging.glyphs import FACES, ICON_STYLES
from training.scoring.samples import ControlValues

_STRIDE: Final = 17
"""Coprime to the number of looks: neighbours differ in hue, and often in tile."""


def judged_requests(controls: Sequence[Control], each: int, *, labels: Collection[str] = ()) -> list[ControlValues]:
    """Return `each` requests per label with a hue and a tile, half of them again with a style, and `each` per look alone.

    With `labels` only requests for those labels. A model gets no request for a control or a value that it does not have.
    A model without styles is older than the concepts: some of its categories have their names and mean something else.
    """
    offered = {control.name: set(control.values) for control in controls}
    known = offered.get(LABEL.name, set())
    letters = [label for label in MONOGRAMS if label in known]
    concepts = [label for label in CONCEPTS if label in known and STYLE.name in offered]
    hues, tiles = (
        [value for value in control.values if value in offered.get(control.name, set())] for control in (HUE, TILE)
    )
    looks = [{HUE.name: hue, TILE.name: tile} for tile in tiles for hue in hues]
    requests = [*_with_looks(letters, looks, each), *_with_looks(concepts, looks, each), *(looks * each)]
    if STYLE.name in offered:
        requests += [*_styled(letters, FACES, each), *_styled(concepts, ICON_STYLES, each)]
    return [request for request in requests if request.get(LABEL.name) in labels] if labels else requests


def _with_looks(labels: Sequence[str], looks: Sequence[ControlValues], each: int) -> list[ControlValues]:
    """Return every label `each` times with hues and tiles in turn: neighbours in the list differ in both."""
    mixed = [looks[place * _STRIDE % len(looks)] for place in range(len(looks))]
    repeated = [label for _ in range(each) for label in labels]
    return [{LABEL.name: label, **look} for label, look in zip(repeated, cycle(mixed), strict=False)]


def _styled(labels: Sequence[str], styles: Iterable[Style], each: int) -> list[ControlValues]:
    """Return half as many requests as `each` per label, at least one, with styles in turn."""
    repeated = [label for _ in range(max(1, each // 2)) for label in labels]
    turns = islice(cycle(styles), len(repeated))
    return [{LABEL.name: label, STYLE.name: style.value} for label, style in zip(repeated, turns, strict=True)]
