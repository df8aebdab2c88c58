"""Endpoints of the OpenAI Images API: POST /v1/images/generations and the models."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse
from starlette.exceptions import HTTPException

from service.api.access import Owner
from service.api.intake import fingerprint
from service.api.openapi.responses import answer
from service.api.route import ContractRoute
from service.api.routes.dependencies import App, Forwarded, Services, links
from service.api.submission import ended, submitted
from service.contract.record import Problem
from service.contract.statuses import Status
from service.contract.transitions import Idempotency
from service.jobs.store import UNAVAILABLE
from service.openai.descriptions import ANY_ERROR, IMAGES
from service.openai.errors import CANCELED, NO_RETRY, translated
from service.openai.image_answer import ImageAnswer
from service.openai.image_stream import BROKEN, RETRY_SECONDS, STOPPING, image_stream
from service.openai.images_request import ImagesRequest, file_options, generate_request
from service.openai.images_response import ImagesResponse, OpenAIModel, OpenAIModelList
from service.problem_body import problem_of

LOOK_SECONDS = 15
"""Time between two looks whether the client of a long request is still there."""

RETRY_AFTER_SECONDS = "2"
CLIENT_GONE = 499
"""Status in the log of a request whose client left; it is never received."""

CLIENT_HEADERS = tuple(
    f"X-Stainless-{name}"
    for name in ("Arch", "Lang", "OS", "Package-Version", "Retry-Count", "Runtime", "Runtime-Version", "Timeout")
)
"""Headers that OpenAI's client sends, in browsers too. They are not read."""

router = APIRouter(route_class=ContractRoute)


@router.post("/v1/images/generations", response_model=ImagesResponse, responses={200: IMAGES, "default": ANY_ERROR})
async def create_images(  # noqa: PLR0913, PLR0917 - one argument per parameter
    fields: ImagesRequest,
    request: Request,
    app: App,
    owner: Owner,
    forwarded: Forwarded,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> Response:
    """Generate images from a prompt, as OpenAI's Images API. The answer comes with the images, or streams them."""
    card, files = app.catalogue.card(fields.model), file_options(fields)
    once = Idempotency(key=idempotency_key, fingerprint=fingerprint(fields)) if idempotency_key else None
    record, replayed = await submitted(
        app, generate_request(fields, card), owner=owner, idempotency=once, forwarded=forwarded
    )
    headers = {"Location": links(app, record.request).here}
    headers |= {"Idempotent-Replayed": "true"} if replayed else {}
    images = ImageAnswer(
        app=app, record=record, fields=fields, files=files, origin=f"{request.url.scheme}://{request.url.netloc}"
    )
    if fields.stream:
        headers |= {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return EventSourceResponse(image_stream(images), headers=headers)
    return await all_images(images, request, headers)


async def all_images(images: ImageAnswer, request: Request, headers: dict[str, str]) -> Response:
    """Return the images of a job when it has succeeded, else an error. If the client leaves, the job goes on.

    While Redis is not available this waits: after an error OpenAI's clients would submit another job.
    """
    app = images.app
    while not app.event_reader.stopped:
        try:
            images = replace(images, record=await ended(app, images.record, seconds=LOOK_SECONDS))
            if images.record.status.final:
                return await final_answer(images, request, headers)
        except UNAVAILABLE:
            await asyncio.sleep(RETRY_SECONDS)
        if await request.is_disconnected():
            return Response(status_code=CLIENT_GONE)
    raise HTTPException(STOPPING.status, STOPPING.detail, {**headers, "Retry-After": RETRY_AFTER_SECONDS})


async def final_answer(images: ImageAnswer, request: Request, headers: dict[str, str]) -> Response:
    """Return the images of a job that has ended, or why it has none."""
    match images.record.status:
        case Status.SUCCEEDED:
            body = await images.response()
            return JSONResponse(body.model_dump(mode="json", exclude_none=True), headers=headers)
        case Status.CANCELED:
            return failed(request, CANCELED, headers)
        case _:
            return failed(request, images.record.error or BROKEN, headers)


def failed(request: Request, problem: Problem, headers: dict[str, str]) -> JSONResponse:
    """Return the error of a job that ended without its images. The same request would fail again."""
    request.state.problem = problem.type
    status, error = translated(problem_of(problem, ""))
    return JSONResponse(error.model_dump(mode="json"), status, {**headers, **NO_RETRY})


@router.get(
    "/v1/models",
    response_model=OpenAIModelList,
    responses={200: answer("openai-models"), "default": ANY_ERROR},
)
async def list_openai_models(app: App, _: Owner) -> OpenAIModelList:
    """List the models, as OpenAI does. Their controls are in GET /models."""
    return OpenAIModelList(data=[openai_model(app, name) for name in app.catalogue.cards])


@router.get(
    "/v1/models/{model}",
    response_model=OpenAIModel,
    responses={200: answer("openai-model"), "default": ANY_ERROR},
)
async def get_openai_model(model: Annotated[str, Path(max_length=200)], app: App, _: Owner) -> OpenAIModel:
    """Return a model, as OpenAI does."""
    return openai_model(app, app.catalogue.card(model).name)


def openai_model(app: Services, name: str) -> OpenAIModel:
    """Return a model as OpenAI's clients list it."""
    return OpenAIModel(id=name, created=app.catalogue.installed_at(name))
