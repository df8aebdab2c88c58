"""Metrics of the API for Prometheus. Each app has its own registry, so that one process can have several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from service.jobs.queue_position import Backlog
from service.webhooks.outbox import OutboxLoad

LATENCY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper bounds of the buckets; the last is the longest wait that a request can set."""

RESULTS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

OUTBOX_GAUGES = {
    "deliveries": "Webhook deliveries that are not settled.",
    "bytes": "Bytes of these in Redis.",
    "dropped": "Deliveries since the beginning that were given up or found no room.",
}
"""Gauges of `OutboxLoad`, by field."""


@dataclass(frozen=True, kw_only=True)
class StoreState:
    """What one scrape reads from Redis."""

    backlogs: Mapping[str, Backlog]
    outbox: OutboxLoad
    unstored: int


class ServiceMetrics:
    """Metrics of one app."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.latency = Histogram(
            "spn_http_request_seconds",
            "Seconds until a response begins.",
            ("method", "route", "status"),
            buckets=LATENCY_SECONDS,
            registry=registry,
        )
        self.refusals = Counter(
            "spn_http_refusals", "Responses that were problems, by type.", ("type", "status"), registry=registry
        )
        self.streams = Gauge("spn_http_event_streams", "Open event streams.", registry=registry)
        self.task_restarts = Counter(
            "spn_background_task_restarts", "Restarts of a background task that ended.", ("task",), registry=registry
        )
        self.clock_steps = Counter("spn_redis_clock_steps", "Steps of Redis' clock that were seen.", registry=registry)
        self.results = Histogram(
            "spn_results_seconds",
            "Seconds per call of the object store.",
            ("operation", "outcome"),
            buckets=RESULTS_SECONDS,
            registry=registry,
        )
        self._unstored = Gauge(
            "spn_results_unstored", "Jobs that wait for the object store, to be written or deleted.", registry=registry
        )
        self._redis_up = Gauge("spn_redis_up", "Whether Redis answered this scrape.", registry=registry)
        self._queued = Gauge("spn_jobs_queued", "Jobs that no worker has started.", ("model",), registry=registry)
        self._running = Gauge("spn_jobs_running", "Jobs that were started.", ("model",), registry=registry)
        self._workers = Gauge("spn_workers", "Live workers.", ("model",), registry=registry)

        self._outbox = {
            name: Gauge(f"spn_webhook_{name}", text, registry=registry) for name, text in OUTBOX_GAUGES.items()
        }

    def task_restarted(self, task: str) -> None:
        """Count a restart of a background task."""
        self.task_restarts.labels(task).inc()

    def result_call(self, operation: str, succeeded: bool, seconds: float) -> None:
        """Count a call of the object store."""
        self.results.labels(operation, "succeeded" if succeeded else "failed").observe(seconds)

    def render(self, state: StoreState | None) -> bytes:
        """Return the exposition. Without `state`, because Redis does not answer, it lacks the values from there."""
        self._redis_up.set(state is not None)
        self._unstored.set(state.unstored if state else float("nan"))
        for gauge in (self._queued, self._running, self._workers):
            gauge.clear()
        for model, backlog in (state.backlogs if state else {}).items():
            self._queued.labels(model).set(backlog.queued)
            self._running.labels(model).set(backlog.running)
            self._workers.labels(model).set(backlog.workers)
        for name, gauge in self._outbox.items():
            gauge.set(getattr(state.outbox, name) if state else float("nan"))
        return generate_latest(self.registry)
