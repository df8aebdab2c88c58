"""The sender over a real Redis, to a real receiver."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import trustme
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from service.contract.redis_keys import OUTBOX, Keys
from service.contract.statuses import WebhookEvent
from service.contract.transitions import Claim, Transitions, create
from service.local.processes import free_port
from service.settings import ServiceSettings
from service.webhooks.http_post import ReceiverResponse, post
from tests.harness.drawing import GEOMETRY, POISONED, acquire, an_entry
from tests.harness.launcher import ApiServer, eager
from tests.harness.receiver import HANG, RecordingReceiver, eventually, receiving
from tests.harness.sending import QUICK, SECRET, SECRETS, SenderSetup, attempts, canceled_job, empty, hooked
from tests.harness.serving import serving

VERIFIER = Verifier(SECRETS.shown("")[0])


@pytest.fixture
def receiver() -> Iterator[RecordingReceiver]:
    """Return a receiver that listens."""
    with receiving() as listening:
        yield listening


@pytest.fixture
def setup(redis_url: str, receiver: RecordingReceiver) -> SenderSetup:
    """Return a setup that allows the receiver."""
    return SenderSetup(redis_url=redis_url, allowed=[receiver.address])


def test_all_events_of_a_job_arrive_signed(store: redis.Redis, setup: SenderSetup, receiver: RecordingReceiver) -> None:
    """Each event once, accepted by the specification's library, with all that a receiver needs."""
    transitions, request = Transitions(store), hooked(receiver.url)
    transitions(create(request, bound=9))
    claim = Claim(keys=request.keys, token="t")
    for call in (acquire(claim), claim.append(an_entry(0)), claim.finish()):
        transitions(call)
    store.delete(request.keys.record, request.keys.stream)
    setup.send(empty(store))
    sent = {each.json["type"]: VERIFIER.verify(each.body, each.headers) for each in receiver.received}
    assert len(receiver.received) == len(set(receiver.ids)) == 3
    assert set(sent) == {"job.started", "job.slice", "job.succeeded"}
    assert sent["job.started"]["data"]["status"] == sent["job.slice"]["data"]["status"] == "running"
    here = f"/jobs/{request.id}"
    assert sent["job.slice"]["data"] == {
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
    assert sent["job.succeeded"]["timestamp"].endswith("Z")
    assert receiver.received[0].headers["content-type"] == "application/json"


def test_each_owner_has_its_own_secret(store: redis.Redis, setup: SenderSetup, receiver: RecordingReceiver) -> None:
    """It verifies the webhooks of its owner, and no others."""
    jobs = {canceled_job(store, receiver.url, owner=owner).id: owner for owner in ("studio", "other")}
    setup.send(empty(store))
    assert len(receiver.received) == 2
    for each in receiver.received:
        for owner in jobs.values():
            verifier = Verifier(SECRETS.shown(owner)[0])
            if jobs[each.json["data"]["id"]] == owner:
                verifier.verify(each.body, each.headers)
            else:
                with pytest.raises(WebhookVerificationError):
                    verifier.verify(each.body, each.headers)


def test_a_failed_event_has_the_problem(store: redis.Redis, setup: SenderSetup, receiver: RecordingReceiver) -> None:
    """With the problem that its body has."""
    transitions, request = Transitions(store), hooked(receiver.url, WebhookEvent.FAILED)
    transitions(create(request, bound=9))
    claim = Claim(keys=request.keys, token="t")
    transitions(acquire(claim))
    transitions(claim.fail(POISONED))
    setup.send(empty(store))
    (sent,) = receiver.received
    assert (sent.json["type"], sent.json["data"]["error"]["detail"]) == ("job.failed", POISONED.detail)


def test_an_event_arrives_when_its_receiver_is_up_again(store: redis.Redis, redis_url: str) -> None:
    """Once, after failed attempts."""
    receiver = RecordingReceiver(port=free_port())
    request = canceled_job(store, receiver.url)

    async def run() -> None:
        async with SenderSetup(redis_url=redis_url, allowed=[receiver.address]).sending():
            await eventually(lambda: attempts(store) >= 2)
            with receiving(receiver):
                await eventually(empty(store))

    asyncio.run(run())
    assert [each.json["data"]["id"] for each in receiver.received] == [request.id]


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
def test_any_status_but_2xx_is_retried(
    status: int, store: redis.Redis, setup: SenderSetup, receiver: RecordingReceiver
) -> None:
    """The same id and the same body, each with a signature of its own time."""
    receiver.answers = [status, status]
    canceled_job(store, receiver.url)
    setup.send(empty(store))
    assert len(receiver.received) == 3
    assert len(set(receiver.ids)) == len({each.body for each in receiver.received}) == 1
    for each in receiver.received:
        VERIFIER.verify(each.body, each.headers)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(status: int, store: redis.Redis, setup: SenderSetup, receiver: RecordingReceiver) -> None:
    """Once is enough."""
    receiver.answers = [status]
    canceled_job(store, receiver.url)
    setup.send(empty(store))
    assert len(receiver.received) == 1


def test_410_ends_a_delivery_at_once(store: redis.Redis, setup: SenderSetup, receiver: RecordingReceiver) -> None:
    """The receiver wants no more."""
    receiver.answers = [410]
    canceled_job(store, receiver.url)
    setup.send(empty(store))
    assert len(receiver.received) == 1


def test_a_delivery_is_dropped_in_the_end(
    store: redis.Redis, setup: SenderSetup, receiver: RecordingReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """After the last attempt that is in time; a line in the log says so, and nothing is left in Redis."""
    receiver.answers = [500] * 1000
    request = canceled_job(store, receiver.url)
    impatient = replace(setup, schedule=replace(QUICK, total_seconds=1))
    impatient.send(lambda: "is dropped after attempt" in caplog.text)
    assert empty(store)()
    assert 2 <= len(receiver.received) <= 1 + 1 / (QUICK.first_seconds / 2)
    assert f"msg_{request.id}" in caplog.text


def test_a_redirect_is_not_followed(store: redis.Redis, setup: SenderSetup, receiver: RecordingReceiver) -> None:
    """Not to a private address, nor to anywhere."""
    receiver.answers, receiver.location = [307, 308, 301], f"http://{receiver.address}/private"
    canceled_job(store, receiver.url)
    setup.send(empty(store))
    assert {each.path for each in receiver.received} == {"/hook"}


@pytest.mark.parametrize("answer", ["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1"])
def test_a_name_with_a_private_address_gets_nothing(
    answer: str, store: redis.Redis, redis_url: str, receiver: RecordingReceiver
) -> None:
    """However public it looked when the job was made; no second attempt either."""
    looked_up: list[str] = []

    async def rebound(host: str, _: int) -> Sequence[str]:
        looked_up.append(host)
        return [answer]

    canceled_job(store, f"https://hooks.example:{receiver.port}/hook")
    SenderSetup(redis_url=redis_url, allowed=[], resolve=rebound).send(empty(store))
    assert (looked_up, receiver.received) == (["hooks.example"], [])


def test_an_address_that_is_no_longer_allowed_gets_nothing(
    store: redis.Redis, redis_url: str, receiver: RecordingReceiver
) -> None:
    """What was accepted under other settings is judged by those of now."""
    canceled_job(store, receiver.url)
    SenderSetup(redis_url=redis_url, allowed=["127.0.0.1:1"]).send(empty(store))
    assert receiver.received == []


@pytest.mark.parametrize(("certified", "arrives"), [("hooks.test", True), ("other.test", False)])
def test_tls_stays_on_the_name(
    certified: str, arrives: bool, store: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    """The connection goes to the address looked up, once; Host and certificate are the name's."""
    authority, looked_up = trustme.CA(), list[str]()
    certificate = authority.issue_cert(certified)
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    tls = ssl.create_default_context()
    authority.configure_trust(tls)

    async def pinned(host: str, _: int) -> Sequence[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    receiver = RecordingReceiver(port=free_port(), scheme="https", host="hooks.test")
    canceled_job(store, receiver.url)
    setup = SenderSetup(redis_url=redis_url, allowed=["hooks.test"], resolve=pinned, tls=tls)
    with receiving(receiver, ssl_certfile=tmp_path / "pem", ssl_keyfile=tmp_path / "pem"):
        replace(setup, schedule=replace(QUICK, total_seconds=0)).send(empty(store))
    assert [each.headers["host"] for each in receiver.received] == ([receiver.address] if arrives else [])
    assert looked_up == ["hooks.test"]


def test_two_senders_deliver_each_event_once(
    store: redis.Redis, setup: SenderSetup, receiver: RecordingReceiver
) -> None:
    """They share one outbox, and both work."""
    requests = [canceled_job(store, receiver.url) for _ in range(60)]

    async def run() -> None:
        async with setup.sending(), setup.sending():
            await eventually(empty(store))

    asyncio.run(run())
    assert sorted(each.json["data"]["id"] for each in receiver.received) == sorted(each.id for each in requests)


def test_a_delivery_whose_sender_vanished_is_made_again(
    store: redis.Redis, setup: SenderSetup, receiver: RecordingReceiver
) -> None:
    """The receiver knows it by its id."""
    receiver.answers = [HANG]
    canceled_job(store, receiver.url)

    async def run() -> None:
        async with replace(setup, hidden_seconds=0.3).sending() as first:
            await eventually(lambda: len(receiver.received) == 1)
            first.cancel()
            async with setup.sending():
                await eventually(empty(store))

    asyncio.run(run())
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1


def test_a_killed_api_process_loses_no_delivery(
    store: redis.Redis, setup: SenderSetup, receiver: RecordingReceiver, redis_url: str, models: Path
) -> None:
    """By kill -9 between claim and answer: hidden for its time, then made again by another process with the same id."""
    receiver.answers = [HANG]
    canceled_job(store, receiver.url)
    settings = {"WEBHOOK_SECRET": SECRET, "WEBHOOK_HOSTS": f"other.test, {receiver.address}"}
    with ApiServer(eager(redis_url, models, "toy", **settings)):
        asyncio.run(eventually(lambda: len(receiver.received) == 1, seconds=60))
    delivery = receiver.ids[0]
    levels = {"owners": "", "owner:": receiver.address, f"receiver:/{receiver.address}": delivery}
    for level, member in levels.items():
        assert 5 < (store.zscore(f"{OUTBOX}:{level}", member) or 0) / 1000 - time.time() < 35
        store.zadd(f"{OUTBOX}:{level}", {member: 0})
    setup.send(empty(store))
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1


def test_a_handshake_that_hangs_is_closed(store: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its own time, long before that of the attempt."""
    monkeypatch.setattr("service.webhooks.attempt.ATTEMPT_SECONDS", 600)
    closed = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        closed.set()

    async def run() -> None:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        canceled_job(store, f"https://{address}/hook")
        async with server, SenderSetup(redis_url=redis_url, allowed=[address]).sending():
            async with asyncio.timeout(60):
                await closed.wait()

    asyncio.run(run())


def test_a_webhook_goes_from_request_to_receiver(
    store: redis.Redis, receiver: RecordingReceiver, redis_url: str, models: Path
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
    submitted = {"webhook": {"url": receiver.url, "events": ["canceled", "started", "canceled"]}}
    with serving(settings) as url:
        accepted = httpx.post(f"{url}/generate", json=submitted)
        job = accepted.json()["id"]
        Transitions(store)(acquire(Claim(keys=Keys(id=job, model="toy"), token="t")))
        Transitions(store)(Claim(keys=Keys(id=job, model="toy"), token="t").cancel())
        asyncio.run(eventually(empty(store)))
        refused = httpx.post(f"{url}/generate", json={"webhook": {"url": "https://10.0.0.1/", "events": ["failed"]}})
        for impossible in ("https://example.com:99999/", "https://xn--a.example/", "https://a..b/"):
            body = {"webhook": {"url": impossible, "events": ["failed"]}}
            assert httpx.post(f"{url}/generate", json=body).status_code == 422
    assert sorted(receiver.events) == ["canceled", "started"]
    assert "webhook" not in accepted.json()
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"field": "webhook.url", "message": "10.0.0.1 is not a public address"}]


def test_retry_after_is_honoured(store: redis.Redis, setup: SenderSetup, receiver: RecordingReceiver) -> None:
    """By the delivery and by all others to the receiver, up to the longest pause."""
    receiver.answers, receiver.retry_after = [429], "3600"
    first = canceled_job(store, receiver.url)
    patient = replace(setup, schedule=replace(QUICK, longest_seconds=1))

    async def run() -> None:
        async with patient.sending():
            await eventually(lambda: len(receiver.received) == 1)
            canceled_job(store, receiver.url)
            await eventually(empty(store))

    asyncio.run(run())
    assert len(receiver.received) == 3
    assert receiver.received[0].json["data"]["id"] == first.id
    assert receiver.received[1].at - receiver.received[0].at > 0.9


def test_any_exception_of_an_attempt_is_a_failed_attempt(
    store: redis.Redis,
    setup: SenderSetup,
    receiver: RecordingReceiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is retried like others, without a traceback."""
    failures = iter(range(3))

    async def broken(*args: Any, **options: Any) -> ReceiverResponse:  # noqa: ANN401 - as `post`
        if next(failures, None) is not None:
            raise KeyError("unforeseen")
        return await post(*args, **options)

    monkeypatch.setattr("service.webhooks.attempt.post", broken)
    canceled_job(store, receiver.url)
    with caplog.at_level(logging.INFO):
        setup.send(empty(store))
    assert len(receiver.received) == 1
    failed = [each for each in caplog.records if "KeyError: 'unforeseen'" in each.message]
    assert len(failed) == 3
    assert not any(each.exc_info for each in caplog.records)


@pytest.mark.parametrize("url", ["https://example.com:99999/", "https://xn--a.example/", "https://a..b/", "nonsense"])
def test_a_url_that_cannot_be_is_dropped_at_once(
    url: str, store: redis.Redis, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An earlier release may have accepted it."""
    canceled_job(store, url)
    SenderSetup(redis_url=redis_url, allowed=[]).send(lambda: "is dropped after attempt 1" in caplog.text)
    assert empty(store)()
    assert "Traceback" not in caplog.text


def test_no_line_of_the_log_has_the_query_of_a_url(
    store: redis.Redis, setup: SenderSetup, receiver: RecordingReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be a secret. Neither for an accepted delivery nor for a failed or an impossible one."""
    receiver.answers = [500, 204]
    with caplog.at_level(logging.DEBUG):
        for url in (receiver.url, f"http://127.0.0.1:{free_port()}/hook", "https://10.0.0.1/hook"):
            canceled_job(store, f"{url}?token=very-secret")
        replace(setup, allowed=["127.0.0.1"], schedule=replace(QUICK, total_seconds=1)).send(empty(store))
    assert len(receiver.received) == 2
    assert len([each for each in caplog.records if each.name == "service.webhooks.sender"]) >= 3
    assert "very-secret" not in caplog.text
