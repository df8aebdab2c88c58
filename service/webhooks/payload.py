"""What a webhook tells: small, with relative URLs for the rest, as the API gives them elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from fastapi import APIRouter
from pydantic import BaseModel, JsonValue

from models.config import Stage
from service.api.schemas import JobUrls, ProblemBody, problem_of
from service.contract.statuses import Status, WebhookEvent
from service.urls import image_url, job_url

if TYPE_CHECKING:
    from service.webhooks.outbox import Delivery, Place

documented = APIRouter()
"""For the OpenAPI page."""


class AnnouncementData(BaseModel):
    """The job as it was at the event; index to url for a slice alone, `error` for a failure alone."""

    id: str
    event: WebhookEvent
    status: Status
    metadata: dict[str, JsonValue]
    urls: JobUrls
    index: int | None = None
    stage: Stage | None = None
    slices_done: int | None = None
    slices_total: int | None = None
    url: str | None = None
    error: ProblemBody | None = None


class Announcement(BaseModel):
    """The body of a webhook. `type` is `job.` and the event, `timestamp` the event's time."""

    type: str
    timestamp: datetime
    data: AnnouncementData

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """A delivery as its receiver sees it; what does not apply is not set."""
        request, here = delivery.request, job_url(delivery.request.id)
        details: dict[str, Any] = slice_details(delivery, delivery.place) if delivery.place else {}
        if delivery.error:
            details["error"] = problem_of(delivery.error, here)
        data = AnnouncementData(
            id=request.id,
            event=delivery.event,
            status=delivery.status,
            metadata=dict(request.metadata),
            urls=JobUrls(self=here, events=f"{here}/events", cancel=here),
            **details,
        )
        return cls(type=f"job.{delivery.event}", timestamp=datetime.fromtimestamp(delivery.at / 1000, UTC), data=data)


def slice_details(delivery: Delivery, place: Place) -> dict[str, Any]:
    """Which slice, and its picture."""
    return {
        "index": place.image,
        "stage": place.stage,
        "slices_done": place.step + 1,
        "slices_total": len(delivery.request.geometry.steps),
        "url": image_url(delivery.request.id, place.image, place.step + 1, sig=""),
    }


@documented.post("job")
def announced(_: Announcement) -> None:
    """One event of a job whose request asked for it. Standard Webhooks: check `webhook-signature`, know repetitions by
    their `webhook-id`, answer 2xx within 10 seconds; 410 wants no more of this event.
    """
