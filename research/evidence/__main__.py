"""Train the contestants, then make one table per command: `python -m research.evidence train` (docs/evidence.md).

Every command continues where it was stopped. Tables are made from finished runs, and name them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from models.cards import WEIGHTS, load_card
from models.subscale import Bytes
from research.baselines.baseline import Baseline
from research.evidence import accuracy, digits, diversity, likelihood, memorisation, speed
from research.evidence.contestants import SIZE, contestants
from research.evidence.model_samples import SHIPPED, Draw, of_run, samples, shipped, spn_card
from research.evidence.pages import DOCS, publish
from research.evidence.sample_requests import SampleRequests, glyphs, letters
from research.evidence.shapes import distances, shapes
from research.evidence.training_runs import RUNS, TrainingRun, train
from training.data.symbols import ImageBatch, Symbols
from training.data.tiles import box


class Evidence:
    """The data and the runs of a command line, and the models whose samples are judged."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.data = Symbols.load(size=SIZE)
        self.args = args
        self.runs = [
            TrainingRun(contestant=contestant, seed=seed, minutes=args.minutes)
            for seed in range(args.seeds)
            for contestant in contestants()
        ]

    @property
    def finished(self) -> list[TrainingRun]:
        """The finished runs, those of the SPN first."""
        return [run for run in self.runs if run.finished]

    def held_out(self) -> ImageBatch:
        """Return the first held-out images of the fixed order, which mixes the families."""
        return self.data.held_out().first(self.args.images)

    def samples(self, requests: SampleRequests) -> dict[str, Bytes]:
        """Return the samples of every model of `--models`: the shipped one, or a run by name and seed."""
        return {name: samples(self.draw(name), requests, self.place(name, requests)) for name in self.args.models}

    def draw(self, name: str) -> Callable[[], Draw]:
        """Return how to draw from a model."""
        return shipped if name == SHIPPED else partial(of_run, self.run(name))

    def place(self, name: str, requests: SampleRequests) -> Path:
        """Return the folder of the samples of a model; shipped weights change under one name."""
        kept = RUNS / f"{name}-{load_card(WEIGHTS / name).sha256[:8]}" if name == SHIPPED else self.run(name).place
        return kept / requests.name

    def run(self, label: str) -> TrainingRun:
        """Return a finished run by its label."""
        for run in self.finished:
            if run.label == label:
                return run
        raise SystemExit(f"no finished run {label}; there are: {', '.join(r.label for r in self.finished) or 'none'}")


def train_all(evidence: Evidence) -> None:
    """Train all runs, one seed after another."""
    for run in evidence.runs:
        if not train(run, evidence.data):
            return
        print(f"{run.contestant.title}, seed {run.seed}: {run.spent_seconds:.0f} s, steps {run.steps}", flush=True)


def digits_table(evidence: Evidence) -> None:
    """Train the four baselines in a small size on digits, and compare them."""
    data = digits.Digits()
    runs = digits.runs(evidence.args.minutes, evidence.args.seeds)
    if all(train(run, data) for run in runs):
        rows = digits.rows(data, runs)
        publish("digits", digits.table(data, rows), [asdict(row) for row in rows])


def bits_table(evidence: Evidence) -> None:
    """Compare likelihood at equal budget."""
    held_out = evidence.held_out()
    rows, codecs = likelihood.rows_of(evidence.finished, held_out), likelihood.codec_bits(held_out.images)
    publish("bits", likelihood.table(rows, codecs), likelihood.record(rows, codecs, len(held_out.images)))
    likelihood.plot(rows, codecs)


def speed_table(evidence: Evidence) -> None:
    """Measure seconds per image. Those of the SPN depend on its weights, so a run of it must be finished."""
    trained = evidence.run("spn-0")
    actions: dict[tuple[str, str, int], speed.Action] = {}
    for batch in speed.BATCHES:
        for passes, backend in speed.BACKENDS.items():
            actions["SPN", passes, batch] = speed.spn(trained.networks(), spn_card(trained), batch, backend)
        for contestant in contestants():
            network = contestant.parts[0].make()
            if isinstance(network, Baseline):
                actions[contestant.title, speed.passes(network), batch] = speed.baseline(network, batch)
    rows = speed.rows_of(actions, evidence.args.repeats)
    publish("speed", speed.table(rows), speed.record(rows))


def accuracy_table(evidence: Evidence) -> None:
    """Train classifiers on samples, and test them on real images."""
    whole = evidence.data.held_out()
    requests = letters(evidence.data).first(evidence.args.letters)
    images = {"real": requests.real, **evidence.samples(requests)}
    scores = accuracy.scores(accuracy.letters_test_set(whole), images, accuracy.letter_classes(requests.controls[:, 0]))
    publish("cas", accuracy.table(scores), accuracy.record(scores))


def copies_table(evidence: Evidence) -> None:
    """Measure the distances to the nearest training glyph."""
    every, requests = memorisation.gallery(evidence.data), glyphs(evidence.data)
    others = shapes(every.real)
    again = nearest_of(memorisation.drawn_again(evidence.data, requests).real, others)
    near = [float(distance) for distance in np.quantile(again, memorisation.COPIES)]
    rows = [
        memorisation.nearest_distances("training glyphs, rendered again", again, near),
        memorisation.nearest_distances(
            "training glyphs, a random split held out", memorisation.to_others(requests, others), near
        ),
        memorisation.nearest_distances(
            "held-out glyphs, twins purged", nearest_of(held_glyphs(evidence.data), others), near
        ),
    ]
    for name, images in evidence.samples(requests).items():
        apart = distances(shapes(images), others)
        rows.append(memorisation.nearest_distances(f"samples of {name}", apart.min(1), near))
        memorisation.sheet(images, apart, every.real, DOCS / f"evidence-closest-{name}.png")
    publish("memorisation", memorisation.table(rows, near), memorisation.record(rows))


def diversity_table(evidence: Evidence) -> None:
    """Measure how varied a thousand images are."""
    alone = glyphs(evidence.data)
    on_tiles = letters(evidence.data).first(len(alone.controls))
    drawn, tiled = evidence.samples(alone), evidence.samples(on_tiles)
    few = replace(alone, drawings=np.resize(alone.drawings[: diversity.COLLAPSED], len(alone.drawings)))
    collapsed = memorisation.drawn_again(evidence.data, few)
    rows = [
        diversity.variety("real", alone.real, on_tiles.real),
        diversity.variety(f"real, of {diversity.COLLAPSED} drawings", collapsed.real, collapsed.real),
        *(diversity.variety(f"samples of {name}", drawn[name], tiled[name]) for name in drawn),
    ]
    publish("diversity", diversity.table(rows), diversity.record(rows))


def nearest_of(images: Bytes, others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the distance of the glyph of each image to the nearest one of `others`."""
    return np.asarray(distances(shapes(images), others).min(1))


def held_glyphs(data: Symbols) -> Bytes:
    """Return all held-out glyphs alone: their masks as ink."""
    masks = data.pack.held_glyphs[:]
    return box(np.repeat((255 - masks)[..., None], 3, axis=-1), SIZE)


COMMANDS: Final[dict[str, Callable[[Evidence], None]]] = {
    "train": train_all,
    "digits": digits_table,
    "bits": bits_table,
    "speed": speed_table,
    "cas": accuracy_table,
    "memorisation": copies_table,
    "diversity": diversity_table,
}


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Evidence: equal training, likelihood, samples. See docs/evidence.md.")
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--minutes", type=float, default=15.0, help="processor time of each model in all")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--images", type=int, default=1008, help="held-out images for bits/dim")
    parser.add_argument("--models", nargs="+", default=[SHIPPED], help=f"{SHIPPED} or runs, e.g. spn-0 pixelcnn-0")
    parser.add_argument("--letters", type=int, default=5000, help="letters on which a classifier is trained")
    parser.add_argument("--repeats", type=int, default=3, help="timed draws")
    return parser.parse_args(words)


def main() -> None:
    """Run the command line."""
    args = arguments()
    torch.set_num_threads(1)
    COMMANDS[args.what](Evidence(args))


if __name__ == "__main__":
    main()
