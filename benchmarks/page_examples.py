"""The examples of the page's first screen: `python -m benchmarks.page_examples http://127.0.0.1:8000`.

Requests each entry of service/page/examples.json from a running service, with the default model and its default sampling,
and writes service/page/examples.webp: the images as generated, one below the other. With `--choose N`, for new weights, it
requests N seeds for each, keeps the image that is read best as its label, and writes its seed to the list.
"""

from __future__ import annotations

import argparse
import io
import json
from typing import Any

from PIL import Image

from service.app import PAGE
from service.client import Client

LIST = PAGE / "examples.json"
SHEET = PAGE / "examples.webp"
QUALITY = 36
"""Of WebP. A lossless file is five times as large, and the page is to stay small."""


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", help="address of a running service")
    parser.add_argument("--choose", type=int, metavar="N", help="choose among N seeds for each")
    options = parser.parse_args()
    entries = json.loads(LIST.read_text())
    with Client(options.url) as client:
        if options.choose:
            entries = [best(client, entry["controls"], options.choose) for entry in entries]
            LIST.write_text("[\n" + ",\n".join(json.dumps(each) for each in entries) + "\n]\n")
        images = [example(client, **entry) for entry in entries]
    column(images).save(SHEET, "WEBP", quality=QUALITY, method=6)


def best(client: Client, controls: dict[str, str], count: int) -> dict[str, Any]:
    """Return the entry of the seed, of `count`, whose image is read best as its label."""
    job = client.wait(client.generate(controls=controls, num_images=count, seed=1))
    return {"controls": controls, "seed": max(job.images, key=lambda image: image.score or 0).seed}


def example(client: Client, *, controls: dict[str, str], seed: int) -> Image.Image:
    """Return the image of a request."""
    job = client.wait(client.generate(controls=controls, seed=seed))
    return Image.open(io.BytesIO(client.image(job))).convert("RGB")


def column(images: list[Image.Image]) -> Image.Image:
    """Return images of one size below one another."""
    width, height = images[0].size
    sheet = Image.new("RGB", (width, height * len(images)))
    for row, image in enumerate(images):
        sheet.paste(image, (0, row * height))
    return sheet


if __name__ == "__main__":
    main()
