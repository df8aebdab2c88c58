"""Jobs without a model, as API and worker write them: `python -m benchmarks.redis_rounds PORT JOBS IMAGES`.

Runs with the code of any checkout since release 0.1 (eca3427) that is first in PYTHONPATH. Prints as JSON what an image cost
the Redis at PORT, and this process. `benchmarks.redis_cost` starts it.
"""

from __future__ import annotations

import json
import sys
import time
from secrets import token_hex

import numpy as np
import redis

from models.config import Geometry
from models.subscale import Progress

try:
    from service.contract.record import Problem
    from service.contract.request import JobRequest
    from service.contract.stream import SliceEntry
    from service.contract.transitions import Claim, Transitions, create, next_job

    RELEASE_0_1 = False
except ImportError:
    from service.transitions import Claim, Transitions, create  # type: ignore[import-not-found,no-redef]

    from service.contract import JobRequest, Problem, SliceEntry  # type: ignore[attr-defined,no-redef]

    RELEASE_0_1 = True

GEOMETRY = Geometry(size=64, slice_size=16)
ROUNDS = 6
POISONED = Problem(type="urn:test", title="", detail="")


class JobRounds:
    """Writes of API and worker for jobs of one model."""

    def __init__(self, client: redis.Redis, num_images: int) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        self._image, self._num_images = Progress.of(pixels, GEOMETRY), num_images
        self._client, self._transitions = client, Transitions(client)

    def round_of(self, jobs: int) -> None:
        """Run jobs from submit to end, all at the same time."""
        claims = [self._taken(self._submitted()) for _ in range(jobs)]
        for step in range(len(GEOMETRY.steps)):
            slices = [SliceEntry.of(self._image, step, image=image) for image in range(self._num_images)]
            if RELEASE_0_1:
                calls = [claim.append(each) for claim in claims for each in slices]
            else:
                calls = [claim.append(*slices) for claim in claims]
            self._transitions.together(calls)
        if RELEASE_0_1:
            for claim in claims:
                self._transitions(claim.finish())
        else:
            self._transitions.together([claim.finish() for claim in claims])

    def _submitted(self) -> JobRequest:
        controls = ({"label": "A", "style": "icon"},) * self._num_images
        request = JobRequest(
            id=token_hex(12), model="m", seed=1, temperature=1.0, controls=controls, geometry=GEOMETRY, owner="studio"
        )
        self._transitions(create(request, bound=10**6))
        if RELEASE_0_1:  # its create does not reply the record
            self._client.hgetall(request.keys.record)
        return request

    def _taken(self, request: JobRequest) -> Claim:
        claim = Claim(keys=request.keys, token=token_hex(16))
        if not RELEASE_0_1:
            self._transitions(next_job("m"))
        self._transitions(claim.acquire(lease_seconds=30, max_attempts=3, poisoned=POISONED, weights="w", numerics="n"))
        if RELEASE_0_1:  # its acquire does not reply the request
            self._client.hgetall(request.keys.record)
            self._client.xrange(request.keys.stream)
        return claim


def totals(client: redis.Redis) -> dict[str, float]:
    """Return the counters of Redis since its statistics were reset, and CPU milliseconds since the start."""
    commands, stats, cpu = client.info("commandstats"), client.info("stats"), client.info("cpu")
    return {
        "commands": sum(each["calls"] for each in commands.values()),
        "bytes_in": stats["total_net_input_bytes"],
        "bytes_out": stats["total_net_output_bytes"],
        "redis_cpu_ms": 1000 * (cpu["used_cpu_user"] + cpu["used_cpu_sys"]),
        "client_cpu_ms": 1000 * time.process_time(),
    }


def main() -> None:
    """Run the command."""
    port, jobs, num_images = map(int, sys.argv[1:])
    with redis.Redis(port=port) as client:
        run = JobRounds(client, num_images)
        run.round_of(jobs)
        client.config_resetstat()
        before = totals(client)
        for _ in range(ROUNDS):
            run.round_of(jobs)
        after = totals(client)
    images = ROUNDS * jobs * num_images
    print(json.dumps({name: (after[name] - before[name]) / images for name in after}))


if __name__ == "__main__":
    main()
