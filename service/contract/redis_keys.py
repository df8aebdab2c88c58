"""Names in Redis and on the queue. `transitions.lua` uses the same."""

from __future__ import annotations

import re
from dataclasses import dataclass

TASK = "spn.draw"
"""The only function name that the queue carries. The worker compares it and imports nothing by it."""


_JOB_ID = re.compile(r"[0-9a-f]{1,64}")


def is_job_id(text: str) -> bool:
    """Return whether `text` can be the id of a job. Anything else could name another key than a job's record."""
    return _JOB_ID.fullmatch(text) is not None


def queue_name(model: str) -> str:
    """Return the RQ queue of a model: one each, because RQ dequeues crash-safely from a single queue only."""
    return f"spn:{model}"


ENDED = "spn:ended"
"""Ended jobs by time of expiry."""


UNSTORED = "spn:unstored"
"""Jobs whose object in the object store is not yet as Redis has them, by the time when they may be claimed."""


PROBE = "spn:probe"
"""Never written: a write to it that can only fail shows whether Redis accepts writes."""


def owned_key(owner: str, name: str) -> str:
    """Return the key of a list or entry of one owner: an API key's name, or "" where no keys are configured.

    `jobs` by time of creation, stored ones as `id:status`; `active`, not ended, by deadline; `submits` of the last minute
    by time.
    """
    return f"spn:owner:{owner}:{name}" if owner else f"spn:{name}"


def deadlines_key(model: str) -> str:
    """Return the key of the jobs of a model that have not ended, by deadline."""
    return f"spn:deadlines:{model}"


OUTBOX = "spn:outbox"
"""Prefix of the webhook deliveries; outbox.lua lists its keys."""


def queued_key(model: str) -> str:
    """Return the key of the jobs of a model that no worker has started, by time of creation."""
    return f"spn:queued:{model}"


def owners_key(model: str) -> str:
    """Return the key of the owners with jobs that wait for a worker, by turn; queue.lua describes it."""
    return f"spn:owners:{model}"


def waiting_key(model: str, owner: str) -> str:
    """Return the key of an owner's jobs that wait for a worker, in order; RETURNED instead of an owner: those of all."""
    return f"spn:waiting:{model}:{owner}"


RETURNED = "!"
"""Name, in place of an owner's, for the jobs that workers returned or lost."""


def running_key(model: str) -> str:
    """Return the key of the jobs of a model that were started, by the end of their lease; infinite while they wait."""
    return f"spn:running:{model}"


def workers_key(model: str) -> str:
    """Return the key of the workers of a model, by the end of their registration."""
    return f"spn:workers:{model}"


def pace_key(model: str) -> str:
    """Return the key of the measured costs of a model: a hash, see `Pace`."""
    return f"spn:pace:{model}"


def model_keys(model: str) -> list[str]:
    """Return the keys of a model's lists: the first KEYS of `transitions.lua`, in its order."""
    lists = [queued_key(model), running_key(model), deadlines_key(model), ENDED, OUTBOX]
    return [*lists, owners_key(model), workers_key(model)]


def idempotency_key(key: str, owner: str = "") -> str:
    """Return the key of an owner's Idempotency-Key."""
    return owned_key(owner, f"idempotency:{key}")


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Redis keys of one job."""

    id: str
    model: str

    @property
    def record(self) -> str:
        """Return the key of the record, a hash."""
        return f"spn:job:{self.id}"

    @property
    def stream(self) -> str:
        """Return the key of the stream of events."""
        return f"spn:job:{self.id}:stream"
