"""A worker's metrics, and the port where they are read."""

from __future__ import annotations

import socket
import urllib.request
from urllib.error import URLError

import pytest

from models.config import Stage
from service.contract.statuses import Status
from service.local.processes import free_port
from worker.errors import StartError
from worker.telemetry.rounds import Round
from worker.telemetry.worker_metrics import WorkerMetrics


@pytest.fixture
def metrics() -> WorkerMetrics:
    """Of the model `toy`, after one round and one job."""
    metrics = WorkerMetrics("toy")
    metrics.round(Round(stage=Stage.SIZE, rows=2, lanes=2, capacity=4, seconds=0.3, pixels=32, passes=8))
    metrics.first_slice(0.4)
    metrics.ended(Status.SUCCEEDED, 2.0)
    return metrics


def test_a_round_is_counted_at_its_stage(metrics: WorkerMetrics) -> None:
    """Seconds, occupancy and accepted pixels."""
    labels = {"model": "toy", "stage": "size"}
    assert metrics.registry.get_sample_value("spn_round_seconds_sum", labels) == pytest.approx(0.3)
    assert metrics.registry.get_sample_value("spn_batch_occupancy_sum", labels) == pytest.approx(0.5)
    assert metrics.registry.get_sample_value("spn_accepted_pixels_per_pass_sum", labels) == pytest.approx(4)
    other = {"model": "toy", "stage": "base"}
    assert metrics.registry.get_sample_value("spn_round_seconds_count", other) is None


def test_a_pass_may_accept_thousands_of_pixels(metrics: WorkerMetrics) -> None:
    """A GPU has hundreds of rows in a pass: such rounds are distinguished."""
    for rows in (256, 1024):
        metrics.round(Round(stage=Stage.SIZE, rows=rows, lanes=rows, capacity=rows, seconds=1, pixels=rows, passes=1))
    counts = [
        metrics.registry.get_sample_value(
            "spn_accepted_pixels_per_pass_bucket", {"model": "toy", "stage": "size", "le": le}
        )
        for le in ("128.0", "512.0", "1024.0")
    ]
    assert counts == [1, 2, 3]


def test_a_sampler_without_passes_is_measured(metrics: WorkerMetrics) -> None:
    """As the random slices of a benchmark, which no network generates."""
    metrics.round(Round(stage=Stage.BASE, rows=1, lanes=1, capacity=4, seconds=0.1, pixels=16, passes=0))
    labels = {"model": "toy", "stage": "base"}
    assert metrics.registry.get_sample_value("spn_round_seconds_count", labels) == 1
    assert not metrics.registry.get_sample_value("spn_accepted_pixels_per_pass_count", labels)


def test_jobs_are_counted_by_how_they_ended(metrics: WorkerMetrics) -> None:
    """Only a success has a time to finish: a cancelled job's would say nothing about speed."""
    metrics.ended(Status.CANCELED, 1.0)
    for status in ("succeeded", "canceled"):
        assert metrics.registry.get_sample_value("spn_jobs_ended_total", {"model": "toy", "status": status}) == 1
    assert metrics.registry.get_sample_value("spn_job_seconds_count", {"model": "toy"}) == 1
    assert metrics.registry.get_sample_value("spn_job_seconds_sum", {"model": "toy"}) == pytest.approx(2)
    assert metrics.registry.get_sample_value("spn_job_first_slice_seconds_sum", {"model": "toy"}) == pytest.approx(0.4)


def test_they_are_read_at_their_port_while_it_is_open(metrics: WorkerMetrics) -> None:
    """On loopback, and no longer than that."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/metrics"
    with metrics.served(host="127.0.0.1", port=port), urllib.request.urlopen(address, timeout=5) as response:
        assert 'spn_jobs_ended_total{model="toy",status="succeeded"} 1.0' in response.read().decode()
    with pytest.raises(URLError):
        urllib.request.urlopen(address, timeout=5)


def test_port_zero_opens_nothing(metrics: WorkerMetrics, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a random port, which 0 would mean to a socket."""
    monkeypatch.setattr(socket.socket, "bind", lambda *_: pytest.fail("a socket was bound"))
    with metrics.served(host="127.0.0.1", port=0):
        pass


def test_a_port_that_is_taken_is_an_error(metrics: WorkerMetrics) -> None:
    """Which the worker reports before it takes a job."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StartError, match="in use"):
        metrics.served(host="127.0.0.1", port=taken.getsockname()[1]).__enter__()
