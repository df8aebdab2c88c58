"""A data set of the images of any source, split by a hash of their names; unreadable images are logged and skipped."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from models.config import ANY, Control
from models.subscale import Bytes
from training.data.errors import DataError, UnreadableImageError
from training.data.symbols import ImageBatch

logger = logging.getLogger(__name__)

LABEL: Final = "label"

HELD_SHARE: Final = 0.02
"""Share of images that are never trained on."""

MOST_HELD_OUT: Final = 1000
"""Held-out images that are evaluated, at most; a large data set has more."""

_TRIES: Final = 100


class ImageSource(Protocol):
    """Images by number."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of all labels; empty if images have none."""

    def __len__(self) -> int:
        """Return the number of images."""

    def name(self, index: int) -> str:
        """Return the name of an image, which does not depend on where the source is stored."""

    def label(self, index: int) -> int:
        """Return the position of the label of an image in `labels`, -1 for none."""

    def image(self, index: int, size: int) -> Bytes:
        """Return an image (size, size, 3) uint8. Raises UnreadableImageError."""


class Collection:
    """The images of a source as squares of `size`, with a control `label` if the source has labels.

    Raises DataError for a source with fewer than two images.
    """

    families: tuple[str, ...] = ("pictures",)

    def __init__(self, source: ImageSource, *, size: int) -> None:
        self.source, self.size = source, size
        self.controls: tuple[Control, ...] = (Control(name=LABEL, values=source.labels),) if source.labels else ()
        if len(source) < 2:  # noqa: PLR2004 - one to train on and one to judge by
            raise DataError(f"expected at least two images, found {len(source)}")
        places = np.array([place(source.name(index)) for index in range(len(source))])
        order = places.argsort(kind="stable")
        held = max(1, int((places < HELD_SHARE).sum()))
        self.held, self.trained = order[:held], np.sort(order[held:])
        self.unreadable: set[str] = set()
        self._held_out: ImageBatch | None = None

    def draw(self, rng: np.random.Generator, count: int) -> ImageBatch:
        """Return `count` random training images. Raises DataError if a hundred in a row are unreadable."""
        return self._batch([self._readable(rng) for _ in range(count)])

    def held_out(self) -> ImageBatch:
        """Return up to a thousand held-out images in the order of their hashes. Raises DataError if none is readable."""
        if self._held_out is None:
            tried = ((int(index), self._try(int(index))) for index in self.held[:MOST_HELD_OUT])
            images = [(index, image) for index, image in tried if image is not None]
            if not images:
                raise DataError(f"none of the {len(self.held)} held-out images can be read")
            self._held_out = self._batch(images)
        return self._held_out

    def _readable(self, rng: np.random.Generator) -> tuple[int, Bytes]:
        """Return a random readable image. The generator alone decides, so every process draws the same images."""
        for _ in range(_TRIES):
            index = int(self.trained[rng.integers(len(self.trained))])
            if (image := self._try(index)) is not None:
                return index, image
        raise DataError(f"{_TRIES} images in a row cannot be read, the last is {self.source.name(index)}")

    def _try(self, index: int) -> Bytes | None:
        """Return the image, or None for an unreadable one, which is logged the first time."""
        try:
            return self.source.image(index, self.size)
        except UnreadableImageError as problem:
            name = self.source.name(index)
            if name not in self.unreadable:
                self.unreadable.add(name)
                logger.warning("skipped: %s", problem)
            return None

    def _batch(self, images: Sequence[tuple[int, Bytes]]) -> ImageBatch:
        labels = [[self.source.label(index) + 1 if self.controls else ANY] for index, _ in images]
        return ImageBatch(
            images=np.stack([image for _, image in images]),
            controls=np.array(labels, np.int64)[:, : len(self.controls)],
            families=np.zeros(len(images), np.int64),
        )


def place(name: str) -> float:
    """Return the hash of a name as a number in 0..1."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2**48
