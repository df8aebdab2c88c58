"""What the API counts for Prometheus, in a registry of its own: any number of apps may live in one process."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from service.jobs.queue_position import Backlog

LATENCY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper bounds of the buckets; the last is the longest wait that a caller may ask for."""


class ServiceMetrics:
    """The metrics of one app."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.latency = Histogram(
            "spn_http_request_seconds",
            "Seconds until an answer begins.",
            ("method", "route", "status"),
            buckets=LATENCY_SECONDS,
            registry=registry,
        )
        self.refusals = Counter(
            "spn_http_refusals", "Answers that were problems, by type.", ("type", "status"), registry=registry
        )
        self.streams = Gauge("spn_http_event_streams", "Open event streams.", registry=registry)
        self._redis_up = Gauge("spn_redis_up", "Whether Redis answered this scrape.", registry=registry)
        self._queued = Gauge("spn_jobs_queued", "Jobs that no worker has begun.", ("model",), registry=registry)
        self._running = Gauge("spn_jobs_running", "Jobs that were begun.", ("model",), registry=registry)
        self._workers = Gauge("spn_workers", "Live workers.", ("model",), registry=registry)

    def render(self, backlogs: Mapping[str, Backlog] | None) -> bytes:
        """The exposition, with how each model stands now; None while Redis is away, and then without those figures."""
        self._redis_up.set(backlogs is not None)
        for gauge in (self._queued, self._running, self._workers):
            gauge.clear()
        for model, backlog in (backlogs or {}).items():
            self._queued.labels(model).set(backlog.queued)
            self._running.labels(model).set(backlog.running)
            self._workers.labels(model).set(backlog.workers)
        return generate_latest(self.registry)
