"""A data set of whatever pictures lie on a shelf: held out by a hash of their names, the unreadable named and skipped."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from models.config import ANY, Control
from models.subscale import Bytes
from training.data.errors import DataError, UnreadablePicture
from training.data.symbols import ImageBatch

logger = logging.getLogger(__name__)

LABEL: Final = "label"

HELD_SHARE: Final = 0.02
"""Pictures never trained on."""

MOST_JUDGED: Final = 1000
"""Held-out pictures that are judged by; of a large data set not all of them."""

_TRIES: Final = 100


class ImageSource(Protocol):
    """Pictures by number."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of all labels; empty where pictures have none."""

    def __len__(self) -> int:
        """How many pictures there are."""

    def name(self, index: int) -> str:
        """The picture's own name: the same wherever the shelf stands."""

    def label(self, index: int) -> int:
        """The position of the picture's label in `labels`, -1 for none."""

    def picture(self, index: int, size: int) -> Bytes:
        """(size, size, 3) uint8. Raises UnreadablePicture."""


class Collection:
    """A shelf's pictures as squares of `size`; with a control `label` where the shelf has labels.

    Raises DataError where there are not at least two pictures.
    """

    families: tuple[str, ...] = ("pictures",)

    def __init__(self, shelf: ImageSource, *, size: int) -> None:
        self.shelf, self.size = shelf, size
        self.controls: tuple[Control, ...] = (Control(name=LABEL, values=shelf.labels),) if shelf.labels else ()
        if len(shelf) < 2:  # noqa: PLR2004 - one to train on and one to judge by
            raise DataError(f"expected at least two pictures, found {len(shelf)}")
        places = np.array([place(shelf.name(index)) for index in range(len(shelf))])
        order = places.argsort(kind="stable")
        held = max(1, int((places < HELD_SHARE).sum()))
        self.held, self.trained = order[:held], np.sort(order[held:])
        self.unreadable: set[str] = set()
        self._judged: ImageBatch | None = None

    def draw(self, rng: np.random.Generator, count: int) -> ImageBatch:
        """`count` training pictures, each as likely as any. Raises DataError where a hundred in a row are unreadable."""
        return self._batch([self._readable(rng) for _ in range(count)])

    def held_out(self) -> ImageBatch:
        """Up to a thousand held-out pictures in the order of their hashes. Raises DataError where none is readable."""
        if self._judged is None:
            tried = ((int(index), self._try(int(index))) for index in self.held[:MOST_JUDGED])
            pictures = [(index, picture) for index, picture in tried if picture is not None]
            if not pictures:
                raise DataError(f"none of the {len(self.held)} held-out pictures can be read")
            self._judged = self._batch(pictures)
        return self._judged

    def _readable(self, rng: np.random.Generator) -> tuple[int, Bytes]:
        """An unreadable picture is replaced by the next that the same generator gives: every process draws the same."""
        for _ in range(_TRIES):
            index = int(self.trained[rng.integers(len(self.trained))])
            if (picture := self._try(index)) is not None:
                return index, picture
        raise DataError(f"{_TRIES} pictures in a row cannot be read, the last is {self.shelf.name(index)}")

    def _try(self, index: int) -> Bytes | None:
        """The picture, or None; the first time an unreadable one is met it is named."""
        try:
            return self.shelf.picture(index, self.size)
        except UnreadablePicture as problem:
            name = self.shelf.name(index)
            if name not in self.unreadable:
                self.unreadable.add(name)
                logger.warning("skipped: %s", problem)
            return None

    def _batch(self, pictures: Sequence[tuple[int, Bytes]]) -> ImageBatch:
        labels = [[self.shelf.label(index) + 1 if self.controls else ANY] for index, _ in pictures]
        return ImageBatch(
            images=np.stack([picture for _, picture in pictures]),
            controls=np.array(labels, np.int64)[:, : len(self.controls)],
            families=np.zeros(len(pictures), np.int64),
        )


def place(name: str) -> float:
    """Where in 0..1 the hash of a name falls."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2**48
