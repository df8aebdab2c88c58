"""Train the verifier of a model: `python -m training.verify --out models/weights/symbols-64`.

It learns from base slices of newly composed training images in a few minutes of one core, and is tested on held-out
drawings. If the folder holds a model, its card gets the sha256 of the verifier.
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
from training.data.vocabulary import CONTROLS, HUE, LABEL, Tile
from training.judging.glyphs import Glyphs, reshaped
from training.judging.proportions import Proportion
from training.judging.reader import names, read_as
from training.presets import PRESETS

_NOISE: Final = 0.02


@dataclass(frozen=True, kw_only=True)
class VerifierTraining:
    """How a verifier is trained: `steps` with `images` new images each, of which every one has four slices."""

    steps: int = 3000
    images: int = 32
    rate: float = 4e-3
    decay: float = 0.05
    smoothing: float = 0.05
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class VerifierAccuracy:
    """Shares of held-out base slices that are read correctly. O and 0 count as one character, and so do I and 1."""

    letters: Proportion
    concepts: Proportion
    faces: Proportion
    icon_styles: Proportion


def train_verifier(glyphs: Glyphs, geometry: Geometry, training: VerifierTraining) -> Verifier:
    """Return a verifier trained on composed glyphs, in evaluation mode."""
    torch.manual_seed(training.seed)
    verifier = Verifier(geometry, CONTROLS).train()
    optimizer = AdamW(verifier.parameters(), lr=training.rate, weight_decay=training.decay)
    schedule = OneCycleLR(optimizer, training.rate, total_steps=training.steps, pct_start=0.2)
    for step in tqdm(range(training.steps), desc="training the verifier"):
        slices, read = example(glyphs, geometry, training, step)
        losses = [
            F.cross_entropy(logits, each, label_smoothing=training.smoothing)
            for logits, each in zip(verifier(slices), read, strict=True)
        ]
        loss = torch.stack(losses).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return verifier.eval()


def example(
    glyphs: Glyphs, geometry: Geometry, training: VerifierTraining, step: int
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return slices (B, h, w, C) of new training images, some values off by one, and their labels and styles, (B,) each.

    Besides the base slice they hold the three next slices, in which the glyph is moved by a pixel.
    """
    rng = np.random.default_rng([training.seed, step])
    chosen = glyphs.balanced(rng, training.images)
    images = np.stack([shown(rng, glyphs, i, reshaped(rng, glyphs.masks[i]), geometry.size) for i in chosen])
    slices = np.concatenate([base_slices(images[:, i:, j:], geometry) for i, j in np.ndindex(2, 2)])
    off = rng.choice(3, slices.shape, p=[_NOISE, 1 - 2 * _NOISE, _NOISE]) - 1
    moved = np.clip(slices + off, 0, (1 << geometry.coarse_bits) - 1).astype(np.uint8)
    labels, styles = (torch.from_numpy(np.tile(each[chosen], 4)) for each in (glyphs.labels, glyphs.styles))
    return torch.from_numpy(moved), (labels, styles)


def base_slices(images: Bytes, geometry: Geometry) -> Bytes:
    """Return the base slices (n, h, w, C) of images (n, H, W, C): the coarse bits of every S-th pixel."""
    every = geometry.subscale
    return np.asarray(images[:, ::every, ::every] >> np.uint8(geometry.fine_bits))


def shown(rng: np.random.Generator, glyphs: Glyphs, index: int, mask: Mask, size: int) -> Bytes:
    """Return an image (size, size, 3) of the mask of a glyph on a random tile in a random hue."""
    hue, tile = HUE.values[rng.integers(len(HUE.values))], tuple(Tile)[rng.integers(len(Tile))]
    return compose(rng, mask, Look(family=glyphs.family(index), hue=hue, tile=tile), size=size)


def accuracy_of(verifier: Verifier, glyphs: Glyphs, geometry: Geometry, seed: int = 1) -> VerifierAccuracy:
    """Return how many held-out drawings, composed once each on a random tile, a verifier reads in their base slices."""
    rng = np.random.default_rng(seed)
    images = [shown(rng, glyphs, i, glyphs.masks[i], geometry.size) for i in range(len(glyphs))]
    slices = base_slices(np.stack(images), geometry)
    labels, styles = (each.numpy() for each in verifier.probabilities(torch.from_numpy(slices)))
    read = np.array(names(labels)) == [read_as(LABEL.values[label]) for label in glyphs.labels]
    styled, letters = styles.argmax(-1) == glyphs.styles, glyphs.letters
    return VerifierAccuracy(
        letters=Proportion.of(list(read[letters])),
        concepts=Proportion.of(list(read[~letters])),
        faces=Proportion.of(list(styled[letters])),
        icon_styles=Proportion.of(list(styled[~letters])),
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Train the verifier of the base slices of a model.")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the model, or another folder for the verifier"
    )
    parser.add_argument("--steps", type=int, default=VerifierTraining.steps)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pack = Pack.read(DEFAULT)
    card = load_card(args.out) if (args.out / CARD).exists() else None
    geometry = card.config.geometry if card else PRESETS["symbols-64"](()).geometry
    verifier = train_verifier(Glyphs.train(pack), geometry, VerifierTraining(steps=args.steps))
    digest = save_verifier(verifier, args.out)
    if card:
        save_card(replace(card, verifier=digest), args.out)
        verifier = load_verifier(args.out, load_card(args.out)) or verifier
    found = accuracy_of(verifier, Glyphs.held_out(pack), geometry)
    print(f"sha256 {digest}; held-out base slices read correctly:")
    print(f"{found.letters} of {found.letters.count} letters, {found.concepts} of {found.concepts.count} concepts;")
    print(f"styles: {found.faces} of letters, {found.icon_styles} of icons")


if __name__ == "__main__":
    main()
