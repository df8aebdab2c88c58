"""All that the API and the workers must agree on: names, keys, the job's record and the entries of its stream.

The record says how a job stands, its stream says what was drawn. Both are written by `transitions.lua` alone
(see `service.transitions`), and read here.
"""

from service.contract.keys import (
    ENDED,
    OUTBOX,
    TASK,
    Keys,
    deadlines_key,
    delivery_key,
    idempotency_key,
    owned_key,
    pace_key,
    queue_name,
    queued_key,
    running_key,
    ticket_id,
    workers_key,
)
from service.contract.lanes import slice_candidates, slice_lanes
from service.contract.pace import PACE_SECONDS, Pace, StagePace
from service.contract.record import OVERDUE, Fields, JobRecord, Problem
from service.contract.request import JobRequest, Webhook
from service.contract.statuses import EventKind, Status, WebhookEvent
from service.contract.stream import Drawing, Event, SliceEntry, replay

__all__ = [
    "ENDED",
    "OUTBOX",
    "OVERDUE",
    "PACE_SECONDS",
    "TASK",
    "Drawing",
    "Event",
    "EventKind",
    "Fields",
    "JobRecord",
    "JobRequest",
    "Keys",
    "Pace",
    "Problem",
    "SliceEntry",
    "StagePace",
    "Status",
    "Webhook",
    "WebhookEvent",
    "deadlines_key",
    "delivery_key",
    "idempotency_key",
    "owned_key",
    "pace_key",
    "queue_name",
    "queued_key",
    "replay",
    "running_key",
    "slice_candidates",
    "slice_lanes",
    "ticket_id",
    "workers_key",
]
