"""Plots of held-out bits/dim beside the codecs, and of training curves. Needs the benchmarks extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from training.scoring.scores import JOINT, LikelihoodScore

_GROUP = 0.8


def plot(scores: Sequence[LikelihoodScore], name: str, path: Path) -> None:
    """Save bars of bits/dim to `path`; that of the model is split by stage and has its 95 % interval."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - needs the benchmarks extra

    figure = Figure(figsize=(8, 4))
    axes = figure.subplots()
    places = np.arange(len(scores))
    width = _GROUP / len(scores[0].sides)
    below = np.zeros(len(scores))
    for shade, stage in zip(("#1f4e79", "#3f7fb5", "#8fbce0"), scores[0].stages, strict=False):
        share = np.array([s.stages[stage] for s in scores])
        axes.bar(places, share, width, bottom=below, color=shade, label=f"{name}, {stage}")
        below += share
    ends = np.array([s.intervals[JOINT] for s in scores])
    axes.errorbar(places, below, abs(ends - below[:, None]).T, fmt="none", ecolor="black", capsize=3)
    for i, (codec, grey) in enumerate(zip(scores[0].codecs, ("#666666", "#999999", "#cccccc"), strict=False), 1):
        axes.bar(places + i * width, [s.codecs[codec] for s in scores], width, color=grey, label=codec)
    axes.set_xticks(places + _GROUP / 2 - width / 2, [f"{s.family}\n{s.count}" for s in scores])
    axes.set_ylabel("held-out bits/dim")
    axes.legend(fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    figure.savefig(path, dpi=110, bbox_inches="tight")


def plot_curves(curves: Mapping[str, Sequence[tuple[float, float]]], path: Path) -> None:
    """Save a panel for each stage: its smoothed training share of bits/dim over minutes."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - needs the benchmarks extra

    figure = Figure(figsize=(9, 2.8), layout="constrained")
    for axes, (stage, points) in zip(figure.subplots(1, len(curves)), curves.items(), strict=True):
        axes.plot([minutes for minutes, _ in points], [bits for _, bits in points], color="#1f4e79")
        axes.set(title=stage, xlabel="minutes")
    figure.supylabel("training bits/dim")
    figure.savefig(path, dpi=120)
