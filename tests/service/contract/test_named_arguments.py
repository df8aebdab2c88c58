"""Arguments of the script cross by name, and a transition reads and writes the record once; over a real Redis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import redis

from service.contract.statuses import Status
from service.contract.transitions import Call, Claim, Idempotency, Outcome, Transitions, create
from tests.harness.drawing import POISONED, a_claim, a_request, a_running_job, acquire, an_entry, events_of, record_of

TEXT = 'quote " backslash \\ newline \n nul \0 emoji \U0001f600 umlaut ü'
WRITES: dict[str, Callable[[Claim], Call]] = {
    "renew": lambda claim: claim.renew(lease_seconds=30),
    "append": lambda claim: claim.append(an_entry(0), an_entry(0, image=1)),
    "restart": lambda claim: claim.restart(weights="other", numerics="other"),
    "release": lambda claim: claim.release(),
    "finish": lambda claim: claim.finish(),
    "fail": lambda claim: claim.fail(POISONED),
}


@pytest.fixture
def transitions(store: redis.Redis) -> Transitions:
    """Over the session's Redis."""
    return Transitions(store)


def test_any_text_and_number_arrives_as_it_was_sent(store: redis.Redis, transitions: Transitions) -> None:
    """Characters that JSON or Lua treat specially, and fractions that their default formats would round."""
    request = replace(a_request(), metadata={TEXT: [TEXT, 2**53 - 1, 0.1]}, base_lanes=8 / 3, owner="studio")
    transitions(create(request, bound=1))
    claim = a_claim(request)
    transitions(acquire(claim, weights=TEXT))
    transitions(claim.append(replace(an_entry(0), score=1 / 3)))
    record = record_of(store, claim)
    assert (record.request, record.weights, record.scores) == (request, TEXT, (1 / 3,))
    assert float(store.hget(claim.keys.record, "lanes") or 0) == 8 / 3


def test_one_append_publishes_slices_of_several_images(store: redis.Redis, transitions: Transitions) -> None:
    """Each is an event of its own with its own values; one that is known already changes nothing."""
    claim = a_running_job(transitions, num_images=3)
    transitions(claim.append(an_entry(0)))
    entries = [an_entry(0, image=image, seed=image) for image in range(3)]
    assert transitions(claim.append(*entries)).outcome is Outcome.DONE
    slices = [event.slice for event in events_of(store, claim) if event.slice]
    assert [each.image for each in slices] == [0, 1, 2]
    for sent, kept in zip(entries, slices, strict=True):
        np.testing.assert_array_equal(sent.values, kept.values)
    assert record_of(store, claim).done == (1, 1, 1)


def test_a_gap_in_one_image_refuses_the_whole_append(store: redis.Redis, transitions: Transitions) -> None:
    """A refused transition changes nothing."""
    claim = a_running_job(transitions, num_images=2)
    before = store.hgetall(claim.keys.record)
    assert transitions(claim.append(an_entry(0), an_entry(1, image=1))).outcome is Outcome.GAP
    assert store.hgetall(claim.keys.record) == before


@pytest.mark.parametrize("name", WRITES)
def test_a_transition_reads_and_writes_the_record_at_once(
    name: str, store: redis.Redis, transitions: Transitions
) -> None:
    """HGET after HGET was most of Redis' work for a job."""
    claim = a_running_job(transitions, num_images=2)
    store.config_resetstat()
    transitions(WRITES[name](claim))
    commands = store.info("commandstats")
    calls = {
        command: commands.get(f"cmdstat_{command}", {"calls": 0})["calls"] for command in ("hget", "hmget", "hset")
    }
    assert (calls["hmget"], calls["hset"]) == (1, 1)
    assert calls["hget"] <= {"renew": 0, "append": 0}.get(name, 9)


@pytest.mark.parametrize("retention_seconds", [60, 10 * 86_400])
def test_an_idempotency_key_never_outlives_its_job(
    retention_seconds: int, store: redis.Redis, transitions: Transitions
) -> None:
    """It lives for a day after the submit, but goes with the job."""
    request = a_request(retention_seconds=retention_seconds)
    transitions(create(request, bound=1, idempotency=Idempotency(key="k", fingerprint="f")))
    (key,) = store.keys("*idempotency*")
    assert 86_000_000 < store.pttl(key) <= 86_400_000
    claim = a_claim(request)
    transitions(acquire(claim))
    transitions(claim.finish())
    assert record_of(store, claim).status is Status.SUCCEEDED
    kept_ms = store.pttl(claim.keys.record)
    assert 0 < store.pttl(key) <= min(kept_ms, 86_400_000)
