"""The sender over a real Redis, to a real receiver."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import redis
import trustme
from redis.asyncio import Redis as AsyncRedis
from standardwebhooks import Webhook as Verifier

from service.app import stop
from service.contract.redis_keys import OUTBOX, Keys
from service.contract.request import JobRequest, Webhook
from service.contract.statuses import WebhookEvent
from service.contract.transitions import Claim, Transitions, cancel, create
from service.destinations import Destinations, Resolve
from service.local.processes import free_port
from service.settings import ServiceSettings
from service.webhooks.outbox import Outbox
from service.webhooks.sender import AT_ONCE, ATTEMPT_SECONDS, CONNECT_SECONDS, PER_HOST, RetrySchedule, Sender
from service.webhooks.signature import signing_key
from tests.harness.drawing import GEOMETRY, POISONED, a_request, acquire, an_entry
from tests.harness.launcher import ApiServer, eager
from tests.harness.receiver import HANG, Receiver, eventually, receiving
from tests.harness.serving import serving

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
QUICK = RetrySchedule(poll_seconds=0.02, first_seconds=0.05, longest_seconds=0.1, total_seconds=30)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that listens."""
    with receiving() as listening:
        yield listening


@dataclass(frozen=True, kw_only=True)
class Office:
    """Where senders work: their outbox, and whom they may send to."""

    redis_url: str
    allowed: Sequence[str]
    resolve: Resolve | None = None
    hidden_seconds: float = 30
    schedule: RetrySchedule = QUICK
    tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[asyncio.Task[None]]:
        """One sender, at work until the end or until it is cancelled."""
        async with AsyncRedis.from_url(self.redis_url) as client:
            outbox = Outbox(client, hidden_seconds=self.hidden_seconds)
            destinations = Destinations(self.allowed, self.resolve)
            sender = Sender(outbox, destinations, key=signing_key(SECRET), schedule=self.schedule, tls=self.tls)
            task = asyncio.create_task(sender.run())
            try:
                yield task
            finally:
                await stop([task])

    def send(self, done: Callable[[], bool]) -> None:
        """Send until `done`."""

        async def send() -> None:
            async with self.sending():
                await eventually(done)

        asyncio.run(send())


@pytest.fixture
def office(redis_url: str, receiver: Receiver) -> Office:
    """Allowed to send to the receiver."""
    return Office(redis_url=redis_url, allowed=[receiver.address])


def hooked(url: str, *events: WebhookEvent) -> JobRequest:
    """A job that tells of `events`, or of all."""
    webhook = Webhook(url=url, events=events or tuple(WebhookEvent))
    return replace(a_request(), webhook=webhook, metadata={"order": 7, "none": None})


def a_canceled_job(store: redis.Redis, url: str) -> JobRequest:
    """A job with one delivery in the outbox."""
    transitions, request = Transitions(store), hooked(url, WebhookEvent.CANCELED)
    transitions(create(request, bound=10_000))
    transitions(cancel(request.keys))
    return request


def empty(store: redis.Redis) -> Callable[[], bool]:
    """Whether nothing of any delivery is left."""
    return lambda: not store.keys(f"{OUTBOX}*")


def test_a_whole_job_is_told_and_signed(store: redis.Redis, office: Office, receiver: Receiver) -> None:
    """Each event once, accepted by the specification's library, with all that a receiver needs."""
    transitions, request = Transitions(store), hooked(receiver.url)
    transitions(create(request, bound=9))
    claim = Claim(keys=request.keys, token="t")
    for call in (acquire(claim), claim.append(an_entry(0)), claim.finish()):
        transitions(call)
    store.delete(request.keys.record, request.keys.stream)
    office.send(empty(store))
    told = {each.json["type"]: Verifier(SECRET).verify(each.body, each.headers) for each in receiver.received}
    assert len(receiver.received) == len(set(receiver.ids)) == 3
    assert set(told) == {"job.started", "job.slice", "job.succeeded"}
    assert told["job.started"]["data"]["status"] == told["job.slice"]["data"]["status"] == "running"
    here = f"/jobs/{request.id}"
    assert told["job.slice"]["data"] == {
        "id": request.id,
        "event": "slice",
        "status": "running",
        "metadata": {"order": 7, "none": None},
        "urls": {"self": here, "events": f"{here}/events", "cancel": here},
        "index": 0,
        "stage": "base",
        "slices_done": 1,
        "slices_total": len(GEOMETRY.steps),
        "url": f"{here}/images/0?slices=1",
    }
    assert told["job.succeeded"]["timestamp"].endswith("Z")
    assert receiver.received[0].headers["content-type"] == "application/json"


def test_a_failed_job_says_why(store: redis.Redis, office: Office, receiver: Receiver) -> None:
    """With the problem that its body has."""
    transitions, request = Transitions(store), hooked(receiver.url, WebhookEvent.FAILED)
    transitions(create(request, bound=9))
    claim = Claim(keys=request.keys, token="t")
    transitions(acquire(claim))
    transitions(claim.fail(POISONED))
    office.send(empty(store))
    (told,) = receiver.received
    assert (told.json["type"], told.json["data"]["error"]["detail"]) == ("job.failed", POISONED.detail)


def test_a_receiver_that_was_down_is_told_once_it_is_up(store: redis.Redis, redis_url: str) -> None:
    """Nobody listens for a while; then the event comes, once."""
    receiver = Receiver(port=free_port())
    request = a_canceled_job(store, receiver.url)

    async def scene() -> None:
        async with Office(redis_url=redis_url, allowed=[receiver.address]).sending():
            await eventually(lambda: attempts(store) >= 2)
            with receiving(receiver):
                await eventually(empty(store))

    asyncio.run(scene())
    assert [each.json["data"]["id"] for each in receiver.received] == [request.id]


def attempts(store: redis.Redis) -> int:
    """Of the only delivery."""
    (delivery,) = store.keys(f"{OUTBOX}:*")
    return int(store.hget(delivery, "attempts") or 0)


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
def test_any_answer_but_2xx_is_tried_again(status: int, store: redis.Redis, office: Office, receiver: Receiver) -> None:
    """The same id and the same body, each with a signature of its own time."""
    receiver.answers = [status, status]
    a_canceled_job(store, receiver.url)
    office.send(empty(store))
    assert len(receiver.received) == 3
    assert len(set(receiver.ids)) == len({each.body for each in receiver.received}) == 1
    for each in receiver.received:
        Verifier(SECRET).verify(each.body, each.headers)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(status: int, store: redis.Redis, office: Office, receiver: Receiver) -> None:
    """Once is enough."""
    receiver.answers = [status]
    a_canceled_job(store, receiver.url)
    office.send(empty(store))
    assert len(receiver.received) == 1


def test_410_ends_a_delivery_at_once(store: redis.Redis, office: Office, receiver: Receiver) -> None:
    """The receiver wants no more."""
    receiver.answers = [410]
    a_canceled_job(store, receiver.url)
    office.send(empty(store))
    assert len(receiver.received) == 1


def test_a_delivery_is_given_up_in_the_end(
    store: redis.Redis, office: Office, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """After the last attempt that is in time; a line in the log says so, and nothing is left in Redis."""
    receiver.answers = [500] * 1000
    request = a_canceled_job(store, receiver.url)
    given_up = replace(office, schedule=replace(QUICK, total_seconds=1))
    given_up.send(lambda: "is dropped after attempt" in caplog.text)
    assert empty(store)()
    assert 2 <= len(receiver.received) <= 1 + 1 / (QUICK.first_seconds / 2)
    assert f"msg_{request.id}" in caplog.text


def test_a_redirect_is_not_followed(store: redis.Redis, office: Office, receiver: Receiver) -> None:
    """Not to a private address, nor to anywhere."""
    receiver.answers, receiver.location = [307, 308, 301], f"http://{receiver.address}/private"
    a_canceled_job(store, receiver.url)
    office.send(empty(store))
    assert {each.path for each in receiver.received} == {"/hook"}


@pytest.mark.parametrize("answer", ["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1"])
def test_a_name_that_leads_to_a_private_address_gets_nothing(
    answer: str, store: redis.Redis, redis_url: str, receiver: Receiver
) -> None:
    """However public it looked when the job was made; no second attempt either."""
    asked: list[str] = []

    async def rebound(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return [answer]

    a_canceled_job(store, f"https://hooks.example:{receiver.port}/hook")
    Office(redis_url=redis_url, allowed=[], resolve=rebound).send(empty(store))
    assert (asked, receiver.received) == (["hooks.example"], [])


def test_an_address_that_is_allowed_no_more_gets_nothing(
    store: redis.Redis, redis_url: str, receiver: Receiver
) -> None:
    """What was accepted under other settings is judged by those of now."""
    a_canceled_job(store, receiver.url)
    Office(redis_url=redis_url, allowed=["127.0.0.1:1"]).send(empty(store))
    assert receiver.received == []


@pytest.mark.parametrize(("certified", "arrives"), [("hooks.test", True), ("other.test", False)])
def test_tls_stays_on_the_name(
    certified: str, arrives: bool, store: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    """The connection goes to the address looked up, once; Host and certificate are the name's."""
    authority, asked = trustme.CA(), list[str]()
    certificate = authority.issue_cert(certified)
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    tls = ssl.create_default_context()
    authority.configure_trust(tls)

    async def pinned(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    receiver = Receiver(port=free_port(), scheme="https", host="hooks.test")
    a_canceled_job(store, receiver.url)
    office = Office(redis_url=redis_url, allowed=["hooks.test"], resolve=pinned, tls=tls)
    with receiving(receiver, ssl_certfile=tmp_path / "pem", ssl_keyfile=tmp_path / "pem"):
        replace(office, schedule=replace(QUICK, total_seconds=0)).send(empty(store))
    assert [each.headers["host"] for each in receiver.received] == ([receiver.address] if arrives else [])
    assert asked == ["hooks.test"]


def test_two_senders_deliver_each_event_once(store: redis.Redis, office: Office, receiver: Receiver) -> None:
    """They share one outbox, and both work."""
    requests = [a_canceled_job(store, receiver.url) for _ in range(60)]

    async def scene() -> None:
        async with office.sending(), office.sending():
            await eventually(empty(store))

    asyncio.run(scene())
    assert sorted(each.json["data"]["id"] for each in receiver.received) == sorted(each.id for each in requests)


def test_a_delivery_whose_sender_vanished_is_made_again(store: redis.Redis, office: Office, receiver: Receiver) -> None:
    """The receiver knows it by its id."""
    receiver.answers = [HANG]
    a_canceled_job(store, receiver.url)

    async def scene() -> None:
        async with replace(office, hidden_seconds=0.3).sending() as first:
            await eventually(lambda: len(receiver.received) == 1)
            first.cancel()
            async with office.sending():
                await eventually(empty(store))

    asyncio.run(scene())
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1


def test_a_killed_api_process_loses_no_delivery(
    store: redis.Redis, office: Office, receiver: Receiver, redis_url: str, models: Path
) -> None:
    """By kill -9 between claim and answer: hidden for its time, then made again by another process with the same id."""
    receiver.answers = [HANG]
    a_canceled_job(store, receiver.url)
    settings = {"WEBHOOK_SECRET": SECRET, "WEBHOOK_HOSTS": f"other.test, {receiver.address}"}
    with ApiServer(eager(redis_url, models, "toy", **settings)):
        asyncio.run(eventually(lambda: len(receiver.received) == 1, seconds=60))
    delivery = receiver.ids[0]
    assert 5 < (store.zscore(OUTBOX, delivery) or 0) / 1000 - time.time() < 35
    store.zadd(OUTBOX, {delivery: 0})
    office.send(empty(store))
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1


def test_a_slow_receiver_holds_up_nobody_else(store: redis.Redis, office: Office, receiver: Receiver) -> None:
    """Deliveries are on their way at the same time."""
    receiver.answers = [HANG] * 3
    for _ in range(3):
        a_canceled_job(store, receiver.url)
    office.send(lambda: len(receiver.received) == 3)
    with receiving() as other:
        a_canceled_job(store, other.url)
        replace(office, allowed=[other.address]).send(lambda: len(other.received) == 1)


def test_a_host_that_answers_nothing_leaves_room_for_others(
    store: redis.Redis, redis_url: str, receiver: Receiver
) -> None:
    """However much waits for it: it gets PER_HOST deliveries at a time, and those of others pass."""
    receiver.answers = [HANG] * 1000
    for _ in range(2 * AT_ONCE):
        a_canceled_job(store, receiver.url)
    with receiving(Receiver(port=free_port(), host="localhost")) as other:
        for _ in range(3):
            a_canceled_job(store, other.url)
        Office(redis_url=redis_url, allowed=[receiver.address, other.address]).send(lambda: len(other.received) == 3)
    assert len(receiver.received) == PER_HOST


def test_what_found_no_room_goes_soon(store: redis.Redis, office: Office, receiver: Receiver) -> None:
    """A burst at one host arrives, each event once."""
    requests = [a_canceled_job(store, receiver.url) for _ in range(4 * PER_HOST)]
    office.send(empty(store))
    assert sorted(each.json["data"]["id"] for each in receiver.received) == sorted(each.id for each in requests)


def test_a_handshake_that_hangs_is_hung_up_on(store: redis.Redis, redis_url: str) -> None:
    """The connection is closed, not left over."""
    closed = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        closed.set()

    async def scene() -> None:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        a_canceled_job(store, f"https://{address}/hook")
        async with server, Office(redis_url=redis_url, allowed=[address]).sending():
            async with asyncio.timeout((CONNECT_SECONDS + ATTEMPT_SECONDS) / 2):
                await closed.wait()

    asyncio.run(scene())


def test_a_webhook_goes_from_request_to_receiver(
    store: redis.Redis, receiver: Receiver, redis_url: str, models: Path
) -> None:
    """Over HTTP, through the app's own sender; the job's body shows neither URL nor secret."""
    settings = ServiceSettings.model_validate(
        {
            "redis_url": redis_url,
            "models": models,
            "model": "toy",
            "webhook_secret": SECRET,
            "webhook_hosts": receiver.address,
        }
    )
    asked = {"webhook": {"url": receiver.url, "events": ["canceled", "started", "canceled"]}}
    with serving(settings) as url:
        accepted = httpx.post(f"{url}/generate", json=asked)
        job = accepted.json()["id"]
        Transitions(store)(acquire(Claim(keys=Keys(id=job, model="toy"), token="t")))
        Transitions(store)(Claim(keys=Keys(id=job, model="toy"), token="t").cancel())
        asyncio.run(eventually(empty(store)))
        refused = httpx.post(f"{url}/generate", json={"webhook": {"url": "https://10.0.0.1/", "events": ["failed"]}})
    assert sorted(receiver.events) == ["canceled", "started"]
    assert "webhook" not in accepted.json()
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"field": "webhook.url", "message": "10.0.0.1 is no public address"}]


def test_the_pauses_grow_to_an_hour_in_all() -> None:
    """Doubling, spread by chance, never over the longest; some fifteen attempts."""
    schedule = RetrySchedule()
    for attempt in (*range(1, 50), 2000):
        most = min(600, 4 * 2.0 ** min(attempt - 1, 50))
        assert most / 2 <= schedule.pause(attempt) <= most
    slowest = [min(600, 4 * 2.0**k) for k in range(12)]
    assert sum(slowest) < schedule.total_seconds < sum(slowest) + 1200
