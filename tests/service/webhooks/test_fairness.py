"""Fairness: one receiver never makes another wait.

No test measures time. Attempts and look-ups that hang go on until the test ends, so whatever arrives did not wait for them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from threading import Event, active_count

import pytest
import redis

from service.local.processes import free_port
from service.webhooks.slots import PER_OWNER, PER_RECEIVER
from tests.harness.receiver import HANG, RecordingReceiver, eventually, receiving
from tests.harness.sending import QUICK, SenderSetup, canceled_job, empty


@pytest.fixture
def receiver() -> Iterator[RecordingReceiver]:
    """Return a receiver that listens."""
    with receiving() as listening:
        yield listening


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A store, and a receiver that waits for what is in it."""

    store: redis.Redis
    redis_url: str
    receiver: RecordingReceiver


@pytest.fixture
def waiting(store: redis.Redis, redis_url: str, receiver: RecordingReceiver) -> Waiting:
    """Return the session's Redis with a receiver."""
    return Waiting(store=store, redis_url=redis_url, receiver=receiver)


@pytest.fixture(autouse=True)
def _attempts_that_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give attempts and look-ups more time than any test has."""
    monkeypatch.setattr("service.webhooks.attempt.ATTEMPT_SECONDS", 600)
    monkeypatch.setattr("service.webhooks.attempt.LOOKUP_SECONDS", 600)


class Names:
    """The system's resolver as a test wants it: all names are this machine, and names under `silent` wait."""

    def __init__(self) -> None:
        self.looked_up: list[str] = []
        self.reply = Event()

    def __call__(self, host: str, _: int) -> list[str]:
        """Return the addresses of a host."""
        self.looked_up.append(host)
        if host.endswith(".silent"):
            self.reply.wait()
        return ["127.0.0.1"]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """Return the resolver. In the end silent names reply, so that their threads end."""
    resolver = Names()
    monkeypatch.setattr("service.destinations.resolved", resolver)
    yield resolver
    resolver.reply.set()


class HangingHosts:
    """A port that accepts every connection and answers none."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen until the end of the block."""

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            try:
                while await reader.read(1 << 16):
                    pass
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield


@pytest.mark.parametrize("owners", [("busy", "other"), ("", "")])
def test_hanging_hosts_and_silent_names_delay_nobody(
    owners: tuple[str, str], store: redis.Redis, redis_url: str, receiver: RecordingReceiver, names: Names
) -> None:
    """Neither another owner, nor another receiver on a server without API keys."""
    (busy, other), hosts = owners, HangingHosts()

    async def run() -> None:
        async with hosts.listening():
            setup = SenderSetup(redis_url=redis_url, allowed=["*.hanging", "*.silent", receiver.address])
            async with setup.sending():
                for number in range(200):
                    canceled_job(store, f"http://h{number % 10}.hanging:{hosts.port}/hook", owner=busy)
                await eventually(lambda: hosts.connections == 10)
                for number in range(120):
                    canceled_job(store, f"http://n{number % 60}.silent/hook", owner=busy)
                await eventually(lambda: len(names.looked_up) >= 30)
                for _ in range(5):
                    canceled_job(store, receiver.url, owner=other)
                await eventually(lambda: len(receiver.received) == 5)

    asyncio.run(run())
    assert hosts.connections == 10
    assert len([each for each in names.looked_up if each.endswith(".silent")]) <= 60


def test_a_host_that_answers_nothing_leaves_room_for_others(
    store: redis.Redis, redis_url: str, receiver: RecordingReceiver
) -> None:
    """However many deliveries wait for it: it has one attempt at a time, and those to others pass."""
    receiver.answers = [HANG] * 1000
    for _ in range(256):
        canceled_job(store, receiver.url)
    with receiving(RecordingReceiver(port=free_port(), host="localhost")) as other:
        for _ in range(3):
            canceled_job(store, other.url)
        setup = SenderSetup(redis_url=redis_url, allowed=[receiver.address, other.address])
        setup.send(lambda: len(other.received) == 3)
    assert len(receiver.received) == 1


def test_a_receiver_that_hangs_after_a_burst_keeps_its_window(
    store: redis.Redis, redis_url: str, receiver: RecordingReceiver
) -> None:
    """It accepted many, so it has at most PER_RECEIVER attempts when it stops to answer."""
    receiver.answers = [204] * 100 + [HANG] * 1000
    for _ in range(200):
        canceled_job(store, receiver.url)
    with receiving(RecordingReceiver(port=free_port(), host="localhost")) as other:
        setup = SenderSetup(redis_url=redis_url, allowed=[receiver.address, other.address])

        async def run() -> None:
            async with setup.sending():
                await eventually(lambda: len(receiver.received) > 100)
                canceled_job(store, other.url)
                await eventually(lambda: len(other.received) == 1)

        asyncio.run(run())
    assert len(receiver.received) <= 100 + PER_RECEIVER


def test_many_host_names_are_one_owner(store: redis.Redis, redis_url: str, names: Names) -> None:
    """An owner has its attempts, whatever the number of its receivers."""
    hosts = HangingHosts()

    async def run() -> None:
        async with hosts.listening(), SenderSetup(redis_url=redis_url, allowed=["*.hanging"]).sending():
            for number in range(2 * PER_OWNER):
                canceled_job(store, f"http://h{number}.hanging:{hosts.port}/hook", owner="studio")
            await eventually(lambda: hosts.connections == PER_OWNER)
            await asyncio.sleep(0.3)

    asyncio.run(run())
    assert hosts.connections == PER_OWNER == len(names.looked_up)


def test_a_look_up_that_outlives_its_attempt_is_not_repeated(
    waiting: Waiting, names: Names, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The attempt fails in time, but its thread is busy until the name server replies, and so is its slot."""
    store, redis_url, receiver = waiting.store, waiting.redis_url, waiting.receiver
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("service.webhooks.attempt.LOOKUP_SECONDS", 0.05)
    threads = active_count()
    setup = SenderSetup(redis_url=redis_url, allowed=["*.silent"])

    async def run() -> None:
        async with setup.sending():
            for _ in range(20):
                canceled_job(store, f"http://name.silent:{receiver.port}/hook")
            await eventually(lambda: names.looked_up == ["name.silent"])
            await eventually(lambda: "no reply from the name server" in caplog.text)
            await asyncio.sleep(0.5)
            assert len(names.looked_up) == 1
            assert active_count() <= threads + 1
            names.reply.set()
            await eventually(empty(store))

    asyncio.run(run())
    assert len(receiver.received) == 20


def test_a_burst_at_one_receiver_arrives(store: redis.Redis, redis_url: str, receiver: RecordingReceiver) -> None:
    """Each event once, and each as soon as the attempt before has ended: the next poll is later than the test."""
    requests = [canceled_job(store, receiver.url) for _ in range(4 * PER_RECEIVER)]
    setup = SenderSetup(redis_url=redis_url, allowed=[receiver.address], schedule=replace(QUICK, poll_seconds=600))
    setup.send(empty(store))
    assert sorted(each.json["data"]["id"] for each in receiver.received) == sorted(each.id for each in requests)
