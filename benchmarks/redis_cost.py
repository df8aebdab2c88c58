"""Cost of a job in Redis: `python -m benchmarks.redis_cost`.

Makes jobs and publishes their slices as API and worker do (`benchmarks.redis_rounds`), without a model and without RQ. There
are 32 jobs in a round, and a Redis of its own that syncs its file as that of the service. Prints the medians of three runs,
per image: commands of Redis (those inside scripts too), bytes, CPU of Redis, CPU of the process that sends.
`--against FOLDER` measures another checkout too, in turn with this one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.harness.launcher import ROOT, RedisServer

RUNS = 3


def run(checkout: Path, *, jobs: int, num_images: int) -> dict[str, float]:
    """Return the cost per image with the code of `checkout`."""
    script = Path(__file__).with_name("redis_rounds.py")
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder) / "redis", durable=True) as server:
        done = subprocess.run(
            [sys.executable, str(script), *map(str, (server.port, jobs, num_images))],
            env={**os.environ, "PYTHONPATH": str(checkout)},
            cwd=folder,
            check=True,
            stdout=subprocess.PIPE,
        )
    return dict(json.loads(done.stdout))


def rows(checkouts: dict[str, Path], *, jobs: int, num_images: int) -> list[dict[str, Any]]:
    """Return the costs with the code of each checkout, which take turns."""
    runs = [
        {name: run(folder, jobs=jobs, num_images=num_images) for name, folder in checkouts.items()} for _ in range(RUNS)
    ]
    size = {"images_per_job": num_images, "jobs_in_a_round": jobs}
    load = round(os.getloadavg()[0], 1)
    return [
        {
            "code": name,
            **size,
            **{each: round(statistics.median(one[name][each] for one in runs), 2) for each in runs[0][name]},
            "load": load,
        }
        for name in checkouts
    ]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Commands, bytes and CPU per image in Redis.")
    parser.add_argument("--jobs", type=int, default=32, help="jobs in a round")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 8], help="images of each job")
    parser.add_argument("--against", type=Path, help="another checkout")
    args = parser.parse_args()
    checkouts = {args.against.name: args.against.resolve()} if args.against else {}
    for num_images in args.images:
        for row in rows({**checkouts, "this checkout": ROOT}, jobs=args.jobs, num_images=num_images):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
