"""Several transitions in one call of the script, over a real Redis: each has its own reply and harms no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import redis

from service.contract.statuses import Status, WebhookEvent
from service.contract.transitions import AT_ONCE, Call, Claim, Outcome, Transitions, announce, cancel, create
from tests.harness.drawing import a_claim, a_request, a_running_job, acquire, an_entry, events_of, record_of
from tests.harness.sending import hooked


@pytest.fixture
def transitions(store: redis.Redis) -> Transitions:
    """Over the session's Redis."""
    return Transitions(store)


def kept(store: redis.Redis, claim: Claim) -> tuple[Any, Any]:
    """Record and stream of a job."""
    return store.hgetall(claim.keys.record), store.xrange(claim.keys.stream)


def scripts(store: redis.Redis) -> int:
    """Calls of scripts since the statistics were reset."""
    return int(store.info("commandstats")["cmdstat_evalsha"]["calls"])


def test_each_transition_has_its_own_reply_in_order(store: redis.Redis, transitions: Transitions) -> None:
    """One refused for any reason, and one that is to stop, lie between others that are done."""
    claims = [a_running_job(transitions) for _ in range(5)]
    first, stolen, early, stopped, last = claims
    transitions(cancel(stopped.keys))
    before = [kept(store, claim) for claim in (stolen, early)]
    calls = [
        first.append(an_entry(0)),
        replace(stolen, token="other").append(an_entry(0)),
        early.append(an_entry(1)),
        a_claim(a_request()).append(an_entry(0)),
        stopped.append(an_entry(0)),
        last.append(an_entry(0)),
    ]
    store.config_resetstat()
    outcomes = [reply.outcome for reply in transitions.together(calls)]
    expected = [Outcome.DONE, Outcome.LOST, Outcome.GAP, Outcome.UNKNOWN, Outcome.CANCELING, Outcome.DONE]
    assert (outcomes, scripts(store)) == (expected, 1)
    assert [record_of(store, claim).done for claim in claims] == [(1,), (0,), (0,), (1,), (1,)]
    assert [kept(store, claim) for claim in (stolen, early)] == before


def test_each_job_gets_its_own_slices(store: redis.Redis, transitions: Transitions) -> None:
    """Also behind one that is refused, whose slices nobody takes."""
    claims = [a_running_job(transitions, num_images=2) for _ in range(3)]
    entries = [[an_entry(0, image=image, seed=2 * job + image) for image in range(2)] for job in range(3)]
    calls = [claim.append(*slices) for claim, slices in zip(claims, entries, strict=True)]
    calls[1] = replace(calls[1], token="other")
    transitions.together(calls)
    for claim, slices in zip(claims[::2], entries[::2], strict=True):
        found = [event.slice for event in events_of(store, claim) if event.slice]
        assert [each.values.tobytes() for each in found] == [each.values.tobytes() for each in slices]


def test_different_transitions_share_a_call(store: redis.Redis, transitions: Transitions) -> None:
    """In order: each finds what those before it did."""
    request = a_request()
    claim = a_claim(request)
    calls = [create(request, bound=1), announce("toy", "w", seconds=9), acquire(claim), claim.finish(), claim.finish()]
    outcomes = [reply.outcome for reply in transitions.together(calls)]
    assert outcomes == [*[Outcome.DONE] * 4, Outcome.ENDED]
    assert record_of(store, claim).status is Status.SUCCEEDED


@pytest.mark.parametrize("part", ["record", "stream"])
@pytest.mark.parametrize("name", ["append", "renew", "finish"])
def test_a_broken_job_harms_no_other(part: str, name: str, store: redis.Redis, transitions: Transitions) -> None:
    """Its record or stream is of another type. The others do what they do without it."""
    calls = {
        "append": lambda claim: claim.append(an_entry(0)),
        "renew": lambda claim: claim.renew(lease_seconds=30),
        "finish": lambda claim: claim.finish(),
    }
    first, broken, last = (a_running_job(transitions) for _ in range(3))
    key = getattr(broken.keys, part)
    store.set(key, "not of this type")
    replies = transitions.together([calls[name](claim) for claim in (first, broken, last)])
    untouched = (name, part) == ("renew", "stream")
    middle = Outcome.DONE if untouched else Outcome.BROKEN
    assert [reply.outcome for reply in replies] == [Outcome.DONE, middle, Outcome.DONE]
    assert untouched or "WRONGTYPE" in replies[1].value
    assert store.get(key) == b"not of this type"
    same = [record_of(store, claim) for claim in (first, last)]
    assert same[0].done == same[1].done == ((1,) if name == "append" else (0,))
    assert (same[0].status is Status.SUCCEEDED) == (same[1].status is Status.SUCCEEDED) == (name == "finish")


def test_a_single_transition_of_a_broken_job_is_an_error(store: redis.Redis, transitions: Transitions) -> None:
    """As every other command on it."""
    claim = a_running_job(transitions)
    store.set(claim.keys.record, "not of this type")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        transitions(claim.renew(lease_seconds=30))


def test_what_a_broken_transition_began_is_not_written_to_the_next_job(
    store: redis.Redis, transitions: Transitions
) -> None:
    """It breaks at the outbox, after its slice has entered the stream."""
    request = hooked("http://receiver", WebhookEvent.SLICE)
    transitions(create(request, bound=9))
    broken, healthy = a_claim(request), a_running_job(transitions)
    transitions(acquire(broken))
    store.set("spn:outbox:totals", "not of this type")
    replies = transitions.together([broken.append(an_entry(0)), healthy.renew(lease_seconds=30)])
    assert [reply.outcome for reply in replies] == [Outcome.BROKEN, Outcome.DONE]
    (entry,) = [event.id for event in events_of(store, healthy)][-1:]
    record = record_of(store, healthy)
    assert (record.done, store.hget(healthy.keys.record, "last_id")) == ((0,), entry.encode())


def test_what_is_known_of_a_job_is_not_taken_for_the_next(store: redis.Redis, transitions: Transitions) -> None:
    """As the number of images, which a restart reads only when it needs it."""
    claims = [a_running_job(transitions, num_images=images) for images in (2, 1)]
    transitions.together([claim.restart(weights="other", numerics="n") for claim in claims])
    assert [store.hexists(claim.keys.record, "done:1") for claim in claims] == [True, False]


def test_out_of_memory_refuses_all_of_a_call(store: redis.Redis, transitions: Transitions) -> None:
    """Nothing is written. Sent again once there is room, all are done."""
    claims = [a_running_job(transitions) for _ in range(3)]
    calls = [claim.append(an_entry(0)) for claim in claims]
    calls.insert(1, replace(calls[1], token="other"))
    before = [kept(store, claim) for claim in claims]
    store.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.ResponseError, match="used memory"):
            transitions.together(calls)
    finally:
        store.config_set("maxmemory", 0)
    assert [kept(store, claim) for claim in claims] == before
    outcomes = [reply.outcome for reply in transitions.together(calls)]
    assert outcomes == [Outcome.DONE, Outcome.LOST, Outcome.DONE, Outcome.DONE]


def test_many_transitions_are_sent_in_parts(store: redis.Redis, transitions: Transitions) -> None:
    """So that Redis serves others in between. The replies stay in order."""
    claims = [a_running_job(transitions) for _ in range(2 * AT_ONCE + 1)]
    calls: list[Call] = [claim.append(an_entry(0)) for claim in claims]
    calls[AT_ONCE] = claims[AT_ONCE].append(an_entry(1))
    store.config_resetstat()
    replies = transitions.together(calls)
    assert scripts(store) == 3
    assert [n for n, reply in enumerate(replies) if reply.outcome is not Outcome.DONE] == [AT_ONCE]
    assert len(replies) == len(calls)


def test_no_transitions_are_no_call(store: redis.Redis, transitions: Transitions) -> None:
    """Redis gets no command."""
    store.config_resetstat()
    assert transitions.together([]) == []
    assert "cmdstat_evalsha" not in store.info("commandstats")
