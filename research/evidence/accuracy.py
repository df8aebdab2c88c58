"""Classification accuracy score (arXiv:1905.10887): a classifier trained on samples only, tested on real images."""

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
CLASSIFIERS: Final = 3
"""Classifiers with different seeds, whose accuracies are averaged."""

_RESAMPLES: Final = 4000

Classes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LabelledTestSet:
    """Real held-out images with their classes."""

    name: str
    images: Bytes
    classes: Classes
    count: int


@dataclass(frozen=True, kw_only=True)
class ClassificationAccuracy:
    """Mean accuracy of `CLASSIFIERS` trained on `source`; ratio to those trained on real images, with its 95 % interval."""

    test: str
    source: str
    taught: int
    tested: int
    accuracy: float
    ratio: float
    interval: tuple[float, float]


def letters_test_set(held_out: ImageBatch) -> LabelledTestSet:
    """Return held-out letters, from families without any training drawing; O and 0 are one class, and so are I and 1."""
    chosen = held_out.families == Family.LETTERS
    classes = letter_classes(held_out.controls[chosen, 0])
    return LabelledTestSet(name="monograms", images=held_out.images[chosen], classes=classes, count=len(CLASSES))


def letter_classes(labels: NDArray[np.int64]) -> Classes:
    """Return the classes of control indices."""
    return np.array([class_of(MONOGRAMS[label - 1]) for label in labels])


def scores(test_set: LabelledTestSet, sources: dict[str, Bytes], classes: Classes) -> list[ClassificationAccuracy]:
    """Train classifiers on the images of each source, which show `classes`, and test them; the first source is real.

    The last row is the accuracy of always answering with the most frequent class.
    """
    rights = {
        name: np.mean([correct_answers(images, classes, test_set, seed) for seed in range(CLASSIFIERS)], axis=0)
        for name, images in sources.items()
    }
    rights["nothing: the most frequent class"] = (test_set.classes == np.bincount(classes).argmax()).astype(float)
    real = next(iter(rights.values()))
    return [
        ClassificationAccuracy(
            test=test_set.name,
            source=name,
            taught=len(classes),
            tested=len(right),
            accuracy=float(right.mean()),
            ratio=float(right.mean() / real.mean()),
            interval=ratio_interval(right, real),
        )
        for name, right in rights.items()
    ]


def correct_answers(images: Bytes, classes: Classes, test_set: LabelledTestSet, seed: int) -> NDArray[np.bool_]:
    """Return which test images a new classifier gets right after its training."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    classifier = Classifier()
    classifier.last = nn.Linear(classifier.last.in_features, test_set.count)
    optimizer = AdamW(classifier.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
    for _ in tqdm(range(STEPS), desc=f"{test_set.name}, {seed}", leave=False):
        rows = rng.integers(len(images), size=BATCH)
        logits = classifier(scaled(images[rows]))
        loss = F.cross_entropy(logits, torch.from_numpy(classes[rows]), label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        answers = classifier.eval()(scaled(test_set.images)).argmax(-1).numpy()
    return np.asarray(answers == test_set.classes)


def ratio_interval(right: NDArray[np.float64], real: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval over the test images, both sides resampled together."""
    count = len(right)
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    low, high = np.percentile(weights @ right / np.maximum(weights @ real, 1e-9), (2.5, 97.5))
    return float(low), float(high)


def table(all_scores: Sequence[ClassificationAccuracy]) -> str:
    """Return one line per test and source."""
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
    return markdown(["test", "trained on", "n", "tested on", "accuracy", "of real"], lines)


def record(all_scores: Sequence[ClassificationAccuracy]) -> list[dict[str, object]]:
    """Return the scores for JSON."""
    return [asdict(s) for s in all_scores]
