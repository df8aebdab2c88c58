"""The whole transition table over a real Redis: every transition, from every state, with every token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
import redis

from service.contract.redis_keys import RETURNED, model_keys, owners_key, waiting_key
from service.contract.statuses import Status
from service.contract.transitions import (
    Call,
    Claim,
    Outcome,
    Transitions,
    cancel,
    create,
    erase,
    limit_lease,
    overdue,
    requeue,
    stored,
    unstored,
)
from tests.harness.drawing import POISONED, a_claim, a_request, acquire, an_entry, record_of

OWN, OTHER, NONE = "own", "other", "none"

TABLE = """
transition   token  absent   queued  held       orphaned  returned  canceling  overdue    complete   succeeded  failed  canceled
acquire      own    unknown  done    done       done      done      done       done       ended      ended      ended   ended
acquire      other  unknown  done    leased     done      done      leased     leased     ended      ended      ended   ended
acquire      none   unknown  lost    lost       lost      lost      lost       lost       ended      ended      ended   ended
renew        own    unknown  lost    done       done      lost      canceling  overdue    ended      ended      ended   ended
renew        other  unknown  lost    lost       lost      lost      lost       lost       ended      ended      ended   ended
renew        none   unknown  lost    lost       lost      lost      lost       lost       ended      ended      ended   ended
append       own    unknown  lost    done       done      lost      canceling  overdue    ended      ended      ended   ended
append       other  unknown  lost    lost       lost      lost      lost       lost       ended      ended      ended   ended
append       none   unknown  lost    lost       lost      lost      lost       lost       ended      ended      ended   ended
restart      own    unknown  lost    done       done      lost      done       done       ended      ended      ended   ended
restart      other  unknown  lost    lost       lost      lost      lost       lost       ended      ended      ended   ended
restart      none   unknown  lost    lost       lost      lost      lost       lost       ended      ended      ended   ended
release      own    unknown  lost    done       done      lost      done       done       ended      ended      ended   ended
release      other  unknown  lost    lost       lost      lost      lost       lost       ended      ended      ended   ended
release      none   unknown  lost    lost       lost      lost      lost       lost       ended      ended      ended   ended
finish       own    unknown  lost    done       done      lost      done       done       ended      ended      ended   ended
finish       other  unknown  lost    lost       lost      lost      lost       lost       ended      ended      ended   ended
finish       none   unknown  lost    lost       lost      lost      lost       lost       ended      ended      ended   ended
fail         own    unknown  lost    done       done      lost      done       done       ended      ended      ended   ended
fail         other  unknown  lost    lost       lost      lost      lost       lost       ended      ended      ended   ended
fail         none   unknown  lost    lost       lost      lost      lost       lost       ended      ended      ended   ended
cancel       own    unknown  done    done       done      done      done       done       canceling  ended      ended   ended
cancel       other  unknown  done    canceling  done      done      canceling  canceling  canceling  ended      ended   ended
cancel       none   unknown  done    canceling  done      done      canceling  canceling  canceling  ended      ended   ended
create       any    done     done    done       done      done      done       done       done       done       done    done
overdue      any    unknown  stale   stale      stale     stale     stale      leased     ended      ended      ended   ended
requeue      any    unknown  stale   leased     done      stale     leased     leased     ended      ended      ended   ended
limit_lease  any    unknown  stale   stale      stale     stale     stale      stale      ended      ended      ended   ended
erase        any    done     done    done       done      done      done       done       done       done       done    done
stored       any    unknown  stale   stale      stale     stale     stale      stale      done       done       done    done
"""
"""`own` is the token of the worker that holds the job or held it last, and a fresh one where nobody has. `held`: its
lease lives. `orphaned`: it ran out. `returned`: released. `canceling`, `overdue`: held, and to be stopped.
`complete`: without a missing slice, it waits for the object store."""

WROTE = {Outcome.DONE, Outcome.CANCELING, Outcome.OVERDUE}
"""Outcomes after which something may have changed; for `cancel` by others that is the wish alone."""

AFTERWARDS = {
    "acquire": Status.RUNNING,
    "finish": Status.SUCCEEDED,
    "fail": Status.FAILED,
    "overdue": Status.FAILED,
}
"""The status that a transition leads to whenever it is done; cancel and release are told in tests of their own."""

CALLS: dict[str, Callable[[Claim], Call]] = {
    "acquire": acquire,
    "renew": lambda claim: claim.renew(lease_seconds=30),
    "append": lambda claim: claim.append(an_entry(0)),
    "restart": lambda claim: claim.restart(weights="other", numerics="other"),
    "release": lambda claim: claim.release(),
    "finish": lambda claim: claim.finish(),
    "fail": lambda claim: claim.fail(POISONED),
    "cancel": lambda claim: claim.cancel(),
    "overdue": lambda claim: with_token(overdue(claim.keys, grace_seconds=60), claim.token),
    "limit_lease": lambda claim: with_token(limit_lease(claim.keys), claim.token),
    "requeue": lambda claim: with_token(requeue(claim.keys), claim.token),
    "stored": lambda claim: with_token(stored(claim.keys, keep_seconds=60, expires_at=1), claim.token),
    "erase": lambda claim: with_token(erase(claim.keys), claim.token),
    "create": lambda claim: with_token(create(replace(a_request(), id=claim.keys.id), bound=100), claim.token),
}


def with_token(call: Call, token: str) -> Call:
    """A call that carries a token it does not need."""
    return replace(call, token=token)


def cells() -> list[tuple[str, str, str, Outcome]]:
    """Transition, token, state, expected outcome."""
    header, *rows = (line.split() for line in TABLE.strip().splitlines())
    return [
        (name, token, state, Outcome(expected))
        for name, tokens, *outcomes in rows
        for token in ((OWN, OTHER, NONE) if tokens == "any" else (tokens,))
        for state, expected in zip(header[2:], outcomes, strict=True)
    ]


class Scene:
    """One job brought into a state; `own` is the claim of whoever holds it."""

    def __init__(self, store: redis.Redis) -> None:
        self.store, self.transitions = store, Transitions(store)
        self.own = a_claim(replace(a_request(), deadline_seconds=60))

    def enter(self, state: str, *, results: bool = False) -> None:
        """Lead the job there, through transitions but for the passing of time. `results`: they leave Redis."""
        if state == "absent":
            return
        request = replace(a_request(), id=self.own.keys.id, deadline_seconds=60)
        self.transitions(create(request, bound=100, results=results or state == "complete"))
        if state == "queued":
            return
        self.transitions(acquire(self.own))
        steps: dict[str, Callable[[], object]] = {
            "held": int,
            "orphaned": lambda: self.store.hset(self.own.keys.record, "lease_until", 1),
            "returned": lambda: self.transitions(self.own.release()),
            "canceling": lambda: self.transitions(cancel(self.own.keys)),
            "overdue": self.expire_deadline,
            "complete": lambda: self.transitions(self.own.finish()),
            "succeeded": lambda: self.transitions(self.own.finish()),
            "failed": lambda: self.transitions(self.own.fail(POISONED)),
            "canceled": lambda: self.transitions(self.own.cancel()),
        }
        steps[state]()

    def expire_deadline(self) -> None:
        """The deadline was a second ago, by Redis' clock."""
        seconds, micros = self.store.time()
        self.store.hset(self.own.keys.record, "deadline", seconds * 1000 + micros // 1000 - 1000)

    def claim(self, token: str) -> Claim:
        """The job, under the token of that name."""
        return {OWN: self.own, OTHER: replace(self.own, token="other"), NONE: replace(self.own, token="")}[token]

    @property
    def kept(self) -> tuple[object, ...]:
        """All that is kept of the job."""
        keys = self.own.keys
        queues = [waiting_key("toy", ""), waiting_key("toy", RETURNED), owners_key("toy")]
        lists = [self.store.zrange(key, 0, -1, withscores=True) for key in [*model_keys(keys.model)[:3], *queues]]
        return self.store.hgetall(keys.record), self.store.xrange(keys.stream), lists


@pytest.fixture
def scene(store: redis.Redis) -> Scene:
    """A job that does not exist yet."""
    return Scene(store)


def test_the_table_is_whole() -> None:
    """Every transition stands in it with every token."""
    assert {(name, token) for name, token, *_ in cells()} == set(product(CALLS, (OWN, OTHER, NONE)))


@pytest.mark.parametrize(("name", "token", "state", "expected"), cells())
def test_each_cell_of_the_table(scene: Scene, name: str, token: str, state: str, expected: Outcome) -> None:
    """The outcome is the table's; a refused transition changes nothing, one that is done leads where it should."""
    scene.enter(state)
    before = scene.kept
    assert scene.transitions(CALLS[name](scene.claim(token))).outcome is expected
    if expected not in WROTE or (name == "create" and state != "absent"):
        assert scene.kept == before
    elif expected is Outcome.DONE and name in AFTERWARDS:
        assert record_of(scene.store, scene.own).status is AFTERWARDS[name]


@pytest.mark.parametrize("state", ["queued", "held", "orphaned", "returned", "canceling", "overdue"])
def test_whatever_happened_a_job_can_be_ended_once(scene: Scene, state: str) -> None:
    """From every living state there is a way to a final one, and from there none back."""
    scene.enter(state)
    claim = replace(scene.own, token="rescuer")
    scene.store.hset(claim.keys.record, "lease_until", 1)
    assert scene.transitions(claim.cancel()).outcome is Outcome.DONE
    before = scene.kept
    assert {
        scene.transitions(call(scene.own)).outcome
        for name, call in CALLS.items()
        if name not in {"create", "erase", "stored"}
    } == {Outcome.ENDED}
    assert scene.kept == before


@pytest.mark.parametrize("name", ["acquire", "release"])
def test_a_canceling_job_is_ended_by_whoever_lets_go_of_it(scene: Scene, name: str) -> None:
    """A worker that drains, and the next one after a death, both end it as cancelled."""
    scene.enter("canceling")
    if name == "acquire":
        scene.store.hset(scene.own.keys.record, "lease_until", 1)
    scene.transitions(CALLS[name](scene.claim(OTHER if name == "acquire" else OWN)))
    assert record_of(scene.store, scene.own).status is Status.CANCELED


@pytest.mark.parametrize(
    ("lead", "expected"),
    [
        (("acquire",), ""),
        (("acquire", "orphan", "acquire"), "suspect"),
        (("acquire", "append", "orphan", "acquire"), "suspect"),
        (("acquire", "orphan", "acquire", "release", "acquire"), "suspect"),
        (("acquire", "orphan", "acquire", "append", "release", "acquire"), ""),
        (("acquire", "release", "acquire"), ""),
    ],
)
def test_a_job_whose_holder_was_lost_is_suspect_until_its_next_slice(
    scene: Scene, lead: tuple[str, ...], expected: str
) -> None:
    """Also if it is handed back in between; the reply to the same acquire sent twice is the same."""
    scene.enter("queued")
    claim = scene.own
    for number, name in enumerate(lead):
        if name == "orphan":
            scene.store.hset(claim.keys.record, "lease_until", 1)
            continue
        claim = replace(claim, token=f"token-{number}") if name == "acquire" else claim
        reply = scene.transitions(CALLS[name](claim))
    assert (reply.outcome, reply.value) == (Outcome.DONE, expected)
    again = scene.transitions(acquire(claim))
    assert (again.outcome, again.values[:-1]) == (reply.outcome, reply.values[:-1])


@pytest.mark.parametrize(
    "name", ["create", "acquire", "renew", "append", "restart", "release", "finish", "fail", "cancel"]
)
def test_out_of_memory_refuses_a_transition_as_a_whole(scene: Scene, name: str) -> None:
    """Redis at its limit leaves no half of a transition behind, and takes no new job."""
    scene.enter({"create": "absent", "acquire": "queued"}.get(name, "held"))
    before, keys = scene.kept, scene.store.dbsize()
    scene.store.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.ResponseError, match="used memory"):  # OutOfMemoryError from Redis 7 on
            scene.transitions(CALLS[name](scene.own))
    finally:
        scene.store.config_set("maxmemory", 0)
    assert (scene.kept, scene.store.dbsize()) == (before, keys)


def test_out_of_memory_lets_jobs_leave_redis(scene: Scene) -> None:
    """Jobs that wait for the object store may be what fills it."""
    scene.enter("held", results=True)
    scene.store.config_set("maxmemory", 1)
    calls = [
        scene.own.finish(),
        unstored(count=9, claim_seconds=0),
        stored(scene.own.keys, keep_seconds=60, expires_at=9**15),
    ]
    try:
        outcomes = [scene.transitions(call).outcome for call in calls]
    finally:
        scene.store.config_set("maxmemory", 0)
    assert outcomes == [Outcome.COMPLETE, Outcome.DONE, Outcome.DONE]
    assert record_of(scene.store, scene.own).status is Status.SUCCEEDED
