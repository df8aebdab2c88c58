"""Models."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from service.api.openapi.responses import BINARY, answer, refusals
from service.api.route import ContractRoute
from service.api.routes.dependencies import App, Services
from service.api.schemas import ModelBody, ModelList
from service.errors import NotGeneratedError

router = APIRouter(route_class=ContractRoute)


@router.get("/models", response_model=ModelList, responses={200: answer("models")})
async def list_models(app: App) -> ModelList:
    """Models."""
    return ModelList(models=[model_body(app, name) for name in app.catalogue.cards])


@router.get(
    "/models/{name}/sheet.png",
    response_class=Response,
    responses={200: {"content": {"image/png": BINARY}}, **refusals(NotGeneratedError)},
)
async def get_sheet(name: str, app: App) -> FileResponse:
    """Return the sample sheet of a model."""
    if (path := app.catalogue.sheet(name)) is None:
        raise NotGeneratedError(f"There is no sample sheet of a model {name!r}. GET /models lists the sheets.")
    return FileResponse(path, media_type="image/png")


def model_body(app: Services, name: str) -> ModelBody:
    """Return a model as callers see it."""
    catalogue = app.catalogue
    sheet = f"{app.settings.root_path}/models/{name}/sheet.png" if catalogue.sheet(name) else None
    return ModelBody.of(catalogue.cards[name], default=name == catalogue.default, sheet_url=sheet)
