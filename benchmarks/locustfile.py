"""What a design web app asks for, as users of Locust: `benchmarks.locust_load` runs it against two API processes.

A user submits a job of one image, waits for it by long polls, and loads the image. `APIS`: base URLs, separated by commas.
"""

from __future__ import annotations

import os
from itertools import cycle
from typing import Final

from locust import FastHttpUser, between, task

APIS: Final = cycle(os.environ["APIS"].split(","))
"""Each user talks to one of them, as behind a balancer."""


class Designer(FastHttpUser):
    """A user with a short pause between two icons."""

    host = "http://127.0.0.1"
    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        """Choose an API process."""
        self.api = next(APIS)

    @task
    def icon(self) -> None:
        """Submit, wait, load."""
        with self.client.post(f"{self.api}/generate", json={}, name="POST /generate", catch_response=True) as submitted:
            if submitted.status_code != 202:  # noqa: PLR2004 - Accepted
                submitted.failure(f"status {submitted.status_code}")
                return
        url, job = submitted.headers["location"], submitted.json()
        while job["status"] not in {"succeeded", "failed", "canceled"}:
            job = self.client.get(self.at(url), params={"wait": 10}, name="GET /jobs/{id}?wait=10").json()
        if job["status"] == "succeeded":
            self.client.get(self.at(job["images"][0]["url"]), name="GET /jobs/{id}/images/0")

    def at(self, url: str) -> str:
        """Return a URL at the API process of this user."""
        return url if url.startswith("http") else f"{self.api}{url}"
