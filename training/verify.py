"""Teach a model's verifier: `python -m training.verify --out models/weights/symbols-64`.

It learns on base slices of freshly composed training pictures, a few minutes of one core, and is tested on those of held-out
ones. Where the folder holds a model, its card gets the verifier's sha256.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from models.config import Geometry
from models.subscale import Bytes
from models.verifier import Verifier
from training.data.symbols import Symbols
from training.data.vocabulary import LABEL, MONOGRAMS
from training.judging.glyphs import Glyphs, composed
from training.judging.reader import merged

_LIVELY: Final = 0.02


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a verifier is taught: `steps` of `batch` fresh base slices."""

    steps: int = 2500
    batch: int = 64
    rate: float = 4e-3
    decay: float = 0.05
    smoothing: float = 0.05
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Marks:
    """Shares of held-out base slices told right, characters drawn alike (O and 0, I and 1) counted as one."""

    letters: float
    concepts: float
    count: int


def taught(glyphs: Glyphs, geometry: Geometry, course: Course) -> Verifier:
    """Return a verifier taught by `course` on composed glyphs, in evaluation mode; slices are composed ahead in a thread."""
    torch.manual_seed(course.seed)
    verifier = Verifier(geometry, len(LABEL.values)).train()
    optimizer = AdamW(verifier.parameters(), lr=course.rate, weight_decay=course.decay)
    schedule = OneCycleLR(optimizer, course.rate, total_steps=course.steps, pct_start=0.2)
    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(example, glyphs, geometry, course, step) for step in range(course.steps)]
        for future in tqdm(ahead, desc="learning to verify"):
            slices, labels = future.result()
            loss = F.cross_entropy(verifier(slices), labels, label_smoothing=course.smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return verifier.eval()


def example(glyphs: Glyphs, geometry: Geometry, course: Course, step: int) -> tuple[Tensor, Tensor]:
    """Base slices (B, h, w, C) of fresh training pictures, some values off by one, and their labels (B,)."""
    rng = np.random.default_rng([course.seed, step])
    chosen = glyphs.balanced(rng, course.batch)
    slices = base_slices(np.stack([composed(rng, glyphs, index, geometry.size) for index in chosen]), geometry)
    off = rng.choice(3, slices.shape, p=[_LIVELY, 1 - 2 * _LIVELY, _LIVELY]) - 1
    moved = np.clip(slices + off, 0, (1 << geometry.coarse_bits) - 1).astype(np.uint8)
    return torch.from_numpy(moved), torch.from_numpy(glyphs.labels[chosen])


def base_slices(pictures: Bytes, geometry: Geometry) -> Bytes:
    """The base slices (n, h, w, C) of pictures (n, H, W, C): every S-th pixel's coarse bits."""
    every = geometry.subscale
    return np.asarray(pictures[:, ::every, ::every] >> np.uint8(geometry.fine_bits))


def marks(verifier: Verifier, data: Symbols, geometry: Geometry) -> Marks:
    """How many of the held-out pictures a verifier tells from their base slices."""
    held_out = data.held_out()
    labels = held_out.controls[:, 0] - 1
    seen = merged(verifier.probabilities(torch.from_numpy(base_slices(held_out.images, geometry))).numpy())
    right = np.array([LABEL.values[a] for a in seen.argmax(-1)]) == [read_as(LABEL.values[b]) for b in labels]
    lettered = labels < len(MONOGRAMS)
    return Marks(letters=float(right[lettered].mean()), concepts=float(right[~lettered].mean()), count=len(labels))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Teach the verifier of a model's base slices.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model, or where the verifier is to lie")
    parser.add_argument("--size", type=int, default=64, help="of pictures, where the folder holds no model")
    parser.add_argument("--steps", type=int, default=Course.steps)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
