"""Teach a model's verifier: `python -m training.verify --out models/weights/symbols-64`.

It learns on base slices of freshly composed training pictures, a few minutes of one core, and is tested on those of held-out
ones. Where the folder holds a model, its card gets the verifier's sha256.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from models.cards import CARD, load_card, save_card
from models.config import Geometry
from models.subscale import Bytes
from models.verifier import Verifier, load_verifier, save_verifier
from training.data.symbols import DEFAULT, Pack
from training.data.tiles import Look, Mask, compose
from training.data.vocabulary import HUE, LABEL, Tile
from training.judging.glyphs import Glyphs, reshaped
from training.judging.proportions import Proportion
from training.judging.reader import names, read_as

_NOISE: Final = 0.02


@dataclass(frozen=True, kw_only=True)
class VerifierTraining:
    """How a verifier is taught: `steps` of `pictures` fresh pictures, each of which gives four slices."""

    steps: int = 3000
    pictures: int = 32
    rate: float = 4e-3
    decay: float = 0.05
    smoothing: float = 0.05
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class VerifierAccuracy:
    """Shares of held-out base slices told right, characters drawn alike (O and 0, I and 1) counted as one."""

    letters: Proportion
    concepts: Proportion


def train_verifier(glyphs: Glyphs, geometry: Geometry, course: VerifierTraining) -> Verifier:
    """Return a verifier taught by `course` on composed glyphs, in evaluation mode; slices are composed ahead in a thread."""
    torch.manual_seed(course.seed)
    verifier = Verifier(geometry, len(LABEL.values)).train()
    optimizer = AdamW(verifier.parameters(), lr=course.rate, weight_decay=course.decay)
    schedule = OneCycleLR(optimizer, course.rate, total_steps=course.steps, pct_start=0.2)
    for step in tqdm(range(course.steps), desc="learning to verify"):
        slices, labels = example(glyphs, geometry, course, step)
        loss = F.cross_entropy(verifier(slices), labels, label_smoothing=course.smoothing)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return verifier.eval()


def example(glyphs: Glyphs, geometry: Geometry, course: VerifierTraining, step: int) -> tuple[Tensor, Tensor]:
    """Slices (B, h, w, C) of fresh training pictures, some values off by one, and their labels (B,).

    Beside the base slice of a picture stand its neighbours to the right, below and between: a glyph a pixel farther on.
    """
    rng = np.random.default_rng([course.seed, step])
    chosen = glyphs.balanced(rng, course.pictures)
    pictures = np.stack([shown(rng, glyphs, i, reshaped(rng, glyphs.masks[i]), geometry.size) for i in chosen])
    slices = np.concatenate([base_slices(pictures[:, i:, j:], geometry) for i, j in np.ndindex(2, 2)])
    off = rng.choice(3, slices.shape, p=[_NOISE, 1 - 2 * _NOISE, _NOISE]) - 1
    moved = np.clip(slices + off, 0, (1 << geometry.coarse_bits) - 1).astype(np.uint8)
    return torch.from_numpy(moved), torch.from_numpy(np.tile(glyphs.labels[chosen], 4))


def base_slices(pictures: Bytes, geometry: Geometry) -> Bytes:
    """The base slices (n, h, w, C) of pictures (n, H, W, C): every S-th pixel's coarse bits."""
    every = geometry.subscale
    return np.asarray(pictures[:, ::every, ::every] >> np.uint8(geometry.fine_bits))


def shown(rng: np.random.Generator, glyphs: Glyphs, index: int, mask: Mask, size: int) -> Bytes:
    """A picture (size, size, 3) of a glyph's mask on any tile in any hue."""
    hue, tile = HUE.values[rng.integers(len(HUE.values))], tuple(Tile)[rng.integers(len(Tile))]
    return compose(rng, mask, Look(family=glyphs.family(index), hue=hue, tile=tile), size=size)


def accuracy_of(verifier: Verifier, glyphs: Glyphs, geometry: Geometry, seed: int = 1) -> VerifierAccuracy:
    """How many held-out drawings, composed once each on any tile, a verifier tells from their base slices."""
    rng = np.random.default_rng(seed)
    pictures = [shown(rng, glyphs, i, glyphs.masks[i], geometry.size) for i in range(len(glyphs))]
    slices = base_slices(np.stack(pictures), geometry)
    seen = np.array(names(verifier.probabilities(torch.from_numpy(slices)).numpy()))
    right = seen == [read_as(LABEL.values[label]) for label in glyphs.labels]
    letters = glyphs.letters
    return VerifierAccuracy(letters=Proportion.of(list(right[letters])), concepts=Proportion.of(list(right[~letters])))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Teach the verifier of a model's base slices.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model, or where the verifier is to lie")
    parser.add_argument("--steps", type=int, default=VerifierTraining.steps)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pack = Pack.read(DEFAULT)
    card = load_card(args.out) if (args.out / CARD).exists() else None
    geometry = card.config.geometry if card else Geometry(size=64, slice_size=16)
    verifier = train_verifier(Glyphs.train(pack), geometry, VerifierTraining(steps=args.steps))
    digest = save_verifier(verifier, args.out)
    if card:
        save_card(replace(card, verifier=digest), args.out)
        verifier = load_verifier(args.out, load_card(args.out)) or verifier
    found = accuracy_of(verifier, Glyphs.held_out(pack), geometry)
    print(f"sha256 {digest}; held-out base slices told right:")
    print(f"{found.letters} of {found.letters.count} letters, {found.concepts} of {found.concepts.count} concepts")


if __name__ == "__main__":
    main()
