"""The table of recovery times says what the settings say."""

from __future__ import annotations

import re
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from service.contract import problem_types
from service.contract.record import OVERDUE, Problem
from service.errors import UnavailableError
from service.jobs.reaper import GRACE_SECONDS
from service.redis_clients import REDIS_SECONDS
from service.results.writer import LONGEST_PAUSE_SECONDS
from service.settings import ServiceSettings
from worker.jobs.backoff import LONGEST_SECONDS
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "recovery.md").read_text()


def seconds() -> dict[str, float]:
    """The last column by the first."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TEXT.splitlines() if line.startswith("|")]
    return {row[0]: float(row[3]) for row in rows if len(row) == 4 and row[3].isdigit()}


def test_the_table_is_what_the_settings_give() -> None:
    """Every row with the sum that its third column names."""
    api, own = ServiceSettings(), WorkerSettings()
    death = own.lease_seconds + api.reaper_seconds
    assert seconds() == {
        "a worker dies (kill -9, out of memory, power) and another lives": death,
        "a worker freezes, or loses its network": death,
        "a worker dies between taking a ticket and its job": api.reaper_seconds,
        "a worker gets SIGTERM": api.reaper_seconds,
        "it does not come to the end of its round, or Redis is away": own.drain_seconds,
        "a second SIGTERM": death,
        "a job kills every worker that generates it": own.max_attempts * death,
        "one image cannot be generated, or a logit is NaN": 0,
        "a round does not fit in memory (CPU)": 0,
        "a round does not fit in memory (GPU)": api.reaper_seconds,
        "a device hangs in a round": own.lease_seconds + death,
        "the GPU is lost to the process": death,
        "a checkpoint is damaged": 0,
        "Redis is away, connections refused": LONGEST_SECONDS,
        "Redis hangs, or its connections are half open": REDIS_SECONDS,
        "Redis is a replica (`READONLY`)": LONGEST_SECONDS,
        "Redis is full, or its disk is": LONGEST_SECONDS,
        "the object store of results is away": LONGEST_PAUSE_SECONDS,
        "an API process dies": 0,
        "a caller cancels": 0,
        "the deadline passes": GRACE_SECONDS,
    }
    assert f"`Retry-After: {UnavailableError.retry_after_seconds}`" in TEXT


def test_every_reason_is_listed() -> None:
    """No job fails for a reason that this page does not explain."""
    known = {value.type for value in vars(problem_types).values() if isinstance(value, Problem)} | {OVERDUE.type}
    listed = set(re.findall(r"^\| `(urn:spn:[a-z-]+)`", TEXT, re.MULTILINE))
    assert listed == known


def test_a_worker_may_drain_before_docker_kills_it() -> None:
    """Every grace period of the workers leaves room for the drain."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    graces = [each["stop_grace_period"] for name, each in services.items() if name.startswith("worker")]
    assert graces
    assert all(int(grace.removesuffix("s")) > WorkerSettings().drain_seconds for grace in graces)
