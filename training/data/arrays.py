"""Images in one file of arrays: .npy of N images, or .npz with `images` and perhaps `labels`."""

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

_EXPECTED: Final = "expected images as (N, H, W, 3) uint8"


class Arrays:
    """The images of a file, by number; the names of integer labels (N,) are their digits.

    A .npy is read in parts as needed, a .npz as a whole. Raises DataError for other arrays or files.
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
        """Return the name of the file without suffix, and the number of the image."""
        return f"{self.stem}/{index}"

    def label(self, index: int) -> int:
        """Return the label in the file; -1 for a file without labels."""
        return -1 if self._labels is None else int(self._labels[index])

    def image(self, index: int, size: int) -> Bytes:
        """Return the image as a square of `size`."""
        return fitted(Image.fromarray(np.asarray(self.images[index])), size)


def contents(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return images and labels of a file. Raises DataError for a file of another format."""
    try:
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False), None
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["images"], arrays.get("labels")
    except KeyError:
        raise DataError(f"{path.name}: {_EXPECTED} under the name images") from None
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"{path.name}: not a file of arrays: {error}") from error
