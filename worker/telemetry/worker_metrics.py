"""A worker's Prometheus metrics, in a registry of their own, and the port that serves them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, start_http_server

from worker.errors import StartError

if TYPE_CHECKING:
    from service.contract.statuses import Status
    from worker.telemetry.rounds import Round

ROUND_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
JOB_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
SHARES = (0.0625, 0.125, 0.25, 0.5, 0.75, 1)
PIXELS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


class WorkerMetrics:
    """The metrics of one worker, all with its model as a label: a listener of rounds and an observer of jobs."""

    def __init__(self, model: str) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._model = model
        staged, of_model = ("model", "stage"), ("model",)
        self._round = Histogram(
            "spn_round_seconds",
            "Seconds per round: one slice for each image of a batch.",
            staged,
            buckets=ROUND_SECONDS,
            registry=registry,
        )
        self._occupancy = Histogram(
            "spn_batch_occupancy",
            "Lanes of a round, as a share of the capacity; an image has several with candidates or guidance.",
            staged,
            buckets=SHARES,
            registry=registry,
        )
        self._accepted = Histogram(
            "spn_accepted_pixels_per_pass",
            "Pixels that a pass through the network made final, on average over a round.",
            staged,
            buckets=PIXELS,
            registry=registry,
        )
        self._first = Histogram(
            "spn_job_first_slice_seconds",
            "Seconds from a job's creation to its first slice.",
            of_model,
            buckets=JOB_SECONDS,
            registry=registry,
        )
        self._finish = Histogram(
            "spn_job_seconds",
            "Seconds from a job's creation to its success.",
            of_model,
            buckets=JOB_SECONDS,
            registry=registry,
        )
        self._ended = Counter(
            "spn_jobs_ended", "Jobs that this worker ended, by status.", (*of_model, "status"), registry=registry
        )

    def round(self, measured: Round) -> None:
        """Count one round."""
        self._round.labels(self._model, measured.stage).observe(measured.seconds)
        self._occupancy.labels(self._model, measured.stage).observe(measured.lanes / measured.capacity)
        if measured.passes:  # a sampler of a test or a benchmark has none
            self._accepted.labels(self._model, measured.stage).observe(measured.pixels / measured.passes)

    def first_slice(self, seconds: float) -> None:
        """Count a job's first slice, `seconds` after its creation."""
        self._first.labels(self._model).observe(seconds)

    def ended(self, status: Status, seconds: float) -> None:
        """Count a job's end, `seconds` after its creation."""
        self._ended.labels(self._model, status).inc()
        if status == "succeeded":
            self._finish.labels(self._model).observe(seconds)

    @contextmanager
    def served(self, *, host: str, port: int) -> Iterator[None]:
        """Serve /metrics at `host` and `port` inside this context; port 0 serves nothing. Raises StartError."""
        if not port:
            yield
            return
        try:
            server, thread = start_http_server(port, host, self.registry)
        except OSError as error:
            raise StartError(
                f"metrics cannot be served on {host}:{port}: {error.strerror}; change SPN_METRICS_PORT"
            ) from error
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
