"""What callers see of an image while its slices come, in both orders: `python -m benchmarks.previews`.

Held-out images, cut into slices: after a share of the coarse slices each is shown as the service shows it. Printed is the mean
difference from the whole image, in levels of 255; `--sheet FILE` writes the previews of some images, an order a row.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from models.config import Geometry, Order
from models.subscale import Bytes, Progress
from training.data.symbols import Symbols
from training.presets import PRESETS

SHARES: Final = (1 / 64, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
"""Of the coarse slices."""


def previews(image: Bytes, geometry: Geometry) -> list[Bytes]:
    """Return the image after each of `SHARES`."""
    counts = (max(1, round(share * geometry.slices)) for share in SHARES)
    return [Progress.of(image, geometry, count).image() for count in counts]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--preset", choices=[name for name in PRESETS if name.startswith("symbols")], default="symbols-128"
    )
    parser.add_argument("--count", type=int, default=200, help="held-out images")
    parser.add_argument("--sheet", type=Path, help="where previews of the first images are written")
    parser.add_argument("--rows", type=int, default=3, help="images on the sheet")
    args = parser.parse_args()
    config = PRESETS[args.preset](())
    images = Symbols.load(size=config.geometry.size).held_out().first(args.count).images
    shown = {order: [previews(each, replace(config.geometry, order=order)) for each in images] for order in Order}
    print(f"| order | {' | '.join(f'1/{round(1 / share)}' for share in SHARES)} |\n|---|{'---|' * len(SHARES)}")
    for order, every in shown.items():
        away = [
            np.mean([np.abs(p[i].astype(int) - w).mean() for p, w in zip(every, images, strict=True)])
            for i in range(len(SHARES))
        ]
        print(f"| {order} | {' | '.join(f'{each:.1f}' for each in away)} |")
    if args.sheet:
        rows = [np.concatenate(shown[order][i], axis=1) for i in range(args.rows) for order in Order]
        Image.fromarray(np.concatenate(rows)).save(args.sheet, optimize=True)


if __name__ == "__main__":
    main()
