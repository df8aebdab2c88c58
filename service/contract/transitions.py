"""Transitions of `transitions.lua` as typed calls: their arguments, and the meaning of their replies.

A `Call` is plain data; `Transitions` and `AsyncTransitions` send it. The table of what is allowed is in the script.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.resources import files
from itertools import accumulate, chain, pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue
from redis.exceptions import ResponseError

from service.contract.record import OVERDUE, Problem
from service.contract.redis_keys import Keys, idempotency_key, model_keys
from service.contract.request import JobRequest
from service.contract.stream import SliceEntry

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

SCRIPTS = ("outbox.lua", "queue.lua", "transitions.lua")
SCRIPT = "\n".join(files("service.contract").joinpath(name).read_text() for name in SCRIPTS)

Argument = bytes | str | int | float
"""An argument of a command of Redis."""

Command = Sequence[Argument]

AT_ONCE = 64
"""Transitions of one call of the script, for which Redis serves nobody else: 64 appends take about a millisecond."""


class Outcome(StrEnum):
    """Outcomes of transitions."""

    DONE = "done"
    REPLAY = "replay"
    """create: this idempotency key made the job `value`."""
    CLASH = "clash"
    """create: this idempotency key belongs to another request body."""
    MOVED = "moved"
    """create: the cell `value` takes the job, or took it under this idempotency key."""
    FULL = "full"
    """create: the queue is full, and a job of this owner waits in it; `value` is when to retry, in seconds."""
    RATE_LIMITED = "rate_limited"
    """create: the owner submitted too many jobs in the last minute; `value` is when to retry, in seconds."""
    CONCURRENCY_LIMITED = "concurrency_limited"
    """create: the owner has too many jobs that have not ended; `value` is when to retry, in seconds."""
    LEASED = "leased"
    """acquire, requeue, overdue: a worker holds the job."""
    CANCELING = "canceling"
    """renew, append: done, but the worker should stop; cancel: its worker will stop it, or it is complete and ends soon."""
    COMPLETE = "complete"
    """finish: no slice is missing; the job succeeds once it is in the object store."""
    OVERDUE = "overdue"
    """renew, append: done, but the deadline has passed; acquire: refused because of that."""
    ENDED = "ended"
    """The job is in a final status."""
    LOST = "lost"
    """The token is not the job's: another worker holds it, or none."""
    GAP = "gap"
    """append: an earlier slice is missing."""
    STALE = "stale"
    """requeue: the job waits already; overdue, limit_lease: there is no reason to; stored: the job goes on."""
    EMPTY = "empty"
    """next: no job waits."""
    UNKNOWN = "unknown"
    """No such job."""
    BROKEN = "broken"
    """The job's record or stream is damaged; `value` is the error of Redis."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Reply of the script: its outcome, and the values that some transitions add."""

    outcome: Outcome
    values: tuple[str, ...] = ()

    @property
    def value(self) -> str:
        """Return the first value, "" without one."""
        return self.values[0] if self.values else ""

    @property
    def fields(self) -> dict[str, str]:
        """Return the values of `create`: the fields of the new record."""
        return dict(zip(self.values[::2], self.values[1::2], strict=True))

    @classmethod
    def decode(cls, raw: Sequence[Any]) -> Reply:
        """Read the script's array."""
        outcome, *rest = (item.decode() if isinstance(item, bytes) else str(item) for item in raw)
        return cls(outcome=Outcome(outcome), values=tuple(rest))


@dataclass(frozen=True, kw_only=True)
class Acquired:
    """Reply to `acquire`. `weights` and `numerics` are those of the slices so far.

    `resumed`: the stream may have slices. `suspect`: a holder was lost since the last new slice.
    """

    suspect: bool
    request: str
    weights: str
    numerics: str
    resumed: bool

    @classmethod
    def of(cls, reply: Reply) -> Acquired:
        """Read the values of a reply whose outcome is DONE."""
        suspect, request, weights, numerics, resumed = reply.values
        return cls(suspect=bool(suspect), request=request, weights=weights, numerics=numerics, resumed=bool(resumed))


@dataclass(frozen=True, kw_only=True)
class Call:
    """One transition: its arguments, and its keys besides those of the model, both by name. `slices`: None without any.

    `ticket`: commands of RQ that put the ticket of a new job.
    """

    transition: str
    model: str
    keys: Mapping[str, str]
    id: str
    token: str
    slices: Sequence[SliceEntry] | None
    arguments: Mapping[str, JsonValue]
    ticket: Sequence[Command] = ()

    @classmethod
    def of(  # noqa: PLR0913 - all but the first by keyword
        cls,
        transition: str,
        *,
        model: str = "",
        keys: Mapping[str, str] = MappingProxyType({}),
        id: str = "",  # noqa: A002 - its name in the script
        token: str = "",
        slices: Sequence[SliceEntry] | None = None,
        **arguments: JsonValue,
    ) -> Call:
        """Return a call without a job, unless `keys` are those of one."""
        return cls(
            transition=transition, model=model, keys=keys, id=id, token=token, slices=slices, arguments=arguments
        )

    @classmethod
    def on(
        cls,
        job: Keys,
        transition: str,
        *,
        token: str = "",
        idempotency: str = "",
        slices: Sequence[SliceEntry] | None = None,
        **arguments: JsonValue,
    ) -> Call:
        """Return a call on `job`. `idempotency`: the key in Redis of its Idempotency-Key, "" without one."""
        keys = {"record": job.record, "stream": job.stream, **({"idempotency": idempotency} if idempotency else {})}
        return cls.of(transition, model=job.model, keys=keys, id=job.id, token=token, slices=slices, **arguments)


def encoded(calls: Sequence[Call]) -> dict[str, Any]:
    """Return KEYS and ARGV of the script, as redis-py names them. All calls must be of one model."""
    (model,) = {call.model for call in calls}
    keys, values, objects = model_keys(model), list[Argument](), list[JsonValue]()
    for call in calls:
        places = {name: len(keys) + place for place, name in enumerate(call.keys, 1)}
        keys += call.keys.values()
        described: dict[str, JsonValue] = {"transition": call.transition, "id": call.id, "token": call.token}
        if call.slices is not None:
            first = len(values) + 2  # ARGV[1] is the JSON
            values += [each.data for each in call.slices]
            described["slices"] = [{**each.header, "data": first + n} for n, each in enumerate(call.slices)]
        if call.transition == "create":
            ends = list(accumulate(map(len, call.ticket), initial=len(values) + 1))
            values += chain.from_iterable(call.ticket)
            described["ticket"] = [[end + 1, next_end] for end, next_end in pairwise(ends)]
        objects.append({**described, **places, **call.arguments})
    return {"keys": keys, "args": [json.dumps(objects, ensure_ascii=False), *values]}


class Transitions:
    """Sender of calls over a blocking client."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(SCRIPT)

    def __call__(self, call: Call) -> Reply:
        """Run one transition. Raises redis' ConnectionError, and ResponseError if the job's record is damaged."""
        return only(self._script(**encoded([call])))

    def together(self, calls: Sequence[Call]) -> list[Reply]:
        """Run transitions of one model, each independent, in one round trip for each `AT_ONCE` of them.

        After a broken connection they are sent again: use it only for transitions that count once.
        Raises redis' ConnectionError. The reply for a damaged record is BROKEN.
        """
        parts = (calls[start : start + AT_ONCE] for start in range(0, len(calls), AT_ONCE))
        return [Reply.decode(raw) for part in parts for raw in self._script(**encoded(part))]


class AsyncTransitions:
    """Sender of calls over an asyncio client."""

    def __init__(self, client: AsyncRedis) -> None:
        self._script = client.register_script(SCRIPT)

    async def __call__(self, call: Call) -> Reply:
        """Run one transition. Raises redis' ConnectionError, and ResponseError if the job's record is damaged."""
        return only(await self._script(**encoded([call])))


def only(replies: Sequence[Any]) -> Reply:
    """Return the reply to a single call. Raises ResponseError if the job's record is damaged."""
    (raw,) = replies
    reply = Reply.decode(raw)
    if reply.outcome is Outcome.BROKEN:
        raise ResponseError(reply.value)
    return reply


@dataclass(frozen=True, kw_only=True)
class Idempotency:
    """A caller's key, the fingerprint of its request body, and how long it is remembered after the submit at most."""

    key: str
    fingerprint: str
    seconds: int = 86_400


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one owner: submits in any minute, and jobs that have not ended. 0: any number.

    `weight`: the owner's part of the images, relative to other owners whose jobs wait.
    """

    per_minute: int = 0
    concurrent: int = 0
    weight: int = 1


UNLIMITED = Limits()


def create(  # noqa: PLR0913 - the terms of a submit, by keyword
    request: JobRequest,
    *,
    bound: int,
    limits: Limits = UNLIMITED,
    idempotency: Idempotency | None = None,
    start: Sequence[SliceEntry] = (),
    second: str = "",
    results: bool = False,
    ticket: Sequence[Command] = (),
) -> Call:
    """Make a new queued job, unless its owner is over `limits`, or `bound` jobs of its model wait, of this owner too.

    `start`: the slices that every image starts with. `second`: the cell that takes the job if the queue is full. `results`:
    it goes to the object store when it ends. `ticket`: commands that put its ticket. The reply has the record's fields.
    """
    once = idempotency or Idempotency(key="", fingerprint="")
    call = Call.on(
        request.keys,
        "create",
        idempotency=idempotency_key(once.key, request.owner) if idempotency else "",
        bound=bound,
        owner=request.owner,
        per_minute=limits.per_minute,
        concurrent=limits.concurrent,
        weight=limits.weight,
        priority=request.priority.value,
        deadline_seconds=request.deadline_seconds,
        key_seconds=once.seconds,
        fingerprint=once.fingerprint,
        request=request.to_json().decode(),
        webhook_events=[event.value for event in request.webhook.events] if request.webhook else [],
        receiver=request.webhook.receiver if request.webhook else "",
        num_images=request.num_images,
        base_lanes=request.base_lanes,
        retention_ms=request.retention_seconds * 1000,
        second=second,
        results=results,
        slices=start,
    )
    return replace(call, ticket=ticket)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A worker's hold on a job: every write carries the token. A worker makes a new token for each `acquire`."""

    keys: Keys
    token: str

    def acquire(
        self, *, lease_seconds: float, max_attempts: int, poisoned: Problem, weights: str, numerics: str
    ) -> Call:
        """Take the job. After `max_attempts` attempts without a new slice it fails as `poisoned` instead.

        Values of the reply: see `Acquired`.
        """
        return self._call(
            "acquire",
            lease_seconds=lease_seconds,
            max_attempts=max_attempts,
            problem=poisoned.to_json().decode(),
            weights=weights,
            numerics=numerics,
        )

    def renew(self, *, lease_seconds: float) -> Call:
        """Extend the lease to `lease_seconds` from now."""
        return self._call("renew", lease_seconds=lease_seconds)

    def append(self, *slices: SliceEntry) -> Call:
        """Publish finished slices. Sending them again changes nothing."""
        return self._call("append", slices=slices)

    def restart(self, *, weights: str, numerics: str) -> Call:
        """Void the slices so far: they are of other weights or numerics."""
        return self._call("restart", weights=weights, numerics=numerics)

    def release(self) -> Call:
        """Return the job; no attempt is spent."""
        return self._call("release")

    def cancel(self) -> Call:
        """End the job as canceled."""
        return self._call("cancel")

    def finish(self) -> Call:
        """End the job as succeeded: all images are complete. COMPLETE: once it is stored."""
        return self._call("finish")

    def fail(self, problem: Problem) -> Call:
        """End the job as failed."""
        return self._call("fail", problem=problem.to_json().decode())

    def _call(self, transition: str, *, slices: Sequence[SliceEntry] | None = None, **arguments: JsonValue) -> Call:
        return Call.on(self.keys, transition, token=self.token, idempotency="", slices=slices, **arguments)


def cancel(keys: Keys) -> Call:
    """Ask a job to stop."""
    return Call.on(keys, "cancel")


def erase(keys: Keys, *, owner: str = "", idempotency: str = "", results: bool = False) -> Call:
    """Delete all that Redis has of a job of `owner`, but for its ticket in RQ.

    `idempotency`: the key in Redis of its Idempotency-Key, "" without one. `results`: its object is to be deleted too.
    """
    return Call.on(keys, "erase", idempotency=idempotency, owner=owner, results=results)


def unstored(*, count: int, claim_seconds: float, returned: Collection[str] = ()) -> Call:
    """Claim at most `count` jobs whose objects are not as Redis has them; the reply's values are their ids.

    `returned`: those whose claims ended without success. They are due again.
    """
    back, claim_ms = list[JsonValue](returned), int(claim_seconds * 1000)
    return Call.of("unstored", count=count, claim_ms=claim_ms, returned=back)


def stored(keys: Keys, *, keep_seconds: float, expires_at: int) -> Call:
    """Note that an ended or complete job is in the object store, so that Redis keeps it for `keep_seconds` more.

    `expires_at`: when the retention of a complete job ends, as its object says. UNKNOWN: it was erased, and its object is to
    be deleted.
    """
    return Call.on(keys, "stored", keep_ms=int(keep_seconds * 1000), expires_at=expires_at)


def next_job(model: str, *, except_owners: Collection[str] | None = None) -> Call:
    """Reply the job of `model` that a worker should acquire next; EMPTY if none waits.

    With `except_owners`: the next interactive job of an owner that is not among them.
    """
    every_owner, others = except_owners is None, list[JsonValue](except_owners or ())
    return Call.of("next", model=model, every_owner=every_owner, except_owners=others)


def requeue(keys: Keys) -> Call:
    """Let a job without a lease wait for a worker again; STALE if it does already."""
    return Call.on(keys, "requeue")


def overdue(keys: Keys, *, grace_seconds: float) -> Call:
    """Fail a job whose deadline has passed; a worker that holds it has `grace_seconds` more to do that itself."""
    problem = OVERDUE.to_json().decode()
    return Call.on(keys, "overdue", grace_seconds=grace_seconds, problem=problem)


def limit_lease(keys: Keys) -> Call:
    """Shorten a lease that ends later than one taken now would, because Redis' clock was set back."""
    return Call.on(keys, "limit_lease")


def announce(model: str, worker: str, *, seconds: float) -> Call:
    """Register a worker of `model` for `seconds` more; 0 removes it."""
    return Call.of("announce", model=model, id=worker, seconds=seconds)


def expire(*, results: bool = False) -> Call:
    """Remove the ids of jobs past their retention. `results`: their objects are to be deleted."""
    return Call.of("expire", results=results)
