"""Whether Chromium shows the SVG documents of images as resvg does, and as the service's own images are.

`python -m benchmarks.renderers`.
"""

from __future__ import annotations

import argparse
import base64
import io
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.vector import SHEET, held_out
from service.vector import rendering
from service.vector.svg import svg
from service.vector.vector_form import vector_form

SIZE: Final = 256
COLUMNS: Final = 8
NOTICEABLE: Final = 64
"""Levels of 255: a quarter of a pixel's coverage, at full contrast."""


def in_chromium(documents: Sequence[str]) -> Image.Image:
    """Return the documents in a grid as Chromium shows them."""
    sources = [f"data:image/svg+xml;base64,{base64.b64encode(each.encode()).decode()}" for each in documents]
    images = "".join(f'<img src="{each}" width="{SIZE}" height="{SIZE}">' for each in sources)
    style = f"margin:0;display:grid;grid-template-columns:repeat({COLUMNS},{SIZE}px)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": COLUMNS * SIZE, "height": -(-len(documents) // COLUMNS) * SIZE})
        page.set_content(f'<body style="{style}">{images}')
        shot = page.screenshot()
        browser.close()
    return Image.open(io.BytesIO(shot)).convert("RGB")


def grid(images: Iterable[Image.Image]) -> Image.Image:
    """Return images in the same grid, on white."""
    shown = list(images)
    out = Image.new("RGB", (COLUMNS * SIZE, -(-len(shown) // COLUMNS) * SIZE), "white")
    for place, each in enumerate(shown):
        out.paste(each.convert("RGB"), (SIZE * (place % COLUMNS), SIZE * (place // COLUMNS)))
    return out


def differences(name: str, first: Image.Image, second: Image.Image) -> str:
    """Return how far two images are from each other, in words."""
    far = np.abs(np.asarray(first, np.int64) - np.asarray(second, np.int64)).max(axis=-1)
    return (
        f"{name}: mean difference {far.mean():.3f} of 255, {(far > NOTICEABLE).mean():.5%} of the pixels differ by more "
        f"than {NOTICEABLE}, at most {far.max()}"
    )


def main() -> None:
    """Compare, print the differences, write what Chromium shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, help="where the screenshot is written")
    options = parser.parse_args()
    forms = [(name, vector_form(image)) for name, image, _ in held_out(SHEET)]
    documents = [svg(form, title=name) for name, form in forms]
    shown = in_chromium(documents)
    print(f"{len(documents)} documents at {SIZE} px")
    print(differences("Chromium and resvg", shown, grid(rendering.by_resvg(each, SIZE) for each in documents)))
    print(differences("Chromium and the service", shown, grid(rendering.image(form, SIZE) for _, form in forms)))
    if options.sheet:
        shown.save(options.sheet)


if __name__ == "__main__":
    main()
