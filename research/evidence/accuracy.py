"""Classification accuracy score (arXiv:1905.10887): a classifier that has seen samples only, tested on real pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F
from torch.optim import AdamW
from tqdm import tqdm

from models.subscale import Bytes
from research.evidence.classifier import CLASSES, Classifier, class_of, scaled
from training.data.symbols import ImageBatch
from training.data.vocabulary import MONOGRAMS, Family
from training.scoring.scores import markdown

STEPS: Final = 800
BATCH: Final = 64
RATE: Final = 3e-3
TEACHERS: Final = 3
"""Classifiers from other seeds, whose answers are averaged in the score."""

_RESAMPLES: Final = 4000

Classes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LabelledTestSet:
    """Real held-out pictures with their classes, -1 for what is not asked."""

    name: str
    pictures: Bytes
    classes: Classes
    count: int


@dataclass(frozen=True, kw_only=True)
class ClassificationAccuracy:
    """Accuracy of classifiers taught by `source`, mean of `TEACHERS`; ratio to those taught by real pictures, 95 % interval."""

    test: str
    source: str
    taught: int
    tested: int
    accuracy: float
    ratio: float
    interval: tuple[float, float]


def letters_test_set(held_out: ImageBatch) -> LabelledTestSet:
    """Held-out monograms: families that nobody was trained on; O and 0 are one class, and I and 1."""
    chosen = held_out.families == Family.LETTERS
    classes = letter_classes(held_out.controls[chosen, 0])
    return LabelledTestSet(name="monograms", pictures=held_out.images[chosen], classes=classes, count=len(CLASSES))


def letter_classes(labels: NDArray[np.int64]) -> Classes:
    """Of control indices."""
    return np.array([class_of(MONOGRAMS[label - 1]) for label in labels])


def scores(exam: LabelledTestSet, sources: dict[str, Bytes], classes: Classes) -> list[ClassificationAccuracy]:
    """Each source's pictures, which show `classes`, teach classifiers of their own; the first source is real.

    Last comes what needs no picture: to name the commonest class always.
    """
    rights = {
        name: np.mean([taught(pictures, classes, exam, seed) for seed in range(TEACHERS)], axis=0)
        for name, pictures in sources.items()
    }
    rights["nothing: the commonest class"] = (exam.classes == np.bincount(classes).argmax()).astype(float)
    real = next(iter(rights.values()))
    return [
        ClassificationAccuracy(
            test=exam.name,
            source=name,
            taught=len(classes),
            tested=len(right),
            accuracy=float(right.mean()),
            ratio=float(right.mean() / real.mean()),
            interval=ratio_interval(right, real),
        )
        for name, right in rights.items()
    ]


def taught(pictures: Bytes, classes: Classes, exam: LabelledTestSet, seed: int) -> NDArray[np.bool_]:
    """Which of the exam's pictures a fresh classifier gets right after the lesson."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    reader = Classifier()
    reader.last = nn.Linear(reader.last.in_features, exam.count)
    optimizer = AdamW(reader.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
    for _ in tqdm(range(STEPS), desc=f"{exam.name}, {seed}", leave=False):
        rows = rng.integers(len(pictures), size=BATCH)
        logits = reader(scaled(pictures[rows]))
        loss = F.cross_entropy(logits, torch.from_numpy(classes[rows]), label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        answers = reader.eval()(scaled(exam.pictures)).argmax(-1).numpy()
    return np.asarray(answers == exam.classes)


def ratio_interval(right: NDArray[np.float64], real: NDArray[np.float64]) -> tuple[float, float]:
    """95 % over the exam's pictures, both sides resampled together."""
    count = len(right)
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    low, high = np.percentile(weights @ right / np.maximum(weights @ real, 1e-9), (2.5, 97.5))
    return float(low), float(high)


def table(all_scores: Sequence[ClassificationAccuracy]) -> str:
    """One line per test and source."""
    lines = [
        [
            s.test,
            s.source,
            str(s.taught),
            str(s.tested),
            f"{s.accuracy:.1%}",
            f"{s.ratio:.2f} ({s.interval[0]:.2f} to {s.interval[1]:.2f})",
        ]
        for s in all_scores
    ]
    return markdown(["test", "taught by", "n", "tested on", "accuracy", "of real"], lines)


def record(all_scores: Sequence[ClassificationAccuracy]) -> list[dict[str, object]]:
    """For JSON."""
    return [asdict(s) for s in all_scores]
