"""Whether samples show what was asked for: `python -m training.judge models/weights/symbols-32`.

Letters are asked for by label alone and read by a classifier; hues and tiles are asked for together, every pair, and told
by rule. What reader and rules make of real held-out pictures is printed beside: a model can hardly look better than those.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from models.checkpoint import load_model
from models.config import Control, Temperatures
from models.pipeline import Pipeline
from models.subscale import Bytes
from training.data.symbols import Batch, Symbols
from training.data.vocabulary import CONTROLS, HUE, LABEL, MONOGRAMS, TILE, Family, Tile
from training.judging.looks import tile_hue, tile_of
from training.reading import CLASSES, Reader, class_of, read, reader_of
from training.samples import Asked, drawer, samples
from training.scores import markdown

_WEAKEST: Final = 3

Eye = Callable[[Bytes], list[str]]
"""What each picture (n, H, W, 3) shows of one control."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Of `count` samples asked for one control the share that shows it; the eye's share of right answers on real pictures;
    the values shown least, with their shares.
    """

    control: str
    count: int
    share: float
    real: float
    weakest: dict[str, float]


def judge(pipeline: Pipeline, held_out: Batch, reader: Reader, *, each: int, temperature: float = 1.0) -> list[Verdict]:
    """Verdicts on label, hue and tile, from `each` samples per character and per pair of hue and tile."""
    letters: list[Asked] = [{LABEL.name: c} for c in MONOGRAMS for _ in range(each)]
    pairs: list[Asked] = [{HUE.name: h, TILE.name: t} for h in HUE.values for t in TILE.values for _ in range(each)]
    on_tiles = np.array([pair[TILE.name] != Tile.NONE for pair in pairs])
    sampling = replace(pipeline.card.sampling, temperature=Temperatures.alike(temperature))
    drawn = samples(pipeline, [*letters, *pairs], sampling=sampling)
    monograms, looks = drawn[: len(letters)], drawn[len(letters) :]
    return [
        verdict(LABEL, reads(reader), monograms, letters, held_out),
        verdict(HUE, hues, looks[on_tiles], [pair for pair in pairs if pair[TILE.name] != Tile.NONE], held_out),
        verdict(TILE, tiles, looks, pairs, held_out),
    ]


def verdict(control: Control, eye: Eye, pictures: Bytes, asked: Sequence[Asked], held_out: Batch) -> Verdict:
    """What an eye sees on samples beside what was asked for, and on real pictures beside what they are."""
    wanted = np.array([told(control, each[control.name]) for each in asked])
    right = np.array(eye(pictures)) == wanted
    shares = {value: float(right[wanted == value].mean()) for value in dict.fromkeys(wanted.tolist())}
    return Verdict(
        control=control.name,
        count=len(wanted),
        share=float(right.mean()),
        real=real(control, eye, held_out),
        weakest=dict(sorted(shares.items(), key=lambda pair: pair[1])[:_WEAKEST]),
    )


def real(control: Control, eye: Eye, held_out: Batch) -> float:
    """How often an eye is right about held-out pictures: monograms for labels, tiles and monograms for the rest."""
    composed = [Family.MONOGRAMS] if control is LABEL else [Family.MONOGRAMS, Family.TILES]
    chosen = np.isin(held_out.families, composed)
    if control is HUE:
        chosen &= held_out.controls[:, CONTROLS.index(TILE)] != TILE.index(Tile.NONE)
    values = held_out.controls[chosen, CONTROLS.index(control)] - 1
    wanted = np.array([told(control, control.values[value]) for value in values])
    return float((np.array(eye(held_out.images[chosen])) == wanted).mean())


def told(control: Control, value: str) -> str:
    """A value as far as it can be told from a picture: 0 is O, and 1 is I."""
    return CLASSES[class_of(value)] if control is LABEL else value


def reads(reader: Reader) -> Eye:
    """The character that a reader sees."""
    return lambda pictures: [CLASSES[index] for index in read(reader, pictures)]


def hues(pictures: Bytes) -> list[str]:
    """The hue of each picture's tile."""
    return [tile_hue(picture, tile_of(picture)) for picture in pictures]


def tiles(pictures: Bytes) -> list[str]:
    """The tile of each picture."""
    return [tile_of(picture).value for picture in pictures]


def table(verdicts: list[Verdict]) -> str:
    """The verdicts as a Markdown table."""
    rows = [
        [
            v.control,
            str(v.count),
            f"{v.share:.1%}",
            f"{v.real:.1%}",
            ", ".join(f"{value} {share:.0%}" for value, share in v.weakest.items()),
        ]
        for v in verdicts
    ]
    return markdown(["asked", "n", "shown by samples", "found on real pictures", "least"], rows)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Whether a shipped model's samples show what was asked for.")
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("--each", type=int, default=4, help="samples per character, and per pair of hue and tile")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the verdicts here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pipeline = drawer(*load_model(args.model))
    data = Symbols.load(size=pipeline.card.config.geometry.size)
    reader = reader_of(data.pack)
    verdicts = judge(pipeline, data.held_out(), reader, each=args.each, temperature=args.temperature)
    print(table(verdicts))
    if args.json:
        args.json.write_text(json.dumps([asdict(v) for v in verdicts], indent=1) + "\n")


if __name__ == "__main__":
    main()
