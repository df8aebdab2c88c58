"""Images of a job."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response

from models.subscale import Progress
from service.api.access import JobId, Viewer
from service.api.export_options import Options
from service.api.image_names import file_name, title
from service.api.openapi.responses import BINARY, refusals
from service.api.route import ContractRoute
from service.api.routes.dependencies import SIGNED, App, Services, known
from service.contract.likelihood import Likelihood
from service.contract.record import JobRecord
from service.contract.request import JobRequest
from service.contract.stream import first_slices
from service.errors import (
    FieldError,
    NoImageError,
    NotFinalError,
    NotGeneratedError,
    NotStartedError,
    UnknownJobError,
    UnreadableJobError,
)
from service.images import ImageFormat, encode, generated, preferred
from service.vector.export import ImageExport, RecolourError

VECTOR_FORM = "Vector-Form"
EXPORT_HEADERS = {
    VECTOR_FORM: {
        "schema": {"type": "string", "enum": ["glyph", "traced"]},
        "description": "Of an export. traced: the image is no glyph on a ground; its colours were traced.",
    }
}
FOREVER = "private, max-age=31536000, immutable"

router = APIRouter(route_class=ContractRoute)


@router.get(
    "/jobs/{job}/images/{index}",
    response_class=Response,
    responses={
        200: {"content": {f.media_type: BINARY for f in ImageFormat}, "headers": EXPORT_HEADERS},
        304: {"description": "Not changed."},
        **refusals(*SIGNED, UnknownJobError, NotStartedError, NotGeneratedError, NotFinalError, NoImageError),
        **refusals(UnreadableJobError),
    },
)
async def get_image(  # noqa: PLR0913, PLR0917 - one argument per parameter
    job: JobId,
    index: Annotated[int, Path(ge=0, le=15)],
    app: App,
    viewer: Viewer,
    options: Options,
    slices: Annotated[int | None, Query(ge=1, description="The image after so many slices; absent: now.")] = None,
    format: ImageFormat | None = None,  # noqa: A002 - the parameter's name in the contract
    scale: Annotated[int, Query(ge=1, le=8, description="Nearest neighbour; the pixels stay exact.")] = 1,
    accept: Annotated[str, Header()] = "",
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return an image as far as it is generated. Of a score job: the heat map of the bits per pixel."""
    record = await app.jobs.get(job, viewer)
    if index >= record.request.num_images:
        raise UnknownJobError(f"{job}/images/{index}")
    kind = format or preferred(accept)
    exporting = options.sent or kind is ImageFormat.SVG
    if exporting and not record.done[index]:
        raise NotFinalError
    progress = await drawn(app, record, index, slices)
    if exporting:
        if scale != 1:
            raise FieldError("scale", "enlarges pixels and cannot go with an export; use size")
        image = generated(progress)
        export = options.export(kind, title=title(record.request, index), side=image.geometry.size)
        return await exported(app, record, index, progress=image, export=export, if_none_match=if_none_match)
    headers = caching(record, f"{index}-{progress.done}-{kind}-{scale}", progress)
    if "ETag" in headers and known(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    picture = encode(progress, kind, scale=scale, text=provenance(record, index))
    return Response(picture, media_type=kind.media_type, headers=headers)


async def exported(  # noqa: PLR0913 - all but the first three by keyword
    app: Services,
    record: JobRecord,
    index: int,
    *,
    progress: Progress,
    export: ImageExport,
    if_none_match: str | None,
) -> Response:
    """Return an export of a final image. Raises NotFinalError, FieldError."""
    if progress.next is not None:
        raise NotFinalError
    headers = caching(record, f"{index}-{export.digest}", progress)
    size = f"-{export.size}" if export.size else ""
    headers["Content-Disposition"] = f'inline; filename="{file_name(record.request, index)}{size}.{export.format}"'
    headers["Content-Security-Policy"] = "default-src 'none'"
    if known(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    try:
        file = await app.exporter.image(progress.image(), export)
    except RecolourError as error:
        raise refused_colour(error) from None
    headers[VECTOR_FORM] = "traced" if file.traced else "glyph"
    return Response(file.content, media_type=export.format.media_type, headers=headers)


def refused_colour(error: RecolourError) -> FieldError:
    """Return the refusal of a colour for a part that an image does not have."""
    return FieldError(error.part, f"this image has no {error.part} to give a colour to; leave it out")


async def drawn(app: Services, record: JobRecord, index: int, slices: int | None) -> Progress | Likelihood:
    """Return the image, or the likelihood of a score job, now or after `slices`.

    Raises NotStartedError, NotGeneratedError, FieldError.
    """
    if slices and slices > (total := len(record.request.geometry.steps)):
        raise FieldError("slices", f"images of this model have {total} slices")
    if not record.done[index]:
        raise NotStartedError
    progress = (await app.jobs.images(record)).progress[index]
    if slices and slices > progress.done:
        raise NotGeneratedError(
            f"This image has {progress.done} slices so far, not {slices}. Wait for more `slice` events."
        )
    return first_slices(progress, slices)


def caching(record: JobRecord, variant: str, progress: Progress | Likelihood) -> dict[str, str]:
    """Return the headers for caches: a final image never changes, others are not stored."""
    if progress.next is not None:
        return {"Cache-Control": "no-store"}
    return {"Cache-Control": FOREVER, "ETag": f'"{record.request.id}-{variant}"', "Vary": "Accept"}


def provenance(record: JobRecord, index: int) -> dict[str, str]:
    """Return what determined an image or a heat map, for its text chunks."""
    request, score = record.request, record.scores[index]
    controls = ", ".join(f"{name}={value}" for name, value in sorted(request.controls[index].items()))
    return {
        "Software": "Subscale Pixel Network",
        "Model": request.model,
        "Weights": record.weights,
        "Controls": controls,
        **({} if request.scored else sampling_text(request, index)),
        **({} if score is None else {"Score": f"{score:.4f}"}),
    }


def sampling_text(request: JobRequest, index: int) -> dict[str, str]:
    """Return how an image was sampled."""
    return {
        "Seed": str(request.seed + index),
        "Temperature": ", ".join(f"{stage}={value:g}" for stage, value in vars(request.sampling.temperature).items()),
        "Guidance": f"{request.guidance:g}",
        "Candidates": str(1 + request.extra_slices(index)),
    }
