"""The criteria of the judge: the share of images that show what was requested, beside that of the reference images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from training.data.vocabulary import HUE, LABEL, MONOGRAMS, STYLE, TILE
from training.judging.craft import FAULTS, Craft
from training.judging.glyphs import FACES, ICON_STYLES
from training.judging.keepers import ImageKind, ReferenceImages, is_keeper, kind_of
from training.judging.observation import Observation
from training.judging.proportions import Proportion
from training.scoring.samples import ControlValues
from training.scoring.scores import markdown

_WEAKEST: Final = 8

_KEPT: Final = (LABEL.name, HUE.name, TILE.name)
"""The controls that a keeper has to show."""

Right = Callable[[ControlValues, Observation], bool]


@dataclass(frozen=True, kw_only=True)
class CriterionResult:
    """The share of images that meet a criterion, that of the reference images, and the values with the lowest shares."""

    kind: str
    images: Proportion
    real: Proportion
    weakest: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A criterion: the requests that it concerns, when an image is right, and the control whose values are compared."""

    kind: str
    concerns: Callable[[ControlValues], bool]
    right: Right
    values: str


def results(
    requests: Sequence[ControlValues], observations: Sequence[Observation], real: ReferenceImages
) -> list[CriterionResult]:
    """Return the result of every criterion that concerns some request."""
    return [found for each in criteria(real.bounds()) if (found := _result(each, requests, observations, real))]


def criteria(bounds: Mapping[ImageKind, Craft]) -> list[Criterion]:
    """Return all criteria."""

    def keeper(request: ControlValues, seen: Observation) -> bool:
        return is_keeper({name: request[name] for name in _KEPT}, seen, bounds)

    return [
        Criterion(kind="letters read", concerns=_letter, right=_shown(LABEL.name), values=LABEL.name),
        Criterion(kind="concepts read", concerns=_concept, right=_shown(LABEL.name), values=LABEL.name),
        Criterion(kind="hue", concerns=lambda request: HUE.name in request, right=_shown(HUE.name), values=HUE.name),
        Criterion(
            kind="tile", concerns=lambda request: TILE.name in request, right=_shown(TILE.name), values=TILE.name
        ),
        Criterion(
            kind="solid or outline",
            concerns=lambda request: request.get(STYLE.name) in ICON_STYLES,
            right=_shown(STYLE.name),
            values=STYLE.name,
        ),
        Criterion(
            kind="face of letters",
            concerns=lambda request: request.get(STYLE.name) in FACES,
            right=_shown(STYLE.name),
            values=STYLE.name,
        ),
        Criterion(kind="not blank", concerns=lambda _: True, right=lambda _, seen: not seen.blank, values=TILE.name),
        Criterion(
            kind="keepers, letters",
            concerns=lambda request: _letter(request) and TILE.name in request,
            right=keeper,
            values=LABEL.name,
        ),
        Criterion(
            kind="keepers, concepts",
            concerns=lambda request: _concept(request) and TILE.name in request,
            right=keeper,
            values=LABEL.name,
        ),
    ]


def faults(
    requests: Sequence[ControlValues], observations: Sequence[Observation], bounds: Mapping[ImageKind, Craft]
) -> dict[str, Proportion]:
    """Return for each fault the share of images within the bound, of those with a label and a tile in the request."""
    chosen = [
        (kind_of(a), s.craft) for a, s in zip(requests, observations, strict=True) if {LABEL.name, TILE.name} <= set(a)
    ]
    return {
        fault: Proportion.of([getattr(craft, fault) <= getattr(bounds[kind], fault) for kind, craft in chosen])
        for fault in FAULTS
    }


def table(found: Sequence[CriterionResult]) -> str:
    """Return the results as a Markdown table."""
    rows = [
        [v.kind, str(v.images.count), str(v.images), f"{v.real.value:.1%} of {v.real.count}", _few(v.weakest)]
        for v in found
    ]
    return markdown(["requested", "images", "right (95 %)", "real held-out", "least"], rows)


def _result(
    criterion: Criterion, requests: Sequence[ControlValues], observations: Sequence[Observation], real: ReferenceImages
) -> CriterionResult | None:
    pairs = [(a, s) for a, s in zip(requests, observations, strict=True) if criterion.concerns(a)]
    if not pairs:
        return None
    by_value: dict[str, list[bool]] = defaultdict(list)
    for a, s in pairs:
        by_value[a.get(criterion.values, "any")].append(criterion.right(a, s))
    shares = {value: Proportion.of(hits).value for value, hits in by_value.items()}
    weakest = sorted(shares, key=lambda value: shares[value])[:_WEAKEST]
    others = [(a, s) for a, s in zip(real.requests, real.observations, strict=True) if criterion.concerns(a)]
    return CriterionResult(
        kind=criterion.kind,
        images=Proportion.of([hit for hits in by_value.values() for hit in hits]),
        real=Proportion.of([criterion.right(a, s) for a, s in others]),
        weakest={value: shares[value] for value in weakest},
    )


def _few(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{value} {share:.0%}" for value, share in shares.items())


def _shown(control: str) -> Right:
    return lambda request, seen: seen.shows(control, request[control])


def _letter(request: ControlValues) -> bool:
    return request.get(LABEL.name) in MONOGRAMS


def _concept(request: ControlValues) -> bool:
    return LABEL.name in request and not _letter(request)
