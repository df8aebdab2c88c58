"""The application: its services, middlewares, routes and pages, made from the settings."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware

from service.api import problems
from service.api.access import Access
from service.api.middleware.access_log import AccessLog
from service.api.middleware.body_limit import BodyLimit
from service.api.middleware.cell_forwarding import CellForwarding
from service.api.middleware.error_boundary import ErrorBoundary
from service.api.middleware.head import HeadAsGet
from service.api.middleware.host_check import HostCheck
from service.api.middleware.path_prefix import PathPrefix
from service.api.middleware.request_id import RequestId
from service.api.middleware.security_headers import SecurityHeaders
from service.api.openapi.examples import EXAMPLES
from service.api.openapi.responses import EVENTS, describe
from service.api.openapi.webhook_operation import webhooks
from service.api.router import router
from service.api.routes import metrics as prometheus
from service.api.routes.dependencies import Services
from service.catalogue import Catalogue
from service.cells.cell_map import CellMap
from service.cells.peers import Peers
from service.contract.transitions import Limits
from service.destinations import Destinations
from service.jobs.event_reader import EventReader
from service.jobs.listing import Listing
from service.jobs.queue_position import QueueEstimates
from service.jobs.reaper import Reaper
from service.jobs.refusal_counter import RefusalCounter
from service.jobs.store import Jobs
from service.jobs.tickets import Tickets
from service.metrics import ServiceMetrics
from service.openai import endpoints as openai
from service.openai.descriptions import IMAGE_EVENTS, OPENAI_EXAMPLES
from service.openai.endpoints import CLIENT_HEADERS
from service.openai.errors import OpenAIErrors
from service.redis_clients import async_client, blocking_client
from service.results.object_store import Results
from service.results.writer import ResultWriter
from service.settings import ServiceSettings
from service.supervisor import Supervisor
from service.vector.exporter import Exporter
from service.webhooks.outbox import Outbox
from service.webhooks.sender import HIDDEN_SECONDS, Sender
from service.webhooks.signature import WebhookSecrets

MAX_BODY_BYTES = 1 << 20
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "X-Request-ID",
    "traceparent",
    "tracestate",
    "baggage",
    *CLIENT_HEADERS,
)
RESPONSE_HEADERS = ("ETag", "Idempotent-Replayed", "Location", "Retry-After", "Vector-Form", "X-Request-ID")
LOOPBACK_ORIGIN = r"https?://(localhost|([a-z0-9-]+\.)+localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?"
"""Origins of this machine, such as a front end in development. They may use an API that only this machine reaches."""

NO_TELEMETRY = TelemetryConfig(tracing=False, metrics=False, logs=False)
"""FastAPI would look for providers of OpenTelemetry at every request. This service has its own metrics and log."""

PAGE = Path(__file__).parent / "page"
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'self'; object-src 'none'; "
    "frame-ancestors 'none'"
)
"""Content security policy of the two pages."""

SWAGGER = Path(str(files("fastapi_offline") / "static"))
"""Swagger UI 5: the first that reads OpenAPI 3.1."""


def create_app(settings: ServiceSettings) -> FastAPI:
    """Return the API for `settings`. Raises CheckpointError if the default model has no readable card."""
    app = FastAPI(
        title="Subscale Pixel Network",
        version="1",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,  # behind a proxy with TLS a redirect would lead to http
        servers=[{"url": settings.root_path or "/"}],
        lifespan=lifespan,
        webhooks=webhooks,
        telemetry=NO_TELEMETRY,
    )
    client = async_client(settings.redis_url)
    tickets = Tickets(blocking_client(settings.redis_url))
    metrics = ServiceMetrics()
    cells = CellMap.of(settings.cell, settings.cells)
    catalogue = Catalogue.read(settings.models, settings.model)
    destinations = Destinations(settings.webhook_hosts) if settings.webhook_secret else None
    outbox = Outbox(client, hidden_seconds=HIDDEN_SECONDS)
    event_reader = EventReader(client)
    results = Results(settings.results, observe=metrics.result_call) if settings.results else None
    reaper = Reaper(
        client,
        tickets,
        models=tuple(catalogue.cards),
        results=results is not None,
        stepped=metrics.clock_steps.inc,
    )
    tasks: dict[str, Callable[[], Awaitable[None]]] = {
        "event_reader": event_reader.run,
        "reaper": partial(reaper.run, seconds=settings.reaper_seconds),
    }
    if webhooks_sender := sender(settings, outbox, destinations):
        tasks["webhooks"] = webhooks_sender.run
    if results:
        tasks["results"] = ResultWriter(client, results, keep_seconds=settings.results_redis_seconds).run
    app.state.services = Services(
        settings=settings,
        catalogue=catalogue,
        jobs=Jobs(
            client,
            tickets,
            queue_bound=settings.queue_bound,
            limits=Limits(per_minute=settings.submits_per_minute, concurrent=settings.jobs_per_owner),
            weights={key.name: key.weight for key in settings.keys},
            results=results,
        ),
        listing=Listing(client, results=results),
        event_reader=event_reader,
        access=Access.of(settings.keys, settings.secret.get_secret_value() if settings.secret else None),
        queue_estimates=QueueEstimates(client),
        metrics=metrics,
        refusals=RefusalCounter(client, per_minute=settings.submits_per_minute),
        supervisor=Supervisor(tasks, restarted=metrics.task_restarted),
        exporter=Exporter(),
        destinations=destinations,
        outbox=outbox,
        cells=cells,
        peers=Peers(cells),
    )
    add_middlewares(app, settings, metrics)
    problems.install(app)
    app.include_router(router)
    app.include_router(openai.router)
    app.include_router(prometheus.router)
    serve_pages(app)
    describe(app, examples=EXAMPLES | OPENAI_EXAMPLES, events=(*EVENTS, *IMAGE_EVENTS))
    return app


def add_middlewares(app: FastAPI, settings: ServiceSettings, metrics: ServiceMetrics) -> None:
    """Add the middlewares, from the innermost to the outermost."""
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES)
    app.add_middleware(ErrorBoundary)
    if settings.cors_origins or settings.local:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_origin_regex=LOOPBACK_ORIGIN if settings.local else None,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
        )
    if settings.hosts or settings.local:
        app.add_middleware(HostCheck, hosts=settings.hosts)
    app.add_middleware(OpenAIErrors)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(AccessLog, metrics=metrics)
    services: Services = app.state.services
    if services.cells.others:
        app.add_middleware(CellForwarding, cells=services.cells, peers=services.peers)
    app.add_middleware(RequestId)
    if settings.root_path:
        app.add_middleware(PathPrefix, prefix=settings.root_path)


def sender(settings: ServiceSettings, outbox: Outbox, destinations: Destinations | None) -> Sender | None:
    """Return the sender of webhooks, if there is a secret to sign them."""
    if settings.webhook_secret is None or destinations is None:
        return None
    secrets = WebhookSecrets.parse(settings.webhook_secret.get_secret_value())
    return Sender(outbox, destinations, secrets=secrets, root_path=settings.root_path)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the background tasks beside the requests."""
    services: Services = app.state.services
    try:
        async with services.supervisor:
            yield
    finally:
        services.exporter.close()
        await services.peers.close()
        await services.jobs.close()


def serve_pages(app: FastAPI) -> None:
    """Serve the playground at `/` and the API's documentation at `/docs`; neither needs another host."""
    app.mount("/page", StaticFiles(directory=PAGE, check_dir=False), name="page")
    app.mount("/docs/assets", StaticFiles(directory=SWAGGER), name="docs-assets")

    @app.get("/", include_in_schema=False)
    async def playground() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Content-Security-Policy": POLICY})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return documentation(app.title)


def documentation(title: str) -> HTMLResponse:
    """Return Swagger UI, with a policy that allows its one inline script by its hash. All its links are relative."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=title,
        swagger_js_url="docs/assets/swagger-ui-bundle.js",
        swagger_css_url="docs/assets/swagger-ui.css",
        swagger_favicon_url="docs/assets/favicon.png",
    )
    scripts = re.findall(rb"<script>(.*?)</script>", bytes(page.body), re.DOTALL)
    hashes = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts)
    scripts_allowed = " ".join(["'self'", *(f"'sha256-{each}'" for each in hashes)])
    page.headers["Content-Security-Policy"] = (
        f"{POLICY}; script-src {scripts_allowed}; style-src 'self' 'unsafe-inline'"
    )
    return page
