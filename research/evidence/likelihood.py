"""Held-out bits/dim of all contestants at equal budget, beside the codecs on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from models.subscale import Bytes
from research.evidence.contestants import SIZE, Contestant
from research.evidence.pages import DOCS
from research.evidence.training_runs import TrainingRun
from training.data.symbols import ImageBatch
from training.evaluate import shares
from training.scoring.codecs import CODECS, bits_per_dim
from training.scoring.scores import Floats, markdown

RESAMPLES = 4000
_LEVELS = (2.5, 97.5)

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class LikelihoodRow:
    """One contestant: bits/dim of each seed; 95 % intervals over images of the mean and of the excess over the SPN."""

    name: str
    title: str
    parameters: int
    minutes: float
    updates: list[dict[str, int]]
    bits: list[float]
    interval: Interval
    excess: float
    excess_interval: Interval


def rows_of(runs: Sequence[TrainingRun], held_out: ImageBatch) -> list[LikelihoodRow]:
    """Return a row per contestant with finished runs; the others are compared with the first."""
    by_name: dict[str, list[TrainingRun]] = {}
    for run in runs:
        by_name.setdefault(run.contestant.name, []).append(run)
    seeds = {name: np.stack([image_bits(run, held_out) for run in each]) for name, each in by_name.items()}
    first = next(iter(seeds.values())).mean(0)
    return [row(by_name[name], bits, first) for name, bits in seeds.items()]


def row(runs: list[TrainingRun], bits: Floats, first: Floats) -> LikelihoodRow:
    """Return the row of a contestant from bits/dim by seed and image."""
    contestant: Contestant = runs[0].contestant
    excess = bits.mean(0) - first
    return LikelihoodRow(
        name=contestant.name,
        title=contestant.title,
        parameters=contestant.parameters,
        minutes=sum(run.spent_seconds for run in runs) / 60 / len(runs),
        updates=[run.steps for run in runs],
        bits=[float(each) for each in bits.mean(1)],
        interval=interval(bits.mean(0)),
        excess=float(excess.mean()),
        excess_interval=interval(excess),
    )


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
    """Return the 95 % interval of the mean over whole images."""
    count = len(values)
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES) / count
    low, high = np.percentile(weights @ values, _LEVELS)
    return float(low), float(high)


def codec_bits(images: Bytes) -> dict[str, float]:
    """Return the bits/dim of each codec."""
    return {name: bits_per_dim(images, encode) for name, encode in CODECS.items()}


def table(rows: Sequence[LikelihoodRow], codecs: dict[str, float]) -> str:
    """Return the rows, then the codecs, as Markdown."""
    lines = [
        [
            r.title,
            f"{r.parameters / 1e6:.2f} M",
            f"{r.minutes:.1f}",
            " / ".join("+".join(str(steps) for steps in updates.values()) for updates in r.updates),
            " / ".join(f"{b:.3f}" for b in r.bits),
            f"**{np.mean(r.bits):.3f}** ± {half(r.interval):.3f}",
            f"{r.excess:+.3f} ± {half(r.excess_interval):.3f}" if r.excess else "",
        ]
        for r in rows
    ]
    lines += [
        [name, "-", "-", "-", "-", f"{bits:.3f}", f"{bits - np.mean(rows[0].bits):+.3f}"]
        for name, bits in codecs.items()
    ]
    head = ["model", "parameters", "minutes", "updates, by seed", "bits/dim, by seed", "mean", "above the SPN"]
    return markdown(head, lines)


def half(ends: Interval) -> float:
    """Return half the width of an interval."""
    return (ends[1] - ends[0]) / 2


def record(rows: Sequence[LikelihoodRow], codecs: dict[str, float], images: int) -> dict[str, object]:
    """Return the figures for JSON."""
    return {"size": SIZE, "images": images, "rows": [asdict(r) for r in rows], "codecs": codecs}


def plot(rows: Sequence[LikelihoodRow], codecs: dict[str, float]) -> None:
    """Plot seeds as dots on bars of means, and codecs as lines."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - needs the benchmarks extra

    figure = Figure(figsize=(8, 3.5))
    axes = figure.subplots()
    for place, r in enumerate(rows):
        mean = float(np.mean(r.bits))
        ends = np.abs(np.array(r.interval) - mean)[:, None]
        axes.barh(place, mean, color="#1f4e79" if place == 0 else "#8fbce0", xerr=ends, ecolor="#444444", capsize=3)
        axes.plot(r.bits, [place] * len(r.bits), "o", color="black", markersize=3)
    for (name, bits), style in zip(codecs.items(), (":", "--", "-."), strict=False):
        axes.axvline(bits, color="#888888", linestyle=style, label=name)
    axes.set_yticks(range(len(rows)), [r.title for r in rows])
    axes.invert_yaxis()
    axes.set_xlabel("held-out bits/dim at equal budget")
    axes.legend(fontsize=8)
    figure.savefig(DOCS / "evidence-bits.png", dpi=110, bbox_inches="tight")
