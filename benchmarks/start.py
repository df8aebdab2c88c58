"""`start` on held-out images, through a running service: `python -m benchmarks.start http://127.0.0.1:8000`.

Each image is reduced to the coarse bits of its first slice and drawn again from there (`start.stage` size). It is also
reduced to its coarse bits in full size, and the fine bits are drawn (depth). The command writes a sheet. It prints the
distance of each result from its image, beside that of the start with a plain fill.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from models.cards import WEIGHTS, ModelCard, load_card
from models.config import Geometry, Stage
from models.subscale import Bytes, Progress, split_depth, to_slices
from service.client import Client
from training.data.symbols import ImageBatch, Symbols
from training.scoring.samples import tiled

SHEET = Path("docs/start.png")
COLUMNS = ("image", "its first slice, coarse", "drawn from there", "its coarse bits", "with fine bits drawn")


@dataclass(frozen=True, kw_only=True)
class Restart:
    """A held-out image, the parts that were sent, and the images that the service made of them."""

    image: Bytes
    first: Bytes
    from_first: Bytes
    coarse: Bytes
    from_coarse: Bytes

    @property
    def row(self) -> list[Bytes]:
        """The images in the order of COLUMNS."""
        return [self.image, self.first, self.from_first, self.coarse, self.from_coarse]


def restarted(client: Client, card: ModelCard, image: Bytes, controls: dict[str, str], seed: int) -> Restart:
    """Draw from both starts, with the controls of the image."""
    geometry = card.config.geometry
    full = coarse_of(image, geometry)
    small = to_slices(full, geometry.subscale)[0]
    first = Progress.of(image, geometry, 1).image()
    drawn = {}
    for stage, begun in ((Stage.SIZE, small), (Stage.DEPTH, full)):
        start = {"stage": stage.value, "image": png_base64(begun)}
        job = client.wait(client.generate(model=card.name, seed=seed, controls=controls, start=start))
        drawn[stage] = np.array(Image.open(io.BytesIO(client.image(job))))
    return Restart(
        image=image,
        first=first,
        from_first=drawn[Stage.SIZE],
        coarse=Progress.of(image, geometry, geometry.slices).image(),
        from_coarse=drawn[Stage.DEPTH],
    )


def coarse_of(image: Bytes, geometry: Geometry) -> Bytes:
    """Return an image without its fine bits."""
    coarse, _ = split_depth(image, geometry.fine_bits)
    return coarse << np.uint8(geometry.fine_bits)


def png_base64(pixels: Bytes) -> str:
    """Return an image in the form of `start.image`."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def named(batch: ImageBatch, card: ModelCard, index: int) -> dict[str, str]:
    """Return the controls of a held-out image."""
    columns = zip(card.config.controls, batch.controls[index], strict=True)
    return {control.name: control.values[value - 1] for control, value in columns if value}


def figures(found: list[Restart], geometry: Geometry) -> dict[str, float]:
    """Return mean absolute differences in levels of 255, and how many results keep all bits of their start."""
    return {
        "pictures": len(found),
        "all_given_bits_kept": sum(kept(each, geometry) for each in found),
        "first_slice_filled_plainly": off([(each.first, each.image) for each in found]),
        "drawn_from_first_slice": off([(each.from_first, each.image) for each in found]),
        "coarse_bits_filled_plainly": off([(each.coarse, each.image) for each in found]),
        "fine_bits_drawn": off([(each.from_coarse, each.image) for each in found]),
    }


def kept(each: Restart, geometry: Geometry) -> bool:
    """Return whether a result keeps all bits of its start."""
    was, first, coarse = (coarse_of(part, geometry) for part in (each.image, each.from_first, each.from_coarse))
    return bool((coarse == was).all() and not to_slices(first ^ was, geometry.subscale)[0].any())


def off(pairs: list[tuple[Bytes, Bytes]]) -> float:
    """Return the mean absolute difference."""
    return round(float(np.mean([np.abs(a.astype(float) - b) for a, b in pairs])), 2)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Held-out images, drawn from a start in the middle.")
    parser.add_argument("url")
    parser.add_argument("--model", default="symbols-64")
    parser.add_argument("--images", type=int, default=8)
    args = parser.parse_args()
    card = load_card(WEIGHTS / args.model)
    held = Symbols.load(size=card.config.geometry.size).held_out()
    with Client(args.url) as client:
        found = [
            restarted(client, card, held.images[index], named(held, card, index), seed=index)
            for index in range(args.images)
        ]
    sheet = tiled(np.stack([part for each in found for part in each.row]), columns=len(COLUMNS), scale=2)
    Image.fromarray(sheet).save(SHEET)
    print(json.dumps({"columns": COLUMNS, **figures(found, card.config.geometry)}, indent=1))


if __name__ == "__main__":
    main()
