"""The endpoints of the HTTP contract. Each reads its request, asks `Jobs`, and shapes the answer; nothing else."""

from __future__ import annotations

from fastapi import APIRouter

from service.api.openapi.responses import refusals
from service.api.routes import events, exports, health, images, jobs, models, submit
from service.errors import FieldError, UnavailableError

router = APIRouter(responses=refusals(FieldError, UnavailableError))
for subject in (submit, jobs, images, exports, events, models, health):
    router.include_router(subject.router)
