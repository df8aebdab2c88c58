"""`python -m worker.doctor`: check everything that a worker needs, and say what to do about each finding.

It checks Redis (persistence, eviction, memory), weights, device, compiler, compiled code and threads, with the worker's own
settings. Exit status 1 if something is wrong, 2 for a setting that is not accepted, 0 if there is at most advice.

`--quick` is the container's health check: the exit status says whether a worker of this host lives. It needs no torch.
"""

from __future__ import annotations

import argparse
import socket
import sys

from redis.exceptions import RedisError

from service.contract.environment import read_settings
from worker.doctor.findings import Finding, Level, report
from worker.doctor.store_check import live_workers, redis_findings, single_try_client
from worker.settings import WorkerSettings


def main() -> int:
    """Run the command, and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.doctor",
        description="Check everything that a worker needs. Exit status 1 if something is wrong.",
    )
    parser.add_argument("--quick", action="store_true", help="only check whether a worker of this host lives")
    quick = parser.parse_args().quick
    settings = read_settings(WorkerSettings)
    if quick:
        return 0 if lives_here(settings) else 1
    findings = examine(settings)
    print(report(findings))
    return int(any(finding.level is Level.WRONG for finding in findings))


def examine(settings: WorkerSettings) -> list[Finding]:
    """Return the findings: Redis first, then this machine."""
    from worker.doctor.machine_check import machine_findings  # noqa: PLC0415 - a health check needs no torch

    return [*redis_findings(settings.redis_url, settings.model), *machine_findings(settings)]


def lives_here(settings: WorkerSettings) -> bool:
    """Return whether a worker of this host announced itself within its lease."""
    try:
        with single_try_client(settings.redis_url) as client:
            return any(name.startswith(f"{socket.gethostname()}-") for name in live_workers(client, settings.model))
    except RedisError:
        return False


if __name__ == "__main__":
    sys.exit(main())
