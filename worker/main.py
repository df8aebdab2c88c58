"""`python -m worker.main`: load one model once, and serve its queue until SIGTERM.

The RQ worker is a `SimpleWorker`, because all jobs of a batch share one model in memory. RQ's forking `Worker` runs each job
in a child, which cannot use CUDA once the parent has. Its `SpawnWorker` would load the model for each job. Both run one job
at a time. Recovery after a crash, which a `SimpleWorker` lacks, comes from leases and the stream of slices
(`worker.jobs.lease`, `service.contract.transitions`).

At the first SIGTERM the worker returns its jobs after the round and exits with status 0, after `SPN_DRAIN_SECONDS` at the
latest. At the second it exits at once and its leases run out.
"""

from __future__ import annotations

import logging
import signal
import sys

import redis
import torch
from redis.backoff import NoBackoff
from redis.retry import Retry

from models.cards import load_named_card
from models.errors import CheckpointError
from models.pipeline import Pipeline
from service.contract import logs
from service.contract.environment import INVALID, read_settings, require_model
from worker.batch import Batch
from worker.device.capacity import fitting_capacity, release_memory
from worker.device.cores import whole_cores
from worker.device.guarded_sampler import GuardedSampler, is_out_of_memory
from worker.device.rehearsal import rehearse
from worker.device.selection import select_device
from worker.errors import BoardTooLargeError, DeviceMissingError, StartError, WorkerError
from worker.jobs.backoff import Backoff
from worker.jobs.lease import Heartbeat
from worker.jobs.publish import LeaseTerms
from worker.rq_adapter import TicketWorker
from worker.settings import WorkerSettings
from worker.telemetry.batch_log import BatchLog
from worker.telemetry.pace_estimator import PaceEstimator
from worker.telemetry.rounds import MeasuredSampler
from worker.telemetry.worker_metrics import WorkerMetrics

logger = logging.getLogger(__name__)


def main() -> int:
    """Serve one model. Exit status 0 after a signal, 1 for a failure, 2 for a setting that is not accepted."""
    settings = read_settings(WorkerSettings)
    require_model(settings.models, settings.model)
    logs.configure(settings.log_format)
    torch.set_num_threads(1)  # images run side by side; torch's own threads spin while they wait
    metrics = WorkerMetrics(settings.model)
    try:
        select_device(settings.device)
        with metrics.served(host=settings.metrics_host, port=settings.metrics_port):
            return 0 if run(settings, metrics) else 1
    except DeviceMissingError as error:
        logger.error("SPN_DEVICE=%s is not accepted: %s", settings.device, error)  # noqa: TRY400 - the message suffices
        return INVALID
    except WorkerError as error:
        logger.error("%s", error)  # noqa: TRY400 - as above
        return 1


def run(settings: WorkerSettings, metrics: WorkerMetrics) -> bool:
    """Load the model and serve it; after running out of a GPU's memory again with half the capacity. Raises WorkerError."""
    capacity = settings.capacity
    while True:
        pipeline = load(settings, capacity)
        try:
            return serve(settings, pipeline, metrics)
        except BoardTooLargeError as error:
            capacity = pipeline.capacity // 2
            if not capacity:
                raise StartError(f"not even one row of {settings.model} fits in memory: {error}") from error
            logger.warning("out of memory, loading %s again with a capacity of %d: %s", settings.model, capacity, error)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)  # as at the first start, until it serves again
        del pipeline
        release_memory()


def load(settings: WorkerSettings, capacity: int | None = None) -> Pipeline:
    """Return the model, compiled: no job waits for a compiler. Raises StartError."""
    folder, artefacts = settings.models / settings.model, settings.artefacts if settings.compile else None
    try:
        load_named_card(folder)
        return Pipeline.load(
            folder,
            device=settings.device,
            capacity=capacity or fitting_capacity(folder, settings.device, artefacts),
            threads=settings.threads or whole_cores(),
            artefacts=artefacts,
        )
    except CheckpointError as error:
        raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(
            f"{error.filename}: {error.strerror}; SPN_ARTEFACTS must be a folder that can be written"
        ) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise StartError(f"{settings.model} does not fit in memory; set SPN_CAPACITY to less: {error}") from error
        raise


def serve(settings: WorkerSettings, pipeline: Pipeline, metrics: WorkerMetrics) -> bool:
    """Serve jobs of `settings.model` until a signal comes; return whether one came. Raises WorkerError."""
    connection, drain_seconds = retrying_client(settings.redis_url), settings.drain_seconds
    worker = TicketWorker(settings.model, connection=connection, drain_seconds=drain_seconds)
    terms = LeaseTerms(
        weights=pipeline.card.sha256,
        numerics=pipeline.numerics,
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
    )
    client = retrying_client(settings.redis_url)
    publisher = BatchLog(client, model=settings.model, terms=terms, observer=metrics)
    sampler = GuardedSampler(MeasuredSampler(pipeline, metrics.round), pipeline.device)
    pace = PaceEstimator(client, model=settings.model, capacity=pipeline.capacity, threads=pipeline.threads.count)
    rehearse(pipeline, pace)
    with heartbeat(settings, worker.name) as beating:
        worker.batch = Batch(sampler, publisher=publisher, heartbeat=beating, tickets=worker, pace=pace)
        logger.info("ready: %s on %s, capacity %d", settings.model, settings.device, pipeline.capacity)
        worker.work(logging_level="WARNING")
    if worker.failure:
        raise worker.failure
    return worker.stopping


def heartbeat(settings: WorkerSettings, name: str) -> Heartbeat:
    """Return the thread that renews leases. Its client gives up before a lease runs out; the next beat tries again."""
    seconds, retry = settings.heartbeat_seconds, Retry(NoBackoff(), retries=1)
    client = redis.Redis.from_url(
        settings.redis_url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=retry
    )
    return Heartbeat(
        client,
        model=settings.model,
        worker=name,
        lease_seconds=settings.lease_seconds,
        seconds=settings.heartbeat_seconds,
    )


def retrying_client(url: str) -> redis.Redis:
    """Return a client that retries until Redis answers."""
    return redis.Redis.from_url(url, retry=Backoff())


if __name__ == "__main__":
    sys.exit(main())
