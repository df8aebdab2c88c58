"""`python -m worker.doctor`: is all as a worker needs it, and what to do where it is not.

Looks at Redis (persistence, eviction, memory), weights, device, compiler, compiled code, threads and heartbeat, with the
worker's own settings. Exit status 1 if something is wrong, 0 if there is at most advice.

`--quick` only tells by its exit status whether a worker of this host lives, without torch: the container's health check.
"""

from __future__ import annotations

import argparse
import socket
import sys

from pydantic import ValidationError
from redis.exceptions import RedisError

from worker.doctor.findings import Finding, Level, report, wrong
from worker.doctor.store_check import impatient_client, live_workers, redis_findings
from worker.settings import WorkerSettings


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.doctor", description="Is all as a worker needs it? Exit status 1 if something is wrong."
    )
    parser.add_argument("--quick", action="store_true", help="only whether a worker of this host lives")
    quick = parser.parse_args().quick
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        print(report(mistaken(error)))
        return 1
    if quick:
        return 0 if lives_here(settings) else 1
    findings = examine(settings)
    print(report(findings))
    return int(any(finding.level is Level.WRONG for finding in findings))


def examine(settings: WorkerSettings) -> list[Finding]:
    """Redis first, then this machine."""
    from worker.doctor.machine_check import machine_findings  # noqa: PLC0415 - a health check needs no torch

    return [*redis_findings(settings.redis_url, settings.model), *machine_findings(settings)]


def lives_here(settings: WorkerSettings) -> bool:
    """Whether a worker of this host announced itself within its lease."""
    try:
        with impatient_client(settings.redis_url) as client:
            return any(name.startswith(f"{socket.gethostname()}-") for name in live_workers(client, settings.model))
    except RedisError:
        return False


def mistaken(error: ValidationError) -> list[Finding]:
    """Settings that cannot be."""
    return [
        wrong(
            "settings", f"SPN_{str(each['loc'][0]).upper()}: {each['msg']}", "docs/operations.md lists what can be set"
        )
        for each in error.errors()
    ]


if __name__ == "__main__":
    sys.exit(main())
