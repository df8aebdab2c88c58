"""Any image as a square of one size: cropped about its centre, resized by Lanczos, on white where it is transparent."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

from models.image_files import as_rgb
from models.subscale import Bytes

_SPARE: Final = 3


def fitted(image: Image.Image, size: int) -> Bytes:
    """Return an image as (size, size, 3) uint8. Raises the errors of Pillow for a damaged file.

    A large JPEG is decoded at a reduced size of at least three times `size`, which is several times faster.
    """
    image.draft("RGB", (_SPARE * size, _SPARE * size))
    flat = as_rgb(image)
    side = min(flat.size)
    left, upper = (flat.width - side) // 2, (flat.height - side) // 2
    square = (left, upper, left + side, upper + side)
    if side == size:
        return np.asarray(flat.crop(square))
    return np.asarray(flat.resize((size, size), Image.Resampling.LANCZOS, box=square, reducing_gap=_SPARE))
