"""The transitions of `transitions.lua` as typed calls: what to send, and what the reply means.

A `Call` is plain data; `Transitions` and `AsyncTransitions` send it. The table of what is allowed is in the script.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

from service.contract.record import OVERDUE, Problem
from service.contract.redis_keys import ENDED, OUTBOX, Keys, delivery_key, idempotency_key, workers_key
from service.contract.request import JobRequest
from service.contract.stream import SliceEntry

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

SCRIPT = files("service.contract").joinpath("transitions.lua").read_text()

SUSPECT = "suspect"
"""What `acquire` adds for a job whose holder was lost since its last new slice."""


class Outcome(StrEnum):
    """What the script answered."""

    DONE = "done"
    REPLAY = "replay"
    """create: this idempotency key made the job `value`."""
    CLASH = "clash"
    """create: this idempotency key came with another body."""
    FULL = "full"
    """create: the queue's bound is reached; `value` is when to come again, in seconds."""
    HURRIED = "hurried"
    """create: the owner submits too fast; `value` is when to come again, in seconds."""
    CROWDED = "crowded"
    """create: the owner has too many jobs that have not ended; `value` is when to come again, in seconds."""
    LEASED = "leased"
    """acquire, requeue, overdue: a worker holds it."""
    CANCELING = "canceling"
    """renew, append: done, but stop; cancel: its worker will."""
    OVERDUE = "overdue"
    """renew, append: done, but the deadline has passed; acquire: refused for that."""
    ENDED = "ended"
    """The job is in a final status; postpone: the delivery was given up."""
    LOST = "lost"
    """The token is not the job's: somebody else holds it, or nobody."""
    GAP = "gap"
    """append: an earlier slice is missing."""
    STALE = "stale"
    """requeue, postpone: somebody else was faster; overdue: the deadline has not passed."""
    EMPTY = "empty"
    """dispatch: nothing is due."""
    UNKNOWN = "unknown"
    """No such job."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The script's answer."""

    outcome: Outcome
    value: str = ""

    @classmethod
    def decode(cls, raw: Sequence[Any]) -> Reply:
        """From the script's array."""
        outcome, *rest = (item.decode() if isinstance(item, bytes) else str(item) for item in raw)
        return cls(outcome=Outcome(outcome), value=rest[0] if rest else "")


@dataclass(frozen=True)
class Call:
    """KEYS and ARGV."""

    keys: list[str]
    args: list[str | int | float | bytes]


class Transitions:
    """Sends calls over a blocking client."""

    def __init__(self, client: Redis) -> None:
        self._client, self._script = client, client.register_script(SCRIPT)

    def __call__(self, call: Call) -> Reply:
        """Run one transition. Raises redis' ConnectionError."""
        return Reply.decode(self._script(keys=call.keys, args=call.args))

    def together(self, calls: Sequence[Call]) -> list[Reply]:
        """Run transitions in one round trip, each for itself, and Redis syncs its file once for all of them.

        Where Redis breaks off all are sent again: only for those that count once. Raises redis' ConnectionError.
        """
        with self._client.pipeline(transaction=False) as pipeline:
            for call in calls:
                self._script(keys=call.keys, args=call.args, client=pipeline)
            try:
                return [Reply.decode(raw) for raw in pipeline.execute()]
            except NoScriptError:  # it was restarted in between and has forgotten the script
                return [self(call) for call in calls]


class AsyncTransitions:
    """Sends calls over an asyncio client."""

    def __init__(self, client: AsyncRedis) -> None:
        self._script = client.register_script(SCRIPT)

    async def __call__(self, call: Call) -> Reply:
        """Run one transition. Raises redis' ConnectionError."""
        return Reply.decode(await self._script(keys=call.keys, args=call.args))


@dataclass(frozen=True, kw_only=True)
class Idempotency:
    """A caller's key, what it stands for, and how long it is remembered."""

    key: str
    fingerprint: str
    seconds: int = 86_400


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one owner may do: submits in any minute, and jobs that have not ended. 0: any number."""

    per_minute: int = 0
    concurrent: int = 0


UNLIMITED = Limits()


def create(
    request: JobRequest,
    *,
    bound: int,
    limits: Limits = UNLIMITED,
    idempotency: Idempotency | None = None,
    start: Sequence[SliceEntry] = (),
) -> Call:
    """A new queued job, unless `bound` jobs of its model already wait or its owner is over `limits`.

    `start`: the slices that every image starts with.
    """
    keys, once = request.keys.all, idempotency or Idempotency(key="", fingerprint="")
    sizes = (request.num_images, request.start_slices, request.base_lanes, request.retention_seconds * 1000)
    slices = (value for entry in start for value in entry.encode()[1:])
    terms = (bound, request.owner, limits.per_minute, limits.concurrent, request.deadline_seconds)
    events = " ".join(request.webhook.events) if request.webhook else ""
    args = (*terms, once.seconds, once.fingerprint, request.to_json(), events, *sizes, *slices)
    remembered = [idempotency_key(once.key, request.owner)] if idempotency else []
    return Call([*keys, *remembered], ["create", request.id, "", *args])


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A worker's hold on a job: every write carries the token. A worker makes up a new one for each `acquire`."""

    keys: Keys
    token: str

    def acquire(
        self, *, lease_seconds: float, max_attempts: int, poisoned: Problem, weights: str, numerics: str
    ) -> Call:
        """Take the job. After `max_attempts` attempts without a new slice it fails as `poisoned` instead."""
        return self._call("acquire", lease_seconds, max_attempts, poisoned.to_json(), weights, numerics)

    def renew(self, *, lease_seconds: float) -> Call:
        """Hold it for `lease_seconds` from now."""
        return self._call("renew", lease_seconds)

    def append(self, entry: SliceEntry) -> Call:
        """One finished slice. Sending it again changes nothing."""
        return self._call("append", *entry.encode())

    def restart(self, *, weights: str, numerics: str) -> Call:
        """Void the slices drawn so far: they are of other weights or numerics."""
        return self._call("restart", weights, numerics)

    def release(self) -> Call:
        """Hand it back, no attempt spent."""
        return self._call("release")

    def cancel(self) -> Call:
        """Stop it, as was asked."""
        return self._call("cancel")

    def finish(self) -> Call:
        """All pictures are complete."""
        return self._call("finish")

    def fail(self, problem: Problem) -> Call:
        """It cannot be done."""
        return self._call("fail", problem.to_json())

    def _call(self, name: str, *args: str | float | bytes) -> Call:
        return Call(self.keys.all, [name, self.keys.id, self.token, *args])


def cancel(keys: Keys) -> Call:
    """Ask a job to stop."""
    return Call(keys.all, ["cancel", keys.id, ""])


def requeue(keys: Keys, *, expected: int) -> Call:
    """The ticket after `expected`, for a job that nobody holds. The number guards against a second reaper."""
    return Call(keys.all, ["requeue", keys.id, "", expected])


def overdue(keys: Keys, *, grace_seconds: float) -> Call:
    """Fail a job whose deadline has passed; a worker that holds it has `grace_seconds` more to do that itself."""
    return Call(keys.all, ["overdue", keys.id, "", grace_seconds, OVERDUE.to_json()])


def announce(model: str, worker: str, *, seconds: float) -> Call:
    """A worker of `model` lives for `seconds` more; 0 says goodbye."""
    return Call([workers_key(model)], ["announce", worker, "", seconds])


def expire() -> Call:
    """Forget the ids of jobs whose record Redis has dropped."""
    return Call([ENDED], ["expire", "", ""])


def dispatch(*, seconds: float) -> Call:
    """Take the webhook delivery that is due first; unless it is settled, it is due again after `seconds`."""
    return Call([OUTBOX], ["dispatch", "", "", seconds])


def postpone(delivery: str, *, attempt: int, seconds: float, patience_seconds: float) -> Call:
    """Attempt number `attempt` failed: the next one after `seconds`, or none after `patience_seconds` in all."""
    return Call([OUTBOX, delivery_key(delivery)], ["postpone", delivery, "", attempt, seconds, patience_seconds])


def settle(delivery: str) -> Call:
    """Nothing more to send."""
    return Call([OUTBOX, delivery_key(delivery)], ["settle", delivery, ""])
