"""GET /jobs/{job}/export.zip: the final images of a job, or one of them, as a set of files."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from service.api.access import JobId, Viewer
from service.api.export_options import Colours
from service.api.image_names import file_name, title
from service.api.openapi.responses import refusals
from service.api.route import ContractRoute
from service.api.routes.dependencies import SIGNED, App, Services, known
from service.api.routes.images import FOREVER, refused_colour
from service.contract.record import JobRecord
from service.errors import NoImageError, NotFinalError, UnknownJobError, UnreadableJobError
from service.images import generated
from service.vector.export import RecolourError
from service.vector.icon_set import ExportSet, NamedImage, export_set

router = APIRouter(route_class=ContractRoute)


@router.get(
    "/jobs/{job}/export.zip",
    response_class=Response,
    responses={
        200: {"content": {"application/zip": {}}},
        304: {"description": "Unchanged."},
        **refusals(*SIGNED, UnknownJobError, NotFinalError, NoImageError, UnreadableJobError),
    },
)
async def get_export(  # noqa: PLR0913, PLR0917 - one argument per parameter
    job: JobId,
    app: App,
    viewer: Viewer,
    colours: Colours,
    set: Annotated[ExportSet, Query(description="sizes: SVG and PNG files. web: a site's icons.")] = ExportSet.SIZES,  # noqa: A002 - the name in the contract
    index: Annotated[
        int | None, Query(ge=0, le=15, description="This image alone; absent: all that are final.")
    ] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Export all final images of a job, or one of them. Transparent, unless `background` says otherwise."""
    record = await app.jobs.get(job, viewer)
    if index is not None and index >= record.request.num_images:
        raise UnknownJobError(f"{job}/images/{index}")
    recolouring = colours.recolouring(default="transparent")
    found = await final_images(app, record)
    images = [each for each in (found if index is None else found[index : index + 1]) if each]
    if not images:
        raise NotFinalError
    names = ",".join(f"{each.name}/{each.title}" for each in images)
    wanted = hashlib.sha256(f"{job} {set} {recolouring} {names}".encode()).hexdigest()[:32]
    headers = {
        "Cache-Control": FOREVER if record.status.final or index is not None else "no-cache",
        "ETag": f'"{wanted}"',
        "Content-Disposition": f'attachment; filename="{file_name(record.request, index or 0)}-{set}.zip"',
    }
    if known(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    try:
        file = await app.exporter.run(wanted, partial(export_set, images, set, recolouring))
    except RecolourError as error:
        raise refused_colour(error) from None
    return Response(file.content, media_type="application/zip", headers=headers)


async def final_images(app: Services, record: JobRecord) -> list[NamedImage | None]:
    """Return each image of a job, None for one that is not final. Raises NoImageError for a score job."""
    request = record.request
    found = map(generated, (await app.jobs.images(record)).progress)
    return [
        NamedImage(pixels=progress.image(), name=file_name(request, index), title=title(request, index))
        if progress.next is None
        else None
        for index, progress in enumerate(found)
    ]
