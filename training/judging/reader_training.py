"""Training of the judge's reader: on training masks alone, transformed anew at every step."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from training.data.vocabulary import LABEL
from training.judging.bending import bent
from training.judging.glyphs import FACES, Glyphs
from training.judging.reader import Reader, small

SHIPPED: Final = Path(__file__).parent
"""Folder of the committed reader, which belongs to the committed data."""

CACHE: Final = Path(".cache")
"""Folder of readers of other data."""

_SAVE_SECONDS: Final = 60.0
_MEMORY: Final = 0.998
_FACE_WEIGHT: Final = 0.3


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """How a reader is taught: `steps` of `batch` glyphs."""

    steps: int = 4500
    batch: int = 64
    rate: float = 3e-3
    decay: float = 0.05
    smoothing: float = 0.1
    seed: int = 1812


class Pupil:
    """A reader being taught: its weights, their running mean, which reads in the end, and where the lesson stands.

    `face_shares` (n_faces,): how common each face is among the letters it is taught on.
    """

    def __init__(self, lesson: Lesson, face_shares: Tensor) -> None:
        torch.manual_seed(lesson.seed)
        self.lesson, self.step = lesson, 0
        self.face_prior = face_shares.clamp(min=1e-6).log()
        self.reader = Reader(len(LABEL.values), len(FACES)).train()
        self.mean = deepcopy(self.reader)
        self.optimizer = AdamW(self.reader.parameters(), lr=lesson.rate, weight_decay=lesson.decay)
        self.schedule = OneCycleLR(self.optimizer, lesson.rate, total_steps=lesson.steps, pct_start=0.15)

    def learn(self, images: Tensor, labels: Tensor, faces: Tensor) -> float:
        """One step; returns the loss of the labels."""
        torch.manual_seed(self.lesson.seed + self.step)  # dropout: the same after a pause
        seen, face = self.reader(images)
        loss = F.cross_entropy(seen, labels, label_smoothing=self.lesson.smoothing)
        lettered = faces >= 0
        shown = face[lettered] + self.face_prior  # so the answer is as if every face were as common (arXiv:2007.07314)
        also = F.cross_entropy(shown, faces[lettered]) if bool(lettered.any()) else face.sum() * 0
        self.optimizer.zero_grad()
        (loss + _FACE_WEIGHT * also).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        self._average()
        return float(loss.detach())

    @torch.no_grad()
    def _average(self) -> None:
        """Move the mean towards the reader, the faster the earlier."""
        share = max(1 - _MEMORY, 9 / (9 + self.step))
        for kept, now in zip(self.mean.state_dict().values(), self.reader.state_dict().values(), strict=True):
            kept.lerp_(now, share) if kept.is_floating_point() else kept.copy_(now)

    def state(self) -> dict[str, Any]:
        """All that a lesson goes on from."""
        parts = {name: getattr(self, name).state_dict() for name in ("reader", "mean", "optimizer", "schedule")}
        return {"step": self.step, **parts}

    def take_up(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.step = state["step"]
        for name in ("reader", "mean", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])


def reader_of(glyphs: Glyphs, lesson: Lesson | None = None, *, shipped: Path = SHIPPED, cache: Path = CACHE) -> Reader:
    """Return the reader of these glyphs and this lesson in evaluation mode: shipped, cached, or else trained and cached.

    Weights are stored as bfloat16, so a reader that was just trained is read back from its file.
    """
    lesson = lesson or Lesson()
    name = f"reader-{digest(glyphs, lesson)}"
    path = shipped / f"{name}.safetensors"
    path = path if path.exists() else cache / path.name
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        _write(path, lambda file: save_file(_stored(taught(glyphs, lesson, unfinished)), file))
        unfinished.unlink(missing_ok=True)
    reader = Reader(len(LABEL.values), len(FACES))
    reader.load_state_dict(load_file(path))
    return reader.eval()


def taught(glyphs: Glyphs, lesson: Lesson, unfinished: Path | None = None) -> Reader:
    """Return a reader taught by `lesson`. It is saved to `unfinished` every minute, and goes on from there if that exists."""
    pupil = Pupil(lesson, face_shares(glyphs))
    if unfinished and unfinished.exists():
        pupil.take_up(torch.load(unfinished, weights_only=True))
    saved = time.monotonic()
    bar = tqdm(range(pupil.step, lesson.steps), initial=pupil.step, total=lesson.steps, desc="learning to read")
    for step in bar:
        bar.set_postfix(loss=f"{pupil.learn(*example(glyphs, lesson, step)):.2f}", refresh=False)
        if unfinished and time.monotonic() - saved > _SAVE_SECONDS:
            _write(unfinished, partial(torch.save, pupil.state()))
            saved = time.monotonic()
    return pupil.mean.eval()


def face_shares(glyphs: Glyphs) -> Tensor:
    """How common each face is among letters: (n_faces,)."""
    counts = np.bincount(glyphs.faces[glyphs.letters], minlength=len(FACES))
    return torch.from_numpy(counts / counts.sum()).float()


def example(glyphs: Glyphs, lesson: Lesson, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """The glyphs of a step, bent, (B, 1, 64, 64), with their labels and faces (B,); equal for equal lesson and step."""
    rng = np.random.default_rng([lesson.seed, step])
    chosen = glyphs.balanced(rng, lesson.batch)
    masks = torch.from_numpy(glyphs.masks[chosen])[:, None].float() / 255
    return bent(rng, small(masks)), torch.from_numpy(glyphs.labels[chosen]), torch.from_numpy(glyphs.faces[chosen])


def digest(glyphs: Glyphs, lesson: Lesson) -> str:
    """A short name for all that a taught reader depends on."""
    named = hashlib.sha256(repr((asdict(lesson), LABEL.values, FACES)).encode())
    for array in (glyphs.masks.packed, glyphs.labels, glyphs.styles):
        named.update(np.ascontiguousarray(array).tobytes())
    return named.hexdigest()[:12]


def _stored(reader: Reader) -> dict[str, Tensor]:
    """Return the tensors of a reader: weights as bfloat16, vectors and counters as they are."""
    state = reader.state_dict()
    return {name: (each.bfloat16() if each.ndim > 1 else each).contiguous() for name, each in state.items()}


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file that is never seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_suffix(".partial")
    write(partial_path)
    partial_path.replace(path)
