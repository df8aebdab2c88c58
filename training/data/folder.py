"""A folder of image files, in any subfolders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from PIL import Image

from models.subscale import Bytes
from training.data.errors import UnreadableImageError
from training.data.fitting import fitted

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp"})

_FORMATS: Final = ("PNG", "JPEG", "WEBP")


class Folder:
    """All PNG, JPEG and WebP files under `root`, by their paths; with `labelled`, its subfolders name their labels."""

    def __init__(self, root: Path, *, labelled: bool = False) -> None:
        self.root = root
        found = ((Path(folder) / file).relative_to(root) for folder, _, files in os.walk(root) for file in files)
        self.paths = sorted(path.as_posix() for path in found if path.suffix.lower() in SUFFIXES)
        self.labels = tuple(sorted({top(path) for path in self.paths} - {""})) if labelled else ()
        self._positions = {label: i for i, label in enumerate(self.labels)}

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """Return the path relative to the folder."""
        return self.paths[index]

    def label(self, index: int) -> int:
        """Return the label of the subfolder; -1 for a file in no subfolder."""
        return self._positions.get(top(self.paths[index]), -1)

    def image(self, index: int, size: int) -> Bytes:
        """Return the image as a square of `size`. Raises UnreadableImageError."""
        try:
            with Image.open(self.root / self.paths[index], formats=_FORMATS) as image:
                return fitted(image, size)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UnreadableImageError(f"{self.paths[index]}: {error}") from error


def top(path: str) -> str:
    """Return the first folder of a path; empty for none."""
    return path.partition("/")[0] if "/" in path else ""
