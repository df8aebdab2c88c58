"""Body of a webhook: small, with relative URLs for everything else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, JsonValue

from models.config import Stage
from service.contract.statuses import Status, WebhookEvent
from service.problem_body import ProblemBody, problem_of
from service.urls import JobLinks, JobUrls

if TYPE_CHECKING:
    from service.webhooks.outbox import Delivery, SlicePosition


class WebhookPayloadData(BaseModel):
    """State of the job at the event. A slice event alone has `index` to `url`, a failure alone has `error`."""

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


class WebhookPayload(BaseModel):
    """Body of a webhook. `type` is `job.` and the event, `timestamp` is the time of the event."""

    type: str
    timestamp: datetime
    data: WebhookPayloadData

    @classmethod
    def of(cls, delivery: Delivery, *, root_path: str = "") -> Self:
        """Return the payload of a delivery, with `root_path` in its URLs. Fields that do not apply are not set."""
        job, links = delivery.job, JobLinks(job=delivery.job.id, root=root_path)
        details: dict[str, Any] = slice_details(delivery, delivery.position, links) if delivery.position else {}
        if delivery.error:
            details["error"] = problem_of(delivery.error, links.here)
        data = WebhookPayloadData(
            id=job.id,
            event=delivery.event,
            status=delivery.status,
            metadata=job.metadata,
            urls=links.urls,
            **details,
        )
        return cls(type=f"job.{delivery.event}", timestamp=datetime.fromtimestamp(delivery.at / 1000, UTC), data=data)

    def encode(self) -> bytes:
        """Return the JSON to send; the same at every attempt."""
        return self.model_dump_json(exclude_unset=True).encode()


def slice_details(delivery: Delivery, position: SlicePosition, links: JobLinks) -> dict[str, Any]:
    """Return the fields of a slice event: which slice it is, and the URL of the image up to it."""
    return {
        "index": position.image,
        "stage": position.stage,
        "slices_done": position.step + 1,
        "slices_total": len(delivery.job.geometry.steps),
        "url": links.image(position.image, position.step + 1),
    }
