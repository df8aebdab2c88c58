"""Classification accuracy score (arXiv:1905.10887): a classifier trained on samples only, tested on real drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW
from tqdm import tqdm

from research.evidence.drawings import KINDS, Drawings, correct
from training.data.vocabulary import LABEL
from training.judging.bending import bent
from training.judging.reader import names
from training.scoring.scores import markdown

STEPS: Final = 600
BATCH: Final = 32
RATE: Final = 3e-3
CLASSIFIERS: Final = 3
"""Classifiers with different seeds, whose accuracies are averaged."""

REAL: Final = "real"
"""How the name of a source of real images begins."""

_RESAMPLES: Final = 4000
_WIDTHS: Final = (1, 24, 48, 96, 128)


class GlyphClassifier(nn.Module):
    """Four strided convolutions over glyphs at half the size: (B, 1, 64, 64) in 0..1 -> logits of all labels."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.AvgPool2d(2)]
        for before, after in pairwise(_WIDTHS):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(4 * _WIDTHS[-1], len(LABEL.values))
        )

    def forward(self, glyphs: Tensor) -> Tensor:
        """Return logits: (B, 1, 64, 64) -> (B, labels)."""
        out: Tensor = self.layers(glyphs * 2 - 1)
        return out


@dataclass(frozen=True, kw_only=True)
class ClassificationAccuracy:
    """Mean accuracy of `CLASSIFIERS` trained on `source`; ratio to those trained on real images, with its 95 % interval."""

    kind: str
    source: str
    trained_on: int
    tested_on: int
    accuracy: float
    ratio: float
    interval: tuple[float, float]


def scores(test: Drawings, sources: Mapping[str, Drawings]) -> list[ClassificationAccuracy]:
    """Train classifiers on the drawings of each source, and test them on `test`; the first source is real."""
    rights = {
        source: np.mean([right_answers(drawings, test, seed) for seed in range(CLASSIFIERS)], axis=0)
        for source, drawings in sources.items()
    }
    real = next(iter(rights.values()))
    found = []
    for kind in KINDS:
        tested = test.of_kind(kind)
        for source, right in rights.items():
            accuracy = ClassificationAccuracy(
                kind=kind,
                source=source,
                trained_on=int(sources[source].of_kind(kind).sum()),
                tested_on=int(tested.sum()),
                accuracy=float(right[tested].mean()),
                ratio=float(right[tested].mean() / real[tested].mean()),
                interval=ratio_interval(right[tested], real[tested]),
            )
            found.append(accuracy)
    return found


def right_answers(drawings: Drawings, test: Drawings, seed: int) -> NDArray[np.bool_]:
    """Return which test drawings a new classifier gets right after its training: (n,)."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    classifier = GlyphClassifier()
    optimizer = AdamW(classifier.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
    labels = torch.from_numpy(drawings.labels)
    for _ in tqdm(range(STEPS), desc=f"classifier {seed}", leave=False):
        rows = rng.integers(len(drawings), size=BATCH)
        logits = classifier(bent(rng, drawings.windows[rows]))
        loss = F.cross_entropy(logits, labels[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        answers = classifier.eval()(test.windows).softmax(-1).numpy()
    return correct(names(answers), test.labels)


def ratio_interval(right: NDArray[np.float64], real: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval over the test drawings, both sides resampled together."""
    count = len(right)
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    low, high = np.percentile(weights @ right / np.maximum(weights @ real, 1e-9), (2.5, 97.5))
    return float(low), float(high)


def table(all_scores: Sequence[ClassificationAccuracy]) -> str:
    """Return one line per kind and source, those of real images first."""
    in_order = sorted(all_scores, key=lambda s: (KINDS.index(s.kind), not s.source.startswith(REAL), s.source))
    lines = [
        [
            s.kind,
            s.source,
            str(s.trained_on),
            str(s.tested_on),
            f"{s.accuracy:.1%}",
            f"{s.ratio:.2f} ({s.interval[0]:.2f} to {s.interval[1]:.2f})",
        ]
        for s in in_order
    ]
    return markdown(["labels", "trained on", "n", "tested on", "accuracy", "of real"], lines)


def record(all_scores: Sequence[ClassificationAccuracy]) -> list[dict[str, object]]:
    """Return the scores for JSON."""
    return [asdict(s) for s in all_scores]
