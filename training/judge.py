"""Whether a model's images show what was asked for, and are drawn well: `python -m training.judge models/weights/symbols-64`.

Labels are read by a classifier among all labels; hue, tile, and solid or outline are told by rule (training/judging/). What the
same eyes make of real held-out pictures is printed beside: a model can hardly look better than those.
"""

from __future__ import annotations

import argparse
import json
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
from training.judging import criteria as findings
from training.judging import grid as grids
from training.judging.copies import copies
from training.judging.copies import table as copies_table
from training.judging.criteria import CriterionResult, faults, results
from training.judging.glyphs import Glyphs
from training.judging.judged_requests import requests
from training.judging.keepers import ReferenceImages, reference_images
from training.judging.lessons import reader_of
from training.judging.observation import observe
from training.judging.proportions import Proportion
from training.judging.reader import Reader
from training.scoring.samples import PASSES, samples, temperatures

REAL: Final = 600
"""Real held-out letters, and as many icons, that are looked at beside."""

COPIED: Final = 64
"""Images of one label that are compared with training drawings."""


@dataclass(frozen=True, kw_only=True)
class JudgeReport:
    """What is found in a model's images, and how many of them lie within the bound of each craft fault."""

    verdicts: list[CriterionResult]
    faults: dict[str, Proportion]


def judge(
    pipeline: Pipeline, reader: Reader, held_out: ReferenceImages, *, each: int, sampling: Sampling | None = None
) -> JudgeReport:
    """Draw `each` images per label, and half of them again by style, and as many per look; say what they show."""
    asked = requests(pipeline.card.config.controls, each)
    seen = observe(reader, list(samples(pipeline, asked, sampling=sampling)))
    return JudgeReport(verdicts=results(asked, seen, held_out), faults=faults(asked, seen, held_out.bounds()))


def table(judgement: JudgeReport) -> str:
    """The judgement as Markdown: the verdicts, then a line on craft."""
    craft = ", ".join(f"{fault} {share.value:.1%}" for fault, share in judgement.faults.items())
    return f"{findings.table(judgement.verdicts)}\n\nWithin the bound of real pictures: {craft}."


def load_pipeline(folder: Path, *, capacity: int = 16) -> Pipeline:
    """The model in a folder with its verifier, on compiled engines where that can be."""
    networks, card = load_model(folder)
    verifier = load_verifier(folder, card)
    return Pipeline(networks, card, capacity=capacity, verifier=verifier, backend=Fastest(PASSES))


def sampling_of(default: Sampling, args: argparse.Namespace) -> Sampling:
    """The sampling of a command line; what is not named is the default's."""
    named = {name: getattr(args, name) for name in ("guidance", "candidates", "temperature")}
    return replace(default, **{name: value for name, value in named.items() if value is not None})


def main() -> None:
    """The command line."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    pipeline, pack = load_pipeline(args.model), Pack.read(DEFAULT)
    sampling = sampling_of(pipeline.card.sampling, args)
    size = pipeline.card.config.geometry.size
    record: dict[str, Any] = {"model": pipeline.card.name, "sampling": asdict(sampling)}
    if args.copies:
        pictures = list(samples(pipeline, [{LABEL.name: args.copies}] * COPIED, sampling=sampling))
        found = copies(pictures, pack, args.copies)
        print(copies_table(found))
        record["copies"] = asdict(found)
    else:
        reader = reader_of(Glyphs.train(pack))
        held_out = reference_images(reader, Glyphs.held_out(pack), count=REAL, size=size)
        if args.grid:
            points = grids.grid(pipeline, reader, held_out, each=args.each)
            print(grids.table(points))
            record["grid"] = [asdict(point) for point in points]
        else:
            judgement = judge(pipeline, reader, held_out, each=args.each, sampling=sampling)
            print(table(judgement))
            record["judgement"] = asdict(judgement)
    if args.json:
        args.json.write_text(json.dumps(record, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Whether a model's images show what was asked for, and are drawn well."
    )
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("--each", type=int, default=4, help="images per label, and per pair of hue and tile")
    parser.add_argument("--guidance", type=float, help="default: the card's")
    parser.add_argument("--candidates", type=int, help="base slices per image; default: the card's")
    parser.add_argument(
        "--temperature", type=temperatures, help="0.9, or base=1,size=0.7,depth=0.8; default: the card's"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--grid", action="store_true", help="compare settings of the sampler instead")
    what.add_argument(
        "--copies", metavar="LABEL", choices=LABEL.values, help="count near copies of training drawings instead"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write what is found here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
