"""The running server against its own OpenAPI description: cases that schemathesis makes up, all of its checks.

`EXAMPLES` keeps this under 40 seconds on two busy cores; SPN_FUZZ_EXAMPLES=400 made 2,803 random cases in five minutes.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from service.api_keys import KeyHash, sha256_of
from service.app import create_app
from service.contract.stream import SliceEntry
from service.contract.transitions import Claim, Transitions, create
from service.settings import ServiceSettings
from tests.harness.drawing import (
    GEOMETRY,
    POISONED,
    a_claim,
    a_likelihood,
    a_request,
    a_score_request,
    acquire,
    an_entry,
)
from tests.harness.painting import painting
from tests.harness.serving import serving

EXAMPLES = int(os.environ.get("SPN_FUZZ_EXAMPLES", "25"))
"""Random cases per operation, beside those that schemathesis derives from each schema."""

KEY = "the studio's own"
LEASE_SECONDS = 3600
MAX_SIGNATURE = 128
TIMEOUT_SECONDS = 20

MAY_BE_REFUSED = (
    *("/generate", "/score", "/v1/images/generations", "/v1/models/{model}"),
    *("/jobs/{job}/events", "/jobs/{job}/images/{index}", "/jobs/{job}/export.zip"),
)
"""Where a 422 may follow though schemathesis thinks the case valid. A submit: no schema tells which models, controls
and used keys there are. Events: it tries `Last-Event-ID: 0`, which the pattern beside it excludes. Images and exports: some
parameters exclude each other, and an image without a ground has no colour for it.
"""


class Shelf:
    """Jobs in all statuses, to be asked for in place of made-up ids: those would be 404 and nothing else."""

    def __init__(self, store: redis.Redis) -> None:
        self._transitions = Transitions(store)
        succeeded, failed, canceled, running = (self._begun(slices) for slices in (8, 3, 0, 5))
        scored = self._scored()
        self._transitions(succeeded.finish())
        self._transitions(scored.finish())
        self._transitions(failed.fail(POISONED))
        self._transitions(canceled.cancel())
        self.ended = tuple(claim.keys.id for claim in (succeeded, failed, canceled, scored))
        self.all = (*self.ended, running.keys.id)

    def _begun(self, slices: int) -> Claim:
        request = replace(a_request(num_images=2, retention_seconds=LEASE_SECONDS), owner="studio")
        self._transitions(create(request, bound=1000))
        claim = a_claim(request)
        self._transitions(acquire(claim, lease_seconds=LEASE_SECONDS))
        for image in range(2):
            for step in range(slices):
                self._transitions(claim.append(an_entry(step, image=image)))
        return claim

    def _scored(self) -> Claim:
        request = replace(a_score_request(), retention_seconds=LEASE_SECONDS, owner="studio")
        self._transitions(create(request, bound=1000))
        claim, likelihood = a_claim(request), a_likelihood()
        self._transitions(acquire(claim, lease_seconds=LEASE_SECONDS))
        for step in range(likelihood.done):
            self._transitions(claim.append(SliceEntry.of(likelihood, step)))
        return claim

    def put(self, case: Case[Any]) -> None:
        """A job of the shelf into a valid case, or a new one to erase. The stream of a running job would never end."""
        jobs = self.ended if case.path.endswith("/events") else self.all
        if "erase" in case.query:
            jobs = (self._begun(3).keys.id,)
        case.path_parameters["job"] = jobs[zlib.crc32(case.path_parameters["job"].encode()) % len(jobs)]
        if "wait" in case.query:
            case.query["wait"] = min(int(case.query["wait"]), 1)
        if "slices" in case.query:
            case.query["slices"] = min(int(case.query["slices"]), len(GEOMETRY.steps))


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running server and its jobs."""

    url: str
    shelf: Shelf


@pytest.fixture(scope="module")
def site(redis_url: str, models: Path) -> Iterator[Site]:
    """Whatever is submitted there is drawn."""
    with redis.Redis.from_url(redis_url) as store:
        store.flushall()
        shelf = Shelf(store)
        keys = (KeyHash(name="studio", sha256=sha256_of(KEY)),)
        options = ServiceSettings(
            redis_url=redis_url, models=models, model="toy", queue_bound=1_000_000, keys=keys, rate_per_minute=0
        )
        with painting(redis_url), serving(options) as url:
            yield Site(url=url, shelf=shelf)


def well_formed(sig: object) -> bool:
    """Whether this could be a signature. A made-up one would only hide the rest: it stands in for the key."""
    return isinstance(sig, str) and len(sig) <= MAX_SIGNATURE


described = schemathesis.openapi.from_dict(create_app(ServiceSettings()).openapi())
"""The same for all settings."""


@described.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_described(case: Case[Any], site: Site) -> None:
    """No request, valid or not, gets an answer that the description does not announce, or an error of the server."""
    valid = case.meta and case.meta.generation.mode is GenerationMode.POSITIVE
    if valid and "job" in case.path_parameters:
        site.shelf.put(case)
    if well_formed(case.query.get("sig")):
        del case.query["sig"]
    key = {"Authorization": f"Bearer {KEY}"} if "Authorization" in case.headers else {}
    skipped: list[Any] = [positive_data_acceptance] if case.path in MAY_BE_REFUSED else []
    case.call_and_validate(base_url=site.url, headers=key, timeout=TIMEOUT_SECONDS, excluded_checks=skipped)
