"""Whether the images of a model show what was requested, and are drawn well: `python -m training.judge MODEL`.

A classifier reads the label; rules decide hue, tile, and solid or outline (training/judging/). The same figures of real
held-out images stand beside: a model can hardly reach better ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from models.checkpoint import load_model
from models.config import Sampling
from models.pipeline import Pipeline
from models.sampling.backends.fastest import Fastest
from models.verifier import load_verifier
from training.data.symbols import DEFAULT, Pack
from training.data.vocabulary import LABEL
from training.judging import blank_images, criteria, grid
from training.judging.copies import copies
from training.judging.copies import table as copies_table
from training.judging.criteria import CriterionResult, faults, results
from training.judging.glyphs import Glyphs
from training.judging.judged_requests import judged_requests
from training.judging.keepers import ReferenceImages, reference_images
from training.judging.observation import observe
from training.judging.proportions import Proportion
from training.judging.reader import Reader
from training.judging.reader_training import reader_of
from training.scoring.samples import PASSES, samples, temperatures

REFERENCES: Final = 600
"""Real held-out letters, and as many icons, for comparison."""

COPIED: Final = 1000
"""Images of one label that are compared with training drawings."""


@dataclass(frozen=True, kw_only=True)
class JudgeReport:
    """The result of every criterion, and the share of images within the bound of each craft fault."""

    results: list[CriterionResult]
    faults: dict[str, Proportion]


def judge(  # noqa: PLR0913 - the last four are options
    pipeline: Pipeline,
    reader: Reader,
    references: ReferenceImages,
    *,
    each: int,
    labels: Sequence[str] = (),
    sampling: Sampling | None = None,
    smaller: Pipeline | None = None,
) -> JudgeReport:
    """Draw `each` images per label, half as many again by style, and as many per look; judge all of them.

    With `smaller`, a pipeline for smaller images, its images are enlarged.
    """
    requests = judged_requests(pipeline.card.config.controls, each, labels=labels)
    starts = samples(smaller, requests) if smaller else None
    observations = observe(reader, list(samples(pipeline, requests, sampling=sampling, starts=starts)))
    return JudgeReport(
        results=results(requests, observations, references),
        faults=faults(requests, observations, references.bounds()),
    )


def table(report: JudgeReport) -> str:
    """Return the report as Markdown: a table of criteria, then a line on craft."""
    craft = ", ".join(f"{fault} {share.value:.1%}" for fault, share in report.faults.items())
    return f"{criteria.table(report.results)}\n\nWithin the bound of real images: {craft}."


def load_pipeline(folder: Path, *, capacity: int = 16) -> Pipeline:
    """Load the model in a folder with its verifier, on compiled engines where possible."""
    networks, card = load_model(folder)
    verifier = load_verifier(folder, card)
    return Pipeline(networks, card, capacity=capacity, verifier=verifier, backend=Fastest(PASSES))


def sampling_of(default: Sampling, args: argparse.Namespace) -> Sampling:
    """Return the sampling of a command line; an option that is absent keeps the default."""
    named = {name: getattr(args, name) for name in ("guidance", "candidates", "temperature")}
    return replace(default, **{name: value for name, value in named.items() if value is not None})


def main() -> None:
    """Run the command line."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    pipeline = load_pipeline(args.model)
    sampling = sampling_of(pipeline.card.sampling, args)
    if args.grid:
        _grid(args, pipeline)
        return
    if args.copies:
        record: dict[str, Any] = {"copies": _copies(args, pipeline, sampling)}
    elif args.blank is not None:
        record = {"blank": _blank(args, pipeline, sampling)}
    else:
        report = judge(
            pipeline,
            *_reader_and_references(pipeline),
            each=args.each,
            labels=args.labels,
            sampling=sampling,
            smaller=load_pipeline(args.enlarge) if args.enlarge else None,
        )
        print(table(report))
        record = {"judgement": asdict(report)}
    if args.json:
        whole = {"model": pipeline.card.name, "sampling": asdict(sampling), **record}
        args.json.write_text(json.dumps(whole, indent=1) + "\n")


def _grid(args: argparse.Namespace, pipeline: Pipeline) -> None:
    """Measure the points that `--json` does not have yet, at most `--points` of them, and write each as it comes."""
    conditions = {"model": pipeline.card.name, "sha256": pipeline.card.sha256, "each": args.each, "labels": args.labels}
    try:
        points = grid.saved_points(args.json, conditions) if args.json else []
    except ValueError as error:
        raise SystemExit(str(error)) from None
    measured = [point.sampling for point in points]
    missing = [sampling for sampling in grid.settings(pipeline) if sampling not in measured]
    requests = grid.grid_requests(pipeline.card.config.controls, args.each, labels=args.labels)
    reader, references = _reader_and_references(pipeline)
    for sampling in missing[: args.points]:
        points.append(grid.measure(pipeline, reader, references, requests, sampling))
        if args.json:
            grid.save_points(args.json, points, conditions)
    left = len(missing[args.points :]) if args.points is not None else 0
    cost = sum(point.cpu_minutes for point in points) / max(1, len(points))
    print(
        f"{grid.table(points)}\n\n{len(requests)} images and {cost:.1f} CPU minutes per point; {left} points are left."
    )


def _blank(args: argparse.Namespace, pipeline: Pipeline, sampling: Sampling) -> list[dict[str, Any]]:
    """Count blank images at each base temperature."""
    requests = grid.grid_requests(pipeline.card.config.controls, args.each, labels=args.labels)
    counts = [
        blank_images.count_blank(pipeline, requests, sampling, temperature)
        for temperature in args.blank or blank_images.BASE_TEMPERATURES
    ]
    print(blank_images.table(counts))
    return [asdict(count) for count in counts]


def _copies(args: argparse.Namespace, pipeline: Pipeline, sampling: Sampling) -> dict[str, Any]:
    """Count near copies of training drawings."""
    images = list(samples(pipeline, [{LABEL.name: args.copies}] * COPIED, sampling=sampling))
    found = copies(images, Pack.read(DEFAULT), args.copies)
    print(copies_table(found))
    return asdict(found)


def _reader_and_references(pipeline: Pipeline) -> tuple[Reader, ReferenceImages]:
    """Return the reader and the reference images at the size of the model."""
    pack, size = Pack.read(DEFAULT), pipeline.card.config.geometry.size
    reader = reader_of(Glyphs.train(pack))
    return reader, reference_images(reader, Glyphs.held_out(pack), count=REFERENCES, size=size)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Judge whether the images of a model show what was requested, and are drawn well."
    )
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("--each", type=int, default=4, help="images per label, and per pair of hue and tile")
    parser.add_argument("--labels", nargs="+", default=[], choices=LABEL.values, metavar="LABEL", help="only these")
    parser.add_argument("--guidance", type=float, help="default: that of the card")
    parser.add_argument("--candidates", type=int, help="base slices per image; default: that of the card")
    parser.add_argument(
        "--temperature", type=temperatures, help="0.9, or base=1,size=0.7,depth=0.8; default: that of the card"
    )
    parser.add_argument("--enlarge", type=Path, help="folder of a model for smaller images: judge its images, enlarged")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--grid", action="store_true", help="compare sampler settings instead")
    mode.add_argument(
        "--blank", nargs="*", type=float, metavar="T", help="count blank images at these base temperatures instead"
    )
    mode.add_argument(
        "--copies", metavar="LABEL", choices=LABEL.values, help="count near copies of training drawings instead"
    )
    parser.add_argument("--points", type=int, help="measure at most this many new points of the grid")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the figures here; a grid continues what the file has")
    return parser.parse_args()


if __name__ == "__main__":
    main()
