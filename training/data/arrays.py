"""Pictures in one file of arrays: .npy of N pictures, or .npz with `images` and, where there are, `labels`."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from models.subscale import Bytes
from training.data.errors import DataError
from training.data.fitting import fitted

SUFFIXES: Final = frozenset({".npy", ".npz"})

_EXPECTED: Final = "expected pictures as (N, H, W, 3) uint8"


class Arrays:
    """The pictures of a file, by their numbers; integer labels (N,) are named by their digits.

    A .npy is read where it is needed, a .npz as a whole. Raises DataError for other arrays, or none.
    """

    def __init__(self, path: Path) -> None:
        self.stem = path.stem
        self.images, labels = contents(path)
        shape = self.images.shape
        if len(shape) != 4 or shape[-1] != 3 or self.images.dtype != np.uint8:  # noqa: PLR2004 - as the message says
            raise DataError(f"{path.name}: {_EXPECTED}, got {shape} {self.images.dtype}")
        if labels is not None and (labels.shape != shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0):
            raise DataError(f"{path.name}: expected labels as ({shape[0]},) integers from 0, got {labels.shape}")
        self.labels = () if labels is None else tuple(str(value) for value in range(int(labels.max()) + 1))
        self._labels = labels

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        """The file's name without suffix, and the picture's number."""
        return f"{self.stem}/{index}"

    def label(self, index: int) -> int:
        """As the file says; -1 where it does not."""
        return -1 if self._labels is None else int(self._labels[index])

    def picture(self, index: int, size: int) -> Bytes:
        """The picture, fitted."""
        return fitted(Image.fromarray(np.asarray(self.images[index])), size)


def contents(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Pictures and labels of a file. Raises DataError for one that is not such a file."""
    try:
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False), None
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["images"], arrays.get("labels")
    except KeyError:
        raise DataError(f"{path.name}: {_EXPECTED} by the name of images") from None
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"{path.name}: not a file of arrays: {error}") from error
