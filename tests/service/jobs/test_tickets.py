"""Tickets: RQ's own commands, in the step that makes the job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from service.contract.record import JobRecord
from service.contract.redis_keys import TASK, queue_name
from service.contract.statuses import Status
from service.contract.transitions import Outcome, Transitions, create
from service.jobs.tickets import Tickets
from tests.harness.drawing import a_request


@pytest.fixture
def tickets(redis_url: str) -> Iterator[Tickets]:
    """Tickets with a client of their own."""
    made = Tickets(redis.Redis.from_url(redis_url))
    yield made
    made.close()


def queue(store: redis.Redis, model: str) -> Queue:
    """The queue of a model."""
    return Queue(queue_name(model), connection=store, serializer=JSONSerializer)


def test_a_job_and_its_ticket_are_one_step(store: redis.Redis, tickets: Tickets) -> None:
    """The reply has the record. Sent again, as after a broken connection, it has the same and there is one ticket."""
    request, transitions = a_request(), Transitions(store)
    call = create(request, bound=9, ticket=tickets.commands(request.model, job=request.id))
    first, second = transitions(call), transitions(call)
    assert first == second
    record = JobRecord.of(first.fields)
    assert (record.status, record.request) == (Status.QUEUED, request)
    assert record == JobRecord.decode(store.hgetall(request.keys.record))
    (ticket,) = queue(store, request.model).jobs
    assert (ticket.id, ticket.func_name, ticket.kwargs) == (request.id, TASK, {"job": request.id})


def test_a_job_that_is_refused_has_no_ticket(store: redis.Redis, tickets: Tickets) -> None:
    """However often it is sent."""
    first, second = a_request(), a_request()
    transitions = Transitions(store)
    assert transitions(create(first, bound=1)).outcome is Outcome.DONE
    refused = create(second, bound=1, ticket=tickets.commands(second.model, job=second.id))
    assert transitions(refused).outcome is Outcome.FULL
    assert queue(store, second.model).count == 0


def test_a_job_whose_ticket_fails_is_accepted(store: redis.Redis, tickets: Tickets) -> None:
    """As where another program has RQ's key; the reaper puts a ticket later."""
    request = a_request()
    store.set(queue(store, request.model).key, "of another program")
    reply = Transitions(store)(create(request, bound=9, ticket=tickets.commands(request.model, job=request.id)))
    assert reply.outcome is Outcome.DONE
    assert JobRecord.of(reply.fields).status is Status.QUEUED


def test_the_commands_of_a_ticket_ask_redis_nothing() -> None:
    """They are made in the event loop, where a Redis that hangs would stop all requests."""
    nobody = redis.Redis(port=1, socket_connect_timeout=1)
    assert [name for name, *_ in Tickets(nobody).commands("toy", job="j")][-1] == "RPUSH"
