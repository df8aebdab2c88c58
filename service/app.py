"""The application: settings in, parts wired together, nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import redis
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles
from redis.asyncio import Redis as AsyncRedis
from swagger_ui_bundle import swagger_ui_path

from service import announcement, errors
from service.body_limit import BodyLimit
from service.catalogue import Catalogue
from service.destinations import Destinations
from service.feed import Feed
from service.jobs import Jobs
from service.outbox import Outbox
from service.reaper import reap
from service.request_id import RequestId
from service.routes import Parts, router
from service.settings import ServiceSettings
from service.signature import signing_key
from service.tickets import Tickets
from service.webhooks import HIDDEN_SECONDS, Sender

MAX_BODY_BYTES = 1 << 20
STOP_SECONDS = 0.2
PAGE = Path(__file__).parent / "page"


def create_app(settings: ServiceSettings) -> FastAPI:
    """The API for `settings`. Raises CheckpointError if the default model has no readable card."""
    app = FastAPI(
        title="Subscale Pixel Network",
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        webhooks=announcement.documented,
    )
    client = AsyncRedis.from_url(settings.redis_url)
    tickets = Tickets(redis.Redis.from_url(settings.redis_url))
    destinations = Destinations(settings.webhook_hosts) if settings.webhook_secret else None
    app.state.sender = sender(settings, client, destinations)
    app.state.parts = Parts(
        settings=settings,
        catalogue=Catalogue.read(settings.models, settings.model),
        jobs=Jobs(client, tickets, queue_bound=settings.queue_bound, ticket_seconds=settings.ticket_seconds),
        feed=Feed(client),
        destinations=destinations,
    )
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES)
    app.add_middleware(RequestId)
    errors.install(app)
    app.include_router(router)
    serve_pages(app)
    return app


def sender(settings: ServiceSettings, client: AsyncRedis, destinations: Destinations | None) -> Sender | None:
    """The sender of webhooks, where there is a secret to sign them with."""
    if settings.webhook_secret is None or destinations is None:
        return None
    key = signing_key(settings.webhook_secret.get_secret_value())
    return Sender(Outbox(client, hidden_seconds=HIDDEN_SECONDS), destinations, key=key)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The tasks that run beside the requests."""
    parts: Parts = app.state.parts
    models = tuple(parts.catalogue.cards)
    tasks = [
        asyncio.create_task(parts.feed.run()),
        asyncio.create_task(reap(parts.jobs, models, seconds=parts.settings.reaper_seconds)),
    ]
    if app.state.sender:
        tasks.append(asyncio.create_task(app.state.sender.run()))
    try:
        yield
    finally:
        await stop(tasks)
        await parts.jobs.close()


async def stop(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel until all have ended. Once is not enough: redis-py writes under `asyncio.wait_for`, which in Python 3.11
    loses a cancellation that arrives together with its result (measured: one in some seventy).
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=STOP_SECONDS)


def serve_pages(app: FastAPI) -> None:
    """The playground at `/`, and the API's documentation at `/docs`, both without another host."""
    app.mount("/page", StaticFiles(directory=PAGE, check_dir=False), name="page")
    app.mount("/docs/assets", StaticFiles(directory=swagger_ui_path), name="docs-assets")

    @app.get("/", include_in_schema=False)
    async def playground() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url="/docs/assets/swagger-ui-bundle.js",
            swagger_css_url="/docs/assets/swagger-ui.css",
            swagger_favicon_url="/docs/assets/favicon-32x32.png",
        )
