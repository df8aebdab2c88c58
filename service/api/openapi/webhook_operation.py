"""Webhook of the OpenAPI description: what the server sends to the URL of a request's `webhook`."""

from __future__ import annotations

from fastapi import APIRouter

from service.webhooks.payload import WebhookPayload

webhooks = APIRouter()


@webhooks.post("job")
def job_event(_: WebhookPayload) -> None:
    """Receive one event of a job. Verify `webhook-signature` (Standard Webhooks), and ignore a known `webhook-id`.

    Answer 2xx within 10 seconds. 410 stops this delivery; everything else is retried.
    """
