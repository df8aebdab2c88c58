"""Held-out bits/dim of all contestants at equal budget, beside the codecs on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Self

import numpy as np

from models.subscale import Bytes
from research.evidence.contestants import OURS, Contestant
from research.evidence.pages import DOCS
from research.evidence.training_runs import TrainingRun
from training.data.symbols import ImageBatch
from training.evaluate import shares
from training.scoring.codecs import CODECS, bits_per_dim
from training.scoring.scores import Floats, markdown

RESAMPLES = 4000
_LEVELS = (2.5, 97.5)

Interval = tuple[float, float]

CURVE_POINTS = 40
DIGITS = 4
"""Decimals of the kept bits/dim of an image."""


@dataclass(frozen=True, kw_only=True)
class RunBits:
    """Bits/dim of one run, by image. `curve`: training bits/dim at `CURVE_POINTS` equal shares of the budget."""

    name: str
    seed: int
    rates: tuple[float, float]
    updates: dict[str, int]
    image_bits: list[float]
    curve: list[float]

    @classmethod
    def of(cls, run: TrainingRun, held_out: ImageBatch) -> Self:
        """Return the figures of a finished run."""
        return cls(
            name=run.contestant.name,
            seed=run.seed,
            rates=run.contestant.rates,
            updates=run.steps,
            image_bits=image_bits(run, held_out).round(DIGITS).tolist(),
            curve=np.round(run.curve(CURVE_POINTS), DIGITS).tolist(),
        )


@dataclass(frozen=True, kw_only=True)
class LikelihoodRow:
    """One contestant and its runs, one of each seed."""

    contestant: Contestant
    runs: Sequence[RunBits]

    @property
    def bits(self) -> list[float]:
        """The bits/dim of each seed."""
        return [fmean(run.image_bits) for run in self.runs]

    @property
    def values(self) -> Floats:
        """The bits/dim of each seed and image: (seeds, images)."""
        return np.array([run.image_bits for run in self.runs])

    def above(self, other: LikelihoodRow) -> Floats:
        """Return the differences to another row, of the seeds that both have: (seeds, images)."""
        theirs = {run.seed: np.array(run.image_bits) for run in other.runs}
        return np.array([run.image_bits - theirs[run.seed] for run in self.runs if run.seed in theirs])


def rows_of(runs: Sequence[RunBits], compared: Sequence[Contestant]) -> list[LikelihoodRow]:
    """Return a row for each contestant with runs at its present rates."""
    found = {each.name: [run for run in runs if (run.name, run.rates) == (each.name, each.rates)] for each in compared}
    return [LikelihoodRow(contestant=each, runs=found[each.name]) for each in compared if found[each.name]]


def image_bits(run: TrainingRun, held_out: ImageBatch) -> Floats:
    """Return bits/dim of each held-out image in float32, kept beside the run."""
    path = run.place / f"bits-{len(held_out.images)}.npy"
    if not path.exists():
        geometry, stages = run.parts[0].geometry, [part.stage for part in run.parts]
        chunk = max(1, 2048 // geometry.positions)
        parts = shares(run.networks(), geometry, held_out, stages=stages, chunk=chunk)
        np.save(path, sum(parts.values(), np.zeros(1)))
    bits: Floats = np.load(path)
    return bits


def interval(values: Floats) -> Interval:
    """Return the 95 % interval of the mean of (seeds, images): both are drawn again. Of one seed it is over images alone."""
    dice = np.random.default_rng(0)
    seeds, images = (dice.multinomial(count, np.full(count, 1 / count), RESAMPLES) / count for count in values.shape)
    low, high = np.percentile(np.einsum("rs,si,ri->r", seeds, values, images, optimize=True), _LEVELS)
    return float(low), float(high)


def codec_bits(images: Bytes) -> dict[str, float]:
    """Return the bits/dim of each codec."""
    return {name: bits_per_dim(images, encode) for name, encode in CODECS.items()}


def table(rows: Sequence[LikelihoodRow], codecs: Mapping[str, float]) -> str:
    """Return the rows, then the codecs, as Markdown. Without a row of the SPN nothing is compared with it."""
    ours = next((r for r in rows if r.contestant.name == OURS), None)
    lines = [
        [
            r.contestant.title,
            f"{r.contestant.parameters / 1e6:.2f} M",
            " + ".join(map(str, r.runs[0].updates.values())),
            ", ".join(f"{run.seed}: {b:.3f}" for run, b in zip(r.runs, r.bits, strict=True)),
            f"**{r.values.mean():.3f}** ± {half(interval(r.values)):.3f}",
            "" if ours is None or r is ours else excess(r.above(ours)),
        ]
        for r in rows
    ]
    lines += [
        [name, "-", "-", "-", f"{bits:.3f}", "" if ours is None else f"{bits - ours.values.mean():+.3f}"]
        for name, bits in codecs.items()
    ]
    head = ["model", "parameters", "updates", "bits/dim, by seed", "mean", "above the SPN, same seeds"]
    return markdown(head, lines)


def excess(differences: Floats, decimals: int = 3) -> str:
    """Return the mean of differences (seeds, images), with half its interval; nothing without any."""
    if not len(differences):
        return ""
    return f"{differences.mean():+.{decimals}f} ± {half(interval(differences)):.{decimals}f}"


def half(ends: Interval) -> float:
    """Return half the width of an interval."""
    return (ends[1] - ends[0]) / 2


def plot(rows: Sequence[LikelihoodRow], codecs: Mapping[str, float]) -> None:
    """Plot seeds as dots on bars of means, and codecs as lines."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - needs the benchmarks extra

    figure = Figure(figsize=(8, 3.5))
    axes = figure.subplots()
    for place, r in enumerate(rows):
        mean = float(r.values.mean())
        ends = np.abs(np.array(interval(r.values)) - mean)[:, None]
        axes.barh(
            place,
            mean,
            color="#1f4e79" if r.contestant.name == OURS else "#8fbce0",
            xerr=ends,
            ecolor="#444444",
            capsize=3,
        )
        axes.plot(r.bits, [place] * len(r.bits), "o", color="black", markersize=3)
    for (name, bits), style in zip(codecs.items(), (":", "--", "-."), strict=False):
        axes.axvline(bits, color="#888888", linestyle=style, label=name)
    axes.set_yticks(range(len(rows)), [r.contestant.title for r in rows])
    axes.invert_yaxis()
    axes.set_xlabel("held-out bits/dim at equal budget")
    axes.legend(fontsize=8)
    figure.savefig(DOCS / "evidence-bits.png", dpi=110, bbox_inches="tight")


def plot_curves(rows: Sequence[LikelihoodRow], minutes: float) -> None:
    """Plot the training bits/dim of each contestant over the `minutes` of its budget."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - needs the benchmarks extra

    figure = Figure(figsize=(8, 4))
    axes = figure.subplots()
    shares = np.arange(1, CURVE_POINTS + 1) / CURVE_POINTS
    for r in rows:
        curve, width = np.mean([run.curve for run in r.runs], axis=0), 2.5 if r.contestant.name == OURS else 1.2
        axes.plot(minutes * shares, curve, label=r.contestant.title, linewidth=width)
    axes.set(xlabel="processor minutes", ylabel="training bits/dim", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    figure.savefig(DOCS / "evidence-curves.png", dpi=110, bbox_inches="tight")
