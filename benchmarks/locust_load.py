"""Load by a tool that is not ours: `python -m benchmarks.locust_load`.

Redis, two API processes and a worker whose networks cost nothing are started; Locust (the `benchmarks` extra) has users submit,
wait and load images. Printed as JSON: requests, failures and milliseconds of each kind of request, jobs per second.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psutil

from benchmarks.site import save_toy, settings_of
from tests.harness.launcher import ApiServer, RedisServer, WorkerProcess

USERS_FILE: Final = Path(__file__).with_name("locustfile.py")
COLUMNS: Final = {"p50_ms": "50%", "p95_ms": "95%", "p99_ms": "99%", "max_ms": "100%"}


def rows(path: Path) -> dict[str, dict[str, float]]:
    """Return what Locust wrote, by kind of request."""
    with path.open(newline="") as file:
        return {
            row["Name"]: {
                "requests": int(row["Request Count"]),
                "failures": int(row["Failure Count"]),
                "per_second": round(float(row["Requests/s"]), 1),
                **{name: float(row[column]) for name, column in COLUMNS.items()},
            }
            for row in csv.DictReader(file)
        }


def main() -> int:
    """Run the command; exit status 1 if any request failed."""
    parser = argparse.ArgumentParser(description="Users by Locust against two API processes.")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60)
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        save_toy(folder / "models" / "toy")
        log = folder / "log"
        server = stack.enter_context(RedisServer(folder / "redis", durable=True, log=log))
        settings = settings_of(server, folder / "models")
        apis = [stack.enter_context(ApiServer(settings, log=log)) for _ in range(2)]
        stack.enter_context(WorkerProcess(settings, command=["-m", "benchmarks.random_worker"], log=log))
        command = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--locustfile", str(USERS_FILE)]
        command += ["--users", str(args.users), "--spawn-rate", str(args.users), "--run-time", f"{args.seconds}s"]
        environment = {**os.environ, "APIS": ",".join(api.url for api in apis)}
        psutil.cpu_percent()
        ended = subprocess.run(
            [*command, "--csv", str(folder / "found")], env=environment, stdout=sys.stderr, check=False
        )
        busy = psutil.cpu_percent()
        found = rows(folder / "found_stats.csv")
    print(json.dumps({"users": args.users, "seconds": args.seconds, "cpu_percent": busy, "requests": found}, indent=1))
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
