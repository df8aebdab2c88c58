"""`python -m worker.main`: settings, load the model once, serve its queue until SIGTERM.

The RQ worker class is a `SimpleWorker`, because the model must stay warm and be shared by all jobs of a batch: RQ's
forking `Worker` starts every job in a child (which cannot use CUDA once the parent has), its `SpawnWorker` in a new
interpreter (which would load the model again), and both run one job at a time. What a `SimpleWorker` lacks, recovery
after a crash, is not RQ's here: leases and the stream of slices give it (see `worker.jobs.lease`,
`service.contract.transitions`).

First SIGTERM: running jobs are handed back after the current slice, exit 0; at the latest after `SPN_DRAIN_SECONDS`. Second:
exit at once; leases run out. Exit status 1 for anything that nobody asked for.
"""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack

import redis
import torch
from redis.backoff import NoBackoff
from redis.retry import Retry

from models.errors import CheckpointError
from models.pipeline import Pipeline
from service.contract import logs
from worker.batch import Batch
from worker.device.capacity import fitting_capacity, whole_cores
from worker.device.rehearsal import rehearse
from worker.jobs.backoff import Patience
from worker.jobs.lease import Heartbeat
from worker.jobs.publish import Terms
from worker.rq_adapter import TicketWorker
from worker.settings import WorkerSettings
from worker.telemetry.batch_log import Chronicle
from worker.telemetry.pace_estimator import PaceKeeper
from worker.telemetry.rounds import MeasuredSampler
from worker.telemetry.worker_metrics import WorkerMetrics

logger = logging.getLogger(__name__)


def main() -> int:
    """Serve one model. Exit status 1 for a checkpoint that cannot be loaded, a metrics port that is taken, or a lost device."""
    settings = WorkerSettings()
    logs.configure(settings.log_format)
    torch.set_num_threads(1)  # what runs side by side are pictures; torch's own threads spin while they wait
    try:
        pipeline = load(settings)
    except CheckpointError as error:
        logger.error("%s", error)  # noqa: TRY400 - the message says it all
        return 1
    metrics = WorkerMetrics(settings.model)
    with ExitStack() as stack:
        try:
            stack.enter_context(metrics.served(host=settings.metrics_host, port=settings.metrics_port))
        except OSError as error:
            logger.error("metrics on %s:%d: %s", settings.metrics_host, settings.metrics_port, error)  # noqa: TRY400 - as above
            return 1
        return 0 if serve(settings, pipeline, metrics) else 1


def load(settings: WorkerSettings) -> Pipeline:
    """The model, compiled and warm: no job ever waits for a compiler. Raises CheckpointError."""
    folder = settings.models / settings.model
    return Pipeline.load(
        folder,
        device=settings.device,
        capacity=settings.capacity or fitting_capacity(folder, settings.device),
        threads=settings.threads or whole_cores(),
        artefacts=settings.artefacts if settings.compile else None,
    )


def serve(settings: WorkerSettings, pipeline: Pipeline, metrics: WorkerMetrics) -> bool:
    """Draw jobs of `settings.model` until told to stop; whether it was told, or ended by itself."""
    connection, drain_seconds = patient_client(settings.redis_url), settings.drain_seconds
    worker = TicketWorker(settings.model, connection=connection, drain_seconds=drain_seconds)
    terms = Terms(
        weights=pipeline.card.sha256,
        numerics=pipeline.numerics,
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
    )
    client = patient_client(settings.redis_url)
    publisher = Chronicle(client, model=settings.model, terms=terms, observer=metrics)
    sampler = MeasuredSampler(pipeline, metrics.round)
    pace = PaceKeeper(client, model=settings.model, capacity=pipeline.capacity, threads=pipeline.threads.count)
    rehearse(pipeline, pace)
    with heartbeat(settings, worker.name) as beating:
        worker.batch = Batch(sampler, publisher=publisher, heartbeat=beating, desk=worker, pace=pace)
        logger.info("ready: %s on %s, %d at a time", settings.model, settings.device, pipeline.capacity)
        worker.work(logging_level="WARNING")
    return worker.stopping


def heartbeat(settings: WorkerSettings, name: str) -> Heartbeat:
    """The thread that keeps leases alive, with a client that gives up before a lease runs out: the next beat asks again."""
    seconds, again = settings.heartbeat_seconds, Retry(NoBackoff(), retries=1)
    client = redis.Redis.from_url(
        settings.redis_url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=again
    )
    return Heartbeat(
        client,
        model=settings.model,
        worker=name,
        lease_seconds=settings.lease_seconds,
        seconds=settings.heartbeat_seconds,
    )


def patient_client(url: str) -> redis.Redis:
    """A client that waits for Redis as long as it takes."""
    return redis.Redis.from_url(url, retry=Patience())


if __name__ == "__main__":
    sys.exit(main())
