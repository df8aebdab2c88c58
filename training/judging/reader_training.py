"""Training of the reader of the judge: on training masks only, transformed anew at every step."""

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
class ReaderTraining:
    """How a reader is trained: `steps` of `batch` glyphs."""

    steps: int = 4500
    batch: int = 64
    rate: float = 3e-3
    decay: float = 0.05
    smoothing: float = 0.1
    seed: int = 1812


class ReaderTrainer:
    """A reader in training: its weights, their running mean, which is the result, and the optimiser.

    `face_shares` (n_faces,): the frequency of each face among the training letters.
    """

    def __init__(self, training: ReaderTraining, face_shares: Tensor) -> None:
        torch.manual_seed(training.seed)
        self.training, self.step = training, 0
        self.face_prior = face_shares.clamp(min=1e-6).log()
        self.reader = Reader(len(LABEL.values), len(FACES)).train()
        self.mean = deepcopy(self.reader)
        self.optimizer = AdamW(self.reader.parameters(), lr=training.rate, weight_decay=training.decay)
        self.schedule = OneCycleLR(self.optimizer, training.rate, total_steps=training.steps, pct_start=0.15)

    def learn(self, images: Tensor, labels: Tensor, faces: Tensor) -> float:
        """Make one step; return the loss of the labels."""
        torch.manual_seed(self.training.seed + self.step)  # so that dropout is the same after a resume
        seen, face = self.reader(images)
        loss = F.cross_entropy(seen, labels, label_smoothing=self.training.smoothing)
        lettered = faces >= 0
        shown = face[lettered] + self.face_prior  # logits as if all faces were equally frequent (arXiv:2007.07314)
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
        """Move the mean towards the reader, faster in early steps."""
        share = max(1 - _MEMORY, 9 / (9 + self.step))
        for kept, now in zip(self.mean.state_dict().values(), self.reader.state_dict().values(), strict=True):
            kept.lerp_(now, share) if kept.is_floating_point() else kept.copy_(now)

    def state(self) -> dict[str, Any]:
        """Return everything that `resume` needs to continue."""
        parts = {name: getattr(self, name).state_dict() for name in ("reader", "mean", "optimizer", "schedule")}
        return {"step": self.step, **parts}

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.step = state["step"]
        for name in ("reader", "mean", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])


def reader_of(
    glyphs: Glyphs, training: ReaderTraining | None = None, *, shipped: Path = SHIPPED, cache: Path = CACHE
) -> Reader:
    """Return the reader of these glyphs and this training in evaluation mode: shipped, cached, or else trained and cached.

    Weights are stored as bfloat16, so a reader that was just trained is read back from its file.
    """
    training = training or ReaderTraining()
    name = f"reader-{digest(glyphs, training)}"
    path = shipped / f"{name}.safetensors"
    path = path if path.exists() else cache / path.name
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        _write(path, lambda file: save_file(_stored(train_reader(glyphs, training, unfinished)), file))
        unfinished.unlink(missing_ok=True)
    reader = Reader(len(LABEL.values), len(FACES))
    reader.load_state_dict(load_file(path))
    return reader.eval()


def train_reader(glyphs: Glyphs, training: ReaderTraining, unfinished: Path | None = None) -> Reader:
    """Train a reader and return it. It is saved to `unfinished` every minute and continues from there if that exists."""
    trainer = ReaderTrainer(training, face_shares(glyphs))
    if unfinished and unfinished.exists():
        trainer.resume(torch.load(unfinished, weights_only=True))
    saved = time.monotonic()
    bar = tqdm(
        range(trainer.step, training.steps), initial=trainer.step, total=training.steps, desc="training the reader"
    )
    for step in bar:
        bar.set_postfix(loss=f"{trainer.learn(*example(glyphs, training, step)):.2f}", refresh=False)
        if unfinished and time.monotonic() - saved > _SAVE_SECONDS:
            _write(unfinished, partial(torch.save, trainer.state()))
            saved = time.monotonic()
    return trainer.mean.eval()


def face_shares(glyphs: Glyphs) -> Tensor:
    """Return the frequency of each face among letters: (n_faces,)."""
    counts = np.bincount(glyphs.faces[glyphs.letters], minlength=len(FACES))
    return torch.from_numpy(counts / counts.sum()).float()


def example(glyphs: Glyphs, training: ReaderTraining, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the glyphs of a step, bent, (B, 1, 64, 64), with labels and faces (B,); equal for equal training and step."""
    rng = np.random.default_rng([training.seed, step])
    chosen = glyphs.balanced(rng, training.batch)
    masks = torch.from_numpy(glyphs.masks[chosen])[:, None].float() / 255
    return bent(rng, small(masks)), torch.from_numpy(glyphs.labels[chosen]), torch.from_numpy(glyphs.faces[chosen])


def digest(glyphs: Glyphs, training: ReaderTraining) -> str:
    """Return a short hash of everything that a trained reader depends on."""
    named = hashlib.sha256(repr((asdict(training), LABEL.values, FACES)).encode())
    for array in (glyphs.masks.packed, glyphs.labels, glyphs.styles):
        named.update(np.ascontiguousarray(array).tobytes())
    return named.hexdigest()[:12]


def _stored(reader: Reader) -> dict[str, Tensor]:
    """Return the tensors of a reader: weights as bfloat16, vectors and counters as they are."""
    state = reader.state_dict()
    return {name: (each.bfloat16() if each.ndim > 1 else each).contiguous() for name, each in state.items()}


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_suffix(".partial")
    write(partial_path)
    partial_path.replace(path)
