"""Verdicts: what is seen in images beside what was asked for, and beside the same of real held-out pictures."""

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
"""What a keeper has to show."""

Right = Callable[[ControlValues, Observation], bool]


@dataclass(frozen=True, kw_only=True)
class CriterionResult:
    """The share of images of one kind that are right; the same of real held-out pictures; the values right least often."""

    kind: str
    images: Proportion
    real: Proportion
    weakest: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """What a verdict is about: which requests, what counts as right, and by which control its values are told apart."""

    kind: str
    concerns: Callable[[ControlValues], bool]
    right: Right
    values: str


def results(
    asked: Sequence[ControlValues], seen: Sequence[Observation], real: ReferenceImages
) -> list[CriterionResult]:
    """Return a verdict for every question that some request concerns."""
    return [verdict for question in criteria(real.bounds()) if (verdict := _verdict(question, asked, seen, real))]


def criteria(bounds: Mapping[ImageKind, Craft]) -> list[Criterion]:
    """All that is asked about images."""

    def keeper(asked: ControlValues, seen: Observation) -> bool:
        return is_keeper({name: asked[name] for name in _KEPT}, seen, bounds)

    return [
        Criterion(kind="letters read", concerns=_letter, right=_shown(LABEL.name), values=LABEL.name),
        Criterion(kind="concepts read", concerns=_concept, right=_shown(LABEL.name), values=LABEL.name),
        Criterion(kind="hue", concerns=lambda asked: HUE.name in asked, right=_shown(HUE.name), values=HUE.name),
        Criterion(kind="tile", concerns=lambda asked: TILE.name in asked, right=_shown(TILE.name), values=TILE.name),
        Criterion(
            kind="solid or outline",
            concerns=lambda asked: asked.get(STYLE.name) in ICON_STYLES,
            right=_shown(STYLE.name),
            values=STYLE.name,
        ),
        Criterion(
            kind="face of letters",
            concerns=lambda asked: asked.get(STYLE.name) in FACES,
            right=_shown(STYLE.name),
            values=STYLE.name,
        ),
        Criterion(kind="not blank", concerns=lambda _: True, right=lambda _, seen: not seen.blank, values=TILE.name),
        Criterion(
            kind="keepers, letters",
            concerns=lambda asked: _letter(asked) and TILE.name in asked,
            right=keeper,
            values=LABEL.name,
        ),
        Criterion(
            kind="keepers, concepts",
            concerns=lambda asked: _concept(asked) and TILE.name in asked,
            right=keeper,
            values=LABEL.name,
        ),
    ]


def faults(
    asked: Sequence[ControlValues], seen: Sequence[Observation], bounds: Mapping[ImageKind, Craft]
) -> dict[str, Proportion]:
    """Return, fault by fault, the share of images within the bound, of those whose label and tile were asked for."""
    chosen = [(kind_of(a), s.craft) for a, s in zip(asked, seen, strict=True) if {LABEL.name, TILE.name} <= set(a)]
    return {
        fault: Proportion.of([getattr(craft, fault) <= getattr(bounds[kind], fault) for kind, craft in chosen])
        for fault in FAULTS
    }


def table(found: Sequence[CriterionResult]) -> str:
    """The verdicts as a Markdown table."""
    rows = [
        [v.kind, str(v.images.count), str(v.images), f"{v.real.value:.1%} of {v.real.count}", _few(v.weakest)]
        for v in found
    ]
    return markdown(["asked for", "images", "right (95 %)", "real held-out", "least"], rows)


def _verdict(
    question: Criterion, asked: Sequence[ControlValues], seen: Sequence[Observation], real: ReferenceImages
) -> CriterionResult | None:
    pairs = [(a, s) for a, s in zip(asked, seen, strict=True) if question.concerns(a)]
    if not pairs:
        return None
    by_value: dict[str, list[bool]] = defaultdict(list)
    for a, s in pairs:
        by_value[a.get(question.values, "any")].append(question.right(a, s))
    shares = {value: Proportion.of(hits).value for value, hits in by_value.items()}
    weakest = sorted(shares, key=lambda value: shares[value])[:_WEAKEST]
    others = [(a, s) for a, s in zip(real.asked, real.seen, strict=True) if question.concerns(a)]
    return CriterionResult(
        kind=question.kind,
        images=Proportion.of([hit for hits in by_value.values() for hit in hits]),
        real=Proportion.of([question.right(a, s) for a, s in others]),
        weakest={value: shares[value] for value in weakest},
    )


def _few(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{value} {share:.0%}" for value, share in shares.items())


def _shown(control: str) -> Right:
    return lambda asked, seen: seen.shows(control, asked[control])


def _letter(asked: ControlValues) -> bool:
    return asked.get(LABEL.name) in MONOGRAMS


def _concept(asked: ControlValues) -> bool:
    return LABEL.name in asked and not _letter(asked)
