"""What is acknowledged is kept: equal submits at once, a server killed at the worst moment, a queue that is full."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from service.contract.redis_keys import Keys, owned_key, queue_name, queued_key
from service.settings import ServiceSettings
from tests.harness.launcher import ApiServer, eager, working
from tests.harness.painting import painting
from tests.harness.proxy import Sluice, Withheld, sluice
from tests.harness.serving import serving

EQUAL = 200
BURST = 5
BOUND = 7
END_SECONDS = 60
QUICK = {"REAPER_SECONDS": "0.2"}


async def submitted(url: str, keys: list[str], *, seconds: float = 30) -> list[httpx.Response | None]:
    """The answers to submits that are all sent at once; None where the connection broke."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=seconds, limits=limits) as client:

        async def submit(key: str) -> httpx.Response | None:
            try:
                return await client.post("/generate", json={"seed": 7}, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                return None

        return list(await asyncio.gather(*map(submit, keys)))


def answers(url: str, keys: list[str]) -> list[httpx.Response]:
    """As `submitted`, where no connection may break."""
    found = [answer for answer in asyncio.run(submitted(url, keys)) if answer is not None]
    assert len(found) == len(keys)
    return found


def ended(url: str, job: str) -> str:
    """The status in which a job ends."""
    with httpx.Client(base_url=url, timeout=30) as client:
        deadline = time.monotonic() + END_SECONDS
        while (body := client.get(f"/jobs/{job}").raise_for_status().json())["finished_at"] is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return str(body["status"])


@pytest.fixture
def held(redis_url: str) -> Iterator[Sluice]:
    """A way to Redis on which submits, or the answers to them, can be held back."""
    with sluice(redis_url) as way:
        yield way


def test_equal_submits_at_once_make_one_job(store: redis.Redis, redis_url: str, models: Path) -> None:
    """Two hundred with one Idempotency-Key: one is the first, all others are told that they repeat it."""
    with serving(ServiceSettings(redis_url=redis_url, models=models, model="toy", queue_bound=1)) as url:
        told = answers(url, ["the same"] * EQUAL)
    assert {answer.status_code for answer in told} == {202}
    assert len({answer.json()["id"] for answer in told}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in told) == 1
    assert store.zcard(queued_key("toy")) == 1
    assert store.llen(f"rq:queue:{queue_name('toy')}") == 1


def test_a_server_killed_while_it_submits_loses_nothing(redis_url: str, models: Path, held: Sluice) -> None:
    """Before Redis gets a job and after, at the first, third and last of a burst.

    What was acknowledged is drawn, what was not can be sent again, and no job is made twice.
    """
    kills, jobs = [*product(Withheld, (0, 2, BURST - 1))], dict[str, str]()
    with (
        working(eager(redis_url, models, "toy")),
        redis.Redis.from_url(redis_url) as store,
        ApiServer(eager(held.url, models, "toy", **QUICK)) as api,
    ):
        for side, passed in kills:
            keys = [f"{side}-{passed}-{number}" for number in range(BURST)]
            held.hold_after(passed, side)
            answered = asyncio.run(killed(api, held, keys))
            acknowledged = {key: answer.json()["id"] for key, answer in zip(keys, answered, strict=True) if answer}
            assert None in answered, "the held submit cannot have been answered"
            held.open()
            api.start()
            again = {key: answer.json()["id"] for key, answer in zip(keys, answers(api.url, keys), strict=True)}
            assert acknowledged.items() <= again.items()
            jobs |= again
        assert {ended(api.url, job) for job in jobs.values()} == {"succeeded"}
        assert len(set(jobs.values())) == len(kills) * BURST
        assert made(store) == set(jobs.values())


async def killed(api: ApiServer, held: Sluice, keys: list[str]) -> list[httpx.Response | None]:
    """The answers to submits during which the server is killed, as soon as one is held back."""
    asked = asyncio.create_task(submitted(api.url, keys))
    assert await asyncio.to_thread(held.held.wait, END_SECONDS)
    await asyncio.to_thread(api.kill)
    return await asked


def made(store: redis.Redis) -> set[str]:
    """The ids of all jobs that were ever recorded."""
    jobs: Any = store.zrange(owned_key("", "jobs"), 0, -1)
    return {job.decode() for job in jobs}


def test_a_full_queue_refuses_and_keeps_what_it_took(store: redis.Redis, redis_url: str, models: Path) -> None:
    """As many as fit are accepted, the others get 503 and when to come again; all that were accepted are drawn."""
    with serving(ServiceSettings(redis_url=redis_url, models=models, model="toy", queue_bound=BOUND)) as url:
        told = answers(url, [str(number) for number in range(40)])
        taken = [answer.json()["id"] for answer in told if answer.status_code == 202]
        refused = [answer for answer in told if answer.status_code == 503]
        assert (len(taken), len(refused)) == (BOUND, 40 - BOUND)
        assert {answer.json()["type"] for answer in refused} == {"urn:spn:queue-full"}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
        assert made(store) == set(taken)
        with painting(redis_url):
            assert [ended(url, job) for job in taken] == ["succeeded"] * BOUND
        assert answers(url, ["later"])[0].status_code == 202
    assert store.exists(*(Keys(id=job, model="toy").record for job in taken)) == BOUND
