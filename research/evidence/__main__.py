"""Train the contestants, then make one table per command: `python -m research.evidence train` (docs/evidence.md).

Every command continues where it was stopped. Tables are made from finished runs and from the samples that exist, and name them.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final

import torch
from pydantic import TypeAdapter

from models.cards import WEIGHTS, load_card
from research.baselines.baseline import Baseline
from research.evidence import accuracy, digits, diversity, likelihood, memorisation, pace, rates, speed
from research.evidence.comparison import SampleComparison
from research.evidence.contestants import PACES, RECIPE, SIZE, contestants
from research.evidence.likelihood import RunBits
from research.evidence.model_samples import (
    SETTINGS,
    SHIPPED,
    SampleSeries,
    draw_in_turn,
    series_of_run,
    series_of_shipped,
    spn_card,
)
from research.evidence.pages import DOCS, by_line, publish, with_earlier
from research.evidence.sample_requests import LABELS, labels_in_turn
from research.evidence.training_runs import RUNS, TrainingRun, train
from training.data.symbols import DEFAULT, ImageBatch, Pack, Symbols
from training.judging.glyphs import Glyphs
from training.judging.reader_training import reader_of


class Evidence:
    """The data and the runs of a command line, and the models whose samples are measured."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.pack = Pack.read(DEFAULT)
        self.args = args
        self.digest = hashlib.sha256(DEFAULT.read_bytes()).hexdigest()
        self.folder = RUNS / self.digest[:8]
        self.compared = [each for each in contestants() if args.only is None or each.name in args.only]
        self.runs = [
            TrainingRun(contestant=contestant, seed=seed, minutes=args.minutes, folder=self.folder)
            for contestant in self.compared
            for seed in args.seeds
        ]

    @property
    def data(self) -> Symbols:
        """The data set at the size of the contestants."""
        return Symbols(self.pack, size=SIZE)

    @property
    def finished(self) -> list[TrainingRun]:
        """The finished runs, those of the SPN first."""
        return [run for run in self.runs if run.finished]

    def held_out(self) -> ImageBatch:
        """Return the first held-out images of the fixed order, which mixes the families."""
        return self._held_out(slice(self.args.images))

    def held_out_for_rates(self) -> ImageBatch:
        """Return the last held-out images, which no other table has."""
        return self._held_out(slice(-self.args.images, None))

    def _held_out(self, rows: slice) -> ImageBatch:
        held_out = self.data.held_out()
        if 2 * self.args.images > (total := len(held_out.images)):
            raise SystemExit(f"--images must be at most {total // 2}: the first half is for tables, the last for rates")
        return held_out.part(rows)

    def conditions(self, held_out: ImageBatch) -> dict[str, object]:
        """Return what figures of contestants must share to stand in one table."""
        return {"size": SIZE, "images": len(held_out.images), "minutes": self.args.minutes, "data": self.digest}

    def sample_conditions(self) -> dict[str, object]:
        """Return what figures of samples must share to stand in one table."""
        weights = load_card(WEIGHTS / SHIPPED).sha256
        return {"data": self.digest, "requests": labels_in_turn(self.pack).digest, SHIPPED: weights}

    def run(self, label: str) -> TrainingRun:
        """Return a finished run by its label."""
        for run in self.finished:
            if run.label == label:
                return run
        raise SystemExit(f"no finished run {label}; there are: {', '.join(r.label for r in self.finished) or 'none'}")

    def series(self) -> list[SampleSeries]:
        """Return the samples of every model of `--models`: the shipped one with all `--settings`, or a run by name and seed."""
        requests, settings = labels_in_turn(self.pack), self.args.settings
        found: list[SampleSeries] = []
        for name in self.args.models:
            found += (
                series_of_shipped(requests, settings) if name == SHIPPED else [series_of_run(self.run(name), requests)]
            )
        return found


def train_all(evidence: Evidence) -> None:
    """Train all runs, one after another."""
    data = evidence.data
    for run in evidence.runs:
        if not train(run, data):
            return
        print(f"{run.contestant.title}, seed {run.seed}: steps {run.steps}", flush=True)


def pace_table(evidence: Evidence) -> None:
    """Measure how long an update of each network takes."""
    rows, cpu = pace.rows_of(contestants(), evidence.data), torch.backends.cpu.get_cpu_capability()
    publish("pace", pace.table(rows, contestants()), by_line([asdict(row) for row in rows], {"cpu": cpu}))


def digits_table(evidence: Evidence) -> None:
    """Train the four baselines in a small size on digits, and compare them."""
    data = digits.Digits()
    runs = digits.runs(evidence.args.minutes, evidence.args.seeds)
    if all(train(run, data) for run in runs):
        rows = digits.rows(data, runs)
        publish("digits", digits.table(data, rows), by_line([asdict(run) for row in rows for run in row.runs], {}))


def rates_table(evidence: Evidence) -> None:
    """Search for the peak rates of the contestants, on the last held-out images: the other tables are of the first."""
    images, data, found = evidence.held_out_for_rates(), evidence.data, []
    for each in evidence.compared:
        row = rates.row(each, evidence.args.minutes, data, images, evidence.folder)
        if row is None:
            break
        found.append(asdict(row))
    conditions = {**evidence.conditions(images), "grid": [list(each) for each in rates.GRID]}
    records = with_earlier("rates", found, conditions)
    rows = TypeAdapter(list[rates.RatesRow]).validate_python(records)
    publish("rates", rates.table(rows, contestants()), by_line(records, conditions))


def bits_table(evidence: Evidence) -> None:
    """Compare likelihood at equal budget, of the runs that are finished here and of those in the JSON."""
    held_out = evidence.held_out()
    conditions, here = (
        {**evidence.conditions(held_out), "paces": PACES, "recipe": RECIPE},
        [RunBits.of(run, held_out) for run in evidence.finished],
    )
    records = with_earlier("bits", [asdict(each) for each in here], conditions, by=("name", "seed"))
    runs = TypeAdapter(list[RunBits]).validate_python(records)
    rows, codecs = likelihood.rows_of(runs, contestants()), likelihood.codec_bits(held_out.images)
    publish("bits", likelihood.table(rows, codecs), by_line(records, {**conditions, "codecs": codecs}))
    likelihood.plot(rows, codecs)
    likelihood.plot_curves(rows, evidence.args.minutes)


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


def draw_samples(evidence: Evidence) -> None:
    """Draw samples of all models and settings in turn, within a budget of processor time."""
    draw_in_turn(evidence.series(), evidence.args.samples, evidence.args.sampling_minutes)


def accuracy_table(evidence: Evidence) -> None:
    """Train classifiers on samples, and test them on real drawings."""
    comparison, conditions = SampleComparison.of(evidence.pack, evidence.series()), evidence.sample_conditions()
    real = f"{accuracy.REAL}, {comparison.size} x {comparison.size}"
    scores = accuracy.scores(comparison.held_out, {real: comparison.real, **comparison.samples})
    records = with_earlier("cas", accuracy.record(scores), conditions, by=("kind", "source"))
    rows = TypeAdapter(list[accuracy.ClassificationAccuracy]).validate_python(records)
    publish("cas", accuracy.table(rows), by_line(records, conditions))


def diversity_table(evidence: Evidence) -> None:
    """Measure what guidance costs: quality against diversity."""
    comparison, reader = SampleComparison.of(evidence.pack, evidence.series()), reader_of(Glyphs.train(evidence.pack))
    radii = diversity.half_radii(comparison.held_out, comparison.real)
    rows = [
        diversity.coverage(source, drawings, reader, comparison.held_out, radii)
        for source, drawings in {"real": comparison.other_real, **comparison.samples}.items()
    ]
    publish("diversity", diversity.table(rows), by_line(diversity.record(rows), evidence.sample_conditions()))
    diversity.plot(rows, DOCS / "evidence-diversity.png")
    diversity.save_sheet(comparison.images, len(LABELS), DOCS / "evidence-guidance.png")


def memorisation_table(evidence: Evidence) -> None:
    """Measure the distances to the nearest training drawing, and show the closest pairs."""
    pack, comparison = evidence.pack, SampleComparison.of(evidence.pack, evidence.series())
    gallery = memorisation.Gallery(pack, comparison.requests.labels)
    nearest = {title: gallery.nearest(some) for title, some in comparison.samples.items()}
    rows = memorisation.rows(gallery, comparison, nearest)
    publish("memorisation", memorisation.table(rows), by_line(memorisation.record(rows), evidence.sample_conditions()))
    memorisation.save_sheet(pack, comparison, nearest, DOCS / "evidence-closest.png")


COMMANDS: Final[dict[str, Callable[[Evidence], None]]] = {
    "train": train_all,
    "digits": digits_table,
    "pace": pace_table,
    "rates": rates_table,
    "bits": bits_table,
    "speed": speed_table,
    "sample": draw_samples,
    "cas": accuracy_table,
    "diversity": diversity_table,
    "memorisation": memorisation_table,
}


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Evidence: equal training, likelihood, samples. See docs/evidence.md.")
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--minutes", type=float, default=15.0, help="processor time of each model in all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument(
        "--only", nargs="+", choices=[each.name for each in contestants()], help="default: all contestants"
    )
    parser.add_argument("--images", type=int, default=336, help="held-out images for bits/dim")
    parser.add_argument("--models", nargs="+", default=[SHIPPED], help=f"{SHIPPED} or runs, e.g. spn-0 pixelcnn-0")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=SETTINGS, help="of the shipped model")
    parser.add_argument("--samples", type=int, default=5000, help="images of each model and setting")
    parser.add_argument("--sampling-minutes", type=float, default=45.0, help="processor time of one call of `sample`")
    parser.add_argument("--repeats", type=int, default=3, help="timed draws")
    return parser.parse_args(words)


def main() -> None:
    """Run the command line."""
    args = arguments()
    torch.set_num_threads(1)
    COMMANDS[args.what](Evidence(args))


if __name__ == "__main__":
    main()
