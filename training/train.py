"""Train one network of a model: `python -m training.train --preset symbols-64 --stage depth --minutes 30`.

Each image gives one target slice; within an update every slice of the stage is equally frequent. Its nats times the number
of slices of the stage estimate the stage's share of bits/dim without bias, at constant memory (docs/architecture.md, Three
networks). The three networks share nothing, so each has its own run, and runs may go side by side. A run saves
at its end, also on SIGTERM and Ctrl-C, and continues from there at the next call. On several GPUs:
`torchrun --nproc-per-node 8 -m training.train --device cuda ...`.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from models.checkpoint import load_model
from models.config import Stage
from models.network import Network
from training.data.opening import add_data_arguments, open_dataset
from training.data.symbols import Mix
from training.loop.checkpoints import matched_controls, resume_from, save_state, warm_start
from training.loop.memory import keep_memory
from training.loop.minibatches import ExampleSource, Prefetcher
from training.loop.previews import Preview
from training.loop.ranks import Ranks, process_group
from training.loop.recipe import Recipe
from training.loop.run_journal import RunJournal, StepReport
from training.loop.stopping import stop_on_signal
from training.loop.trainer import Trainer
from training.presets import PRESETS


@dataclass(frozen=True, kw_only=True)
class PreviewSchedule:
    """A preview, and the minutes between two of them."""

    preview: Preview
    minutes: float


class Timer:
    """A timer that is due every `minutes`."""

    def __init__(self, minutes: float) -> None:
        self.seconds, self.last = minutes * 60, time.monotonic()

    def due(self) -> bool:
        """Return whether the interval has passed since the last time that it had."""
        if time.monotonic() - self.last < self.seconds:
            return False
        self.last = time.monotonic()
        return True


def train(
    trainer: Trainer, source: ExampleSource, path: Path, *, workers: int = 1, previews: PreviewSchedule | None = None
) -> None:
    """Train for the minutes of the recipe or until a signal. Save to `path`, with journal and previews beside it."""
    with stop_on_signal() as stopped, Prefetcher(source, trainer.step, workers=workers) as prefetcher:
        reports = steps(trainer, prefetcher, source.ranks, stopped)
        if source.ranks.is_first:
            record(trainer, reports, path, previews)
        else:
            deque(reports, maxlen=0)


def steps(trainer: Trainer, prefetcher: Prefetcher, ranks: Ranks, stopped: Callable[[], bool]) -> Iterator[StepReport]:
    """Update until the time is over, all processes together. The clock starts after the first update, which may compile."""
    recipe, begun = trainer.recipe, None
    for minibatches in prefetcher:
        done = 0.0 if begun is None else ranks.from_first((time.monotonic() - begun) / (recipe.minutes * 60))
        if ranks.any(value=stopped()) or done >= 1:
            return
        rate = recipe.rate(done)
        bits = ranks.mean(trainer.update(minibatches, rate))
        begun = begun or time.monotonic()
        yield StepReport(
            bits_per_dim=bits,
            step=trainer.step,
            rate=rate,
            slices=recipe.batch * recipe.accumulate * ranks.count,
            waited_seconds=prefetcher.waited_seconds,
        )


def record(trainer: Trainer, reports: Iterable[StepReport], path: Path, previews: PreviewSchedule | None) -> None:
    """Write the journal, a checkpoint every few minutes and at the end, and previews: the work of the first process."""
    recipe = trainer.recipe
    saving, drawing = Timer(recipe.save_every_minutes), Timer(previews.minutes if previews else math.inf)
    with RunJournal(
        path.with_suffix(".csv"), trainer.network.stage, step=trainer.step, minutes=recipe.minutes
    ) as journal:
        for report in reports:
            journal.add(report)
            if saving.due():
                save_state(trainer, path, part_bytes=recipe.part_bytes)
            if previews and drawing.due():
                previews.preview.write(trainer.average, path.with_suffix(".png"))
    save_state(trainer, path, part_bytes=recipe.part_bytes)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Train one network of a model.")
    parser.add_argument("--preset", choices=PRESETS, default="symbols-64")
    parser.add_argument("--stage", type=Stage, choices=list(Stage), required=True)
    add_data_arguments(parser)
    parser.add_argument(
        "--mix", type=Mix, choices=list(Mix), default=Mix.BALANCED, help="share of letters among the packed symbols"
    )
    parser.add_argument("--minutes", type=float, default=Recipe.minutes)
    parser.add_argument("--batch", type=int, default=Recipe.batch, help="slices in a minibatch, in each process")
    parser.add_argument("--accumulate", type=int, default=Recipe.accumulate, help="minibatches averaged in an update")
    parser.add_argument("--matrix-rate", type=float, default=Recipe.matrix_rate, help="peak rate of Muon")
    parser.add_argument("--learning-rate", type=float, default=Recipe.learning_rate, help="peak rate of AdamW")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compile", action="store_true", help="compile the step by Inductor")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare examples")
    parser.add_argument(
        "--decay-share",
        type=float,
        default=0.0,
        help="share of this call, at its end, in which the rates fall; for the last call of a network",
    )
    parser.add_argument(
        "--early",
        type=float,
        default=Recipe.early,
        help="weight of a stage's first slices: the n-th has 1 / n ** EARLY",
    )
    parser.add_argument(
        "--drift", type=float, default=Recipe.drift, help="share of examples whose earlier pixels are shifted"
    )
    parser.add_argument("--save-minutes", type=float, default=Recipe.save_every_minutes)
    parser.add_argument("--part-mib", type=float, help="write checkpoints in files of at most this many MiB")
    parser.add_argument("--sheet-minutes", type=float, help="minutes between preview sheets; default: none")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of checkpoints")
    parser.add_argument("--warm-start", type=Path, help="folder of a shipped model whose weights are the start")
    return parser.parse_args()


def recipe_of(args: argparse.Namespace) -> Recipe:
    """Return the recipe of a command line."""
    return Recipe(
        batch=args.batch,
        accumulate=args.accumulate,
        matrix_rate=args.matrix_rate,
        learning_rate=args.learning_rate,
        decay_share=args.decay_share,
        early=args.early,
        drift=args.drift,
        minutes=args.minutes,
        save_every_minutes=args.save_minutes,
        part_bytes=int(args.part_mib * 2**20) if args.part_mib else None,
    )


def main() -> None:
    """Run the command line."""
    args = arguments()
    torch.set_num_threads(args.threads)
    keep_memory()
    data = open_dataset(args, size=PRESETS[args.preset](()).geometry.size, mix=args.mix)
    config = PRESETS[args.preset](data.controls)
    with process_group(args.device) as (ranks, device):
        torch.manual_seed(0)
        network = Network(config, args.stage)
        if args.warm_start:
            shipped, card = load_model(args.warm_start)
            weights = matched_controls(
                cast("Network", shipped[args.stage]), card.config.controls, network, config.controls
            )
            fitted, left = warm_start(network, weights)
            print(f"warm start: {fitted} tensors from {args.warm_start.name}; random: {', '.join(left) or 'none'}")
        trainer = Trainer(network.to(device), recipe_of(args), parallel=ranks.count > 1, compiled=args.compile)
        path = args.runs / args.preset / f"{args.stage}.pt"
        resume_from(trainer, path)
        source = ExampleSource(
            data=data, stage=args.stage, geometry=config.geometry, recipe=trainer.recipe, ranks=ranks
        )
        previews = None
        if args.sheet_minutes and ranks.is_first:
            preview = Preview(config=config, stage=args.stage, held_out=data.held_out(), device=device)
            previews = PreviewSchedule(preview=preview, minutes=args.sheet_minutes)
        train(trainer, source, path, workers=args.workers, previews=previews)


if __name__ == "__main__":
    main()
