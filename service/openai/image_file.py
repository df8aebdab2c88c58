"""Files of a job's images as an OpenAI client requests them: of any size, opaque or transparent, finished or not."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import partial

from PIL import Image

from models.subscale import Bytes, Progress
from service.api.image_names import title
from service.api.routes.dependencies import Services, links
from service.api.routes.images import provenance
from service.contract.record import JobRecord
from service.images import ImageFormat, encode
from service.vector.export import ExportedFile, ImageExport
from service.vector.svg import WHITE, Recolouring


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Format, pixels along a side, and background of files."""

    format: ImageFormat
    size: int
    transparent: bool

    def is_exact(self, side: int) -> bool:
        """Return whether the pixels of an image of this side are the file, without its vector form."""
        return self.size == side and not self.transparent and self.format is not ImageFormat.SVG

    def export(self, title: str) -> ImageExport:
        """Return the export that makes the file from the vector form."""
        colours = Recolouring(background=None if self.transparent else WHITE)
        return ImageExport(format=self.format, size=self.size, title=title, colours=colours)


async def final_file(
    app: Services, record: JobRecord, index: int, *, progress: Progress, options: FileOptions
) -> bytes:
    """Return a finished image: its own pixels at its own size, else its vector form."""
    if options.is_exact(progress.geometry.size):
        return encode(progress, options.format, text=provenance(record, index))
    export = options.export(title(record.request, index))
    return (await app.exporter.image(progress.image(), export)).content


async def partial_file(app: Services, progress: Progress, options: FileOptions) -> bytes:
    """Return an unfinished image: its pixels, enlarged by nearest neighbour, and opaque: it has no vector form yet."""
    pixels = progress.image()
    digest = f"{hashlib.sha256(pixels.tobytes()).hexdigest()}-partial-{options.format}-{options.size}"
    return (await app.exporter.run(digest, partial(enlarged, pixels, options))).content


def enlarged(pixels: Bytes, options: FileOptions) -> ExportedFile:
    """Return pixels (S, S, C) as a file of `options.size`."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    out = io.BytesIO()
    resized = image.resize((options.size, options.size), Image.Resampling.NEAREST)
    resized.save(out, options.format.upper(), **({"lossless": True} if options.format is ImageFormat.WEBP else {}))
    return ExportedFile(content=out.getvalue(), traced=False)


def image_url(app: Services, record: JobRecord, index: int, options: FileOptions) -> str:
    """Return the relative, signed URL of the same file."""
    exact = options.is_exact(record.request.geometry.size)
    export = {} if exact else {"size": options.size, "background": "transparent" if options.transparent else "white"}
    return links(app, record.request).image(index, options={"format": options.format, **export})
