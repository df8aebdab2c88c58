"""The accuracy of the estimated time: `python -m benchmarks.eta`.

After a first job, which measures every network, a queue of jobs of one to eight images is submitted at once.
Every half second the `eta_seconds` of each waiting job is read, and later compared with the time at which the job ended.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.site import BenchmarkSite, site

JSON = Path("docs/benchmarks/eta.json")
PAUSE_SECONDS = 0.5
MOST_IMAGES = 8


@dataclass(frozen=True, kw_only=True)
class EstimateSample:
    """An estimate and its time."""

    job: str
    at: float
    seconds: float


def queue(http: httpx.Client, jobs: int) -> list[str]:
    """Submit jobs of different sizes; return their ids."""
    sizes = random.Random(0)  # noqa: S311 - a workload, the same each time
    bodies = ({"num_images": sizes.randint(1, MOST_IMAGES), "seed": seed} for seed in range(jobs))
    return [str(http.post("/generate", json=body).json()["id"]) for body in bodies]


def watched(http: httpx.Client, jobs: list[str]) -> tuple[list[EstimateSample], dict[str, float]]:
    """Return the estimates of waiting jobs, and when each job ended."""
    samples, ended = list[EstimateSample](), dict[str, float]()
    while len(ended) < len(jobs):
        for job in (each for each in jobs if each not in ended):
            body = http.get(f"/jobs/{job}").json()
            if body["finished_at"]:
                ended[job] = time.monotonic()
            elif body["status"] == "queued" and body["eta_seconds"] is not None:
                samples.append(EstimateSample(job=job, at=time.monotonic(), seconds=body["eta_seconds"]))
        time.sleep(PAUSE_SECONDS)
    return samples, ended


def figures(samples: list[EstimateSample], ended: dict[str, float]) -> dict[str, Any]:
    """Return errors relative to the true time: of the first estimate of each job, and of all."""
    ratios = [(each.job, each.seconds / (ended[each.job] - each.at)) for each in samples]
    errors = [(job, abs(ratio - 1)) for job, ratio in ratios]
    first = list(dict(reversed(errors)).values())
    return {
        "estimates": len(errors),
        "first_estimate_median_error": round(statistics.median(first), 3),
        "median_of_told_over_true": round(statistics.median(ratio for _, ratio in ratios), 3),
        "median_error": round(statistics.median(error for _, error in errors), 3),
        "nine_tenths_within": round(statistics.quantiles([error for _, error in errors], n=10)[-1], 3),
    }


def measured(here: BenchmarkSite, jobs: int) -> dict[str, Any]:
    """Measure one run."""
    with httpx.Client(base_url=f"http://127.0.0.1:{here.port}", timeout=60) as http:
        watched(http, queue(http, 1))
        begun = time.monotonic()
        found = figures(*watched(http, queue(http, jobs)))
        return {"jobs": jobs, "seconds": round(time.monotonic() - begun, 1), **found, "load": os.getloadavg()[0]}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="The estimate against the truth.")
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--models", nargs="+", default=[""], help="shipped ones; else a toy, whose networks take next to no time"
    )
    args = parser.parse_args()
    found = []
    for model in args.models * args.runs:
        with site(retention_seconds=3600, shipped=model) as here:
            found.append({"model": model or "toy", **measured(here, args.jobs)})
            print(json.dumps(found[-1]))
        JSON.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
