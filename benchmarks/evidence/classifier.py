"""A small classifier that reads monograms, to tell whether a drawn letter is the letter that was asked for.

It reads at 32 x 32 (larger pictures are boxed down) and is trained on the composed training monograms, their masks
stretched, sheared, thinned and thickened, since the faces it is scored on are held out. O and 0 are one character to it,
and so are I and 1: some faces draw them alike.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW
from tqdm import tqdm

from models.subscale import Bytes
from training.data.symbols import Pack
from training.data.tiles import MASTER, Look, Mask, box, compose
from training.data.vocabulary import HUE, MONOGRAMS, Family, Tile

SIDE: Final = 32
"""Pixels along the pictures that are read."""

READER: Final = Path(".cache/reader-32.pt")
"""Where the trained classifier is kept."""

_ALIKE: Final = {"0": "O", "1": "I"}
CLASSES: Final = tuple(c for c in MONOGRAMS if c not in _ALIKE)


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """How the reader is trained: `steps` of `batch` fresh pictures."""

    steps: int = 700
    batch: int = 64
    rate: float = 3e-3
    seed: int = 0


class Reader(nn.Module):
    """Pictures (B, 3, 32, 32) in [-1, 1] -> logits over `CLASSES`, (B, 34)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 48, 96, 128)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=1 if before == 3 else 2, padding=1)]  # noqa: PLR2004 - RGB
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3))
        self.last = nn.Linear(widths[-1] * 16, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 32, 32) -> (B, 34)."""
        out: Tensor = self.last(self.features(x))
        return out


def class_of(character: str) -> int:
    """The class of a monogram's label."""
    return CLASSES.index(_ALIKE.get(character, character))


@torch.inference_mode()
def read(reader: Reader, pictures: Bytes) -> NDArray[np.int64]:
    """The class of each picture (B, H, W, 3): (B,)."""
    logits: Tensor = reader.eval()(scaled(box(pictures, SIDE)))
    return logits.argmax(-1).numpy()


def reader_of(pack: Pack, path: Path = READER) -> Reader:
    """The reader kept at `path`; where there is none it is taught, in under a minute of one thread, and kept."""
    if not path.exists():
        taught = trained(pack, Lesson())
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save(taught.state_dict(), partial)
        partial.replace(path)
    reader = Reader()
    reader.load_state_dict(torch.load(path, weights_only=True))
    return reader.eval()


def trained(pack: Pack, lesson: Lesson) -> Reader:
    """A reader taught by `lesson`; pictures are composed ahead in a thread."""
    torch.manual_seed(lesson.seed)
    reader = Reader().train()
    optimizer = AdamW(reader.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lesson.rate, total_steps=lesson.steps)
    with ThreadPoolExecutor(1) as pool:
        lessons = [pool.submit(monograms, pack, [lesson.seed, step], lesson.batch) for step in range(lesson.steps)]
        for ahead in tqdm(lessons, desc="learning to read", leave=False):
            pictures, asked = ahead.result()
            loss = F.cross_entropy(reader(scaled(pictures)), torch.from_numpy(asked), label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return reader.eval()


def monograms(pack: Pack, seed: list[int], count: int) -> tuple[Bytes, NDArray[np.int64]]:
    """Fresh training monograms (count, 32, 32, 3) on any tile in any hue, and their classes."""
    rng = np.random.default_rng(seed)
    letters = np.flatnonzero(pack.glyph_families == Family.MONOGRAMS)
    chosen = rng.choice(letters, count)
    pictures = [_one(rng, pack.glyphs[index]) for index in chosen]
    return np.stack(pictures), np.array([class_of(MONOGRAMS[label - 1]) for label in pack.glyph_labels[chosen]])


def scaled(pictures: Bytes) -> Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _one(rng: np.random.Generator, mask: Mask) -> Bytes:
    look = Look(
        family=Family.MONOGRAMS,
        hue=HUE.values[rng.integers(len(HUE.values))],
        tile=tuple(Tile)[rng.integers(len(Tile))],
    )
    return compose(rng, reshaped(rng, mask), look, size=SIDE)


def reshaped(rng: np.random.Generator, mask: Mask) -> Mask:
    """As another face might draw it: narrower or wider, slanted, lighter or bolder."""
    width, height, slant, turn = rng.uniform(0.8, 1.3), rng.uniform(0.95, 1.15), *rng.uniform(-0.12, 0.12, 2)
    matrix = np.array([[width, slant], [turn * 0.7, height]])
    start = MASTER / 2 - matrix @ [MASTER / 2, MASTER / 2]
    image = Image.fromarray(mask).transform(
        (MASTER, MASTER),
        Image.Transform.AFFINE,
        (*matrix[0], start[0], *matrix[1], start[1]),
        Image.Resampling.BILINEAR,
    )
    weight = rng.random()
    if weight < 0.2:  # noqa: PLR2004 - one in five bolder, one in five lighter
        image = image.filter(ImageFilter.MaxFilter(3))
    elif weight < 0.4:  # noqa: PLR2004 - as above
        image = image.filter(ImageFilter.MinFilter(3))
    return np.asarray(image)
