"""The settings of a worker: environment variables with the prefix SPN_."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.cards import WEIGHTS
from service.contract.environment import RedisUrl
from service.contract.listening import ListeningAddress
from service.contract.logs import LogFormat

BEATS_PER_LEASE = 4
"""The least number of heartbeats in a lease, so that a worker that misses two keeps its jobs."""


def device_name(value: str) -> str:
    """Return `value`, if it is the name of a device that a worker can use. Raises ValueError."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", value):
        raise ValueError("expected cpu, cuda or cuda:N")
    return value


class WorkerSettings(BaseSettings):
    """The settings of one worker process, which serves one model on one device."""

    model_config = SettingsConfigDict(env_prefix="SPN_", frozen=True, extra="ignore", env_ignore_empty=True)

    redis_url: RedisUrl = Field(
        default="redis://127.0.0.1:6379/0", description="URL of the Redis that the API and all workers share."
    )
    models: Path = Field(default=WEIGHTS, description="Folder that has one folder for each model.")
    model: str = Field(default="symbols-64", description="Name of the model that this worker serves.")
    device: Annotated[str, AfterValidator(device_name)] = Field(
        default="cpu", description="Torch device: cpu, cuda, or one of several GPUs such as cuda:1."
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Threads on a CPU; each generates images of its own. Unset: one for each core.",
    )
    capacity: int | None = Field(
        default=None,
        ge=4,
        le=4096,
        description="Lanes that advance together in a round. Unset: 16; on a GPU measured at start.",
    )
    compile: bool = Field(
        default=True,
        description="Whether the sampler is compiled at start. Without a C++ compiler it runs in torch, many times slower.",
    )
    artefacts: Path = Field(
        default=Path(".cache/passes"),
        description="Folder that keeps compiled code; the worker must be able to write to it.",
    )
    lease_seconds: float = Field(
        default=8, ge=1, le=600, description="Seconds without a heartbeat after which a worker loses its jobs."
    )
    heartbeat_seconds: float = Field(
        default=2,
        ge=0.1,
        le=60,
        description="Seconds between heartbeats, which renew all leases; at most a quarter of SPN_LEASE_SECONDS.",
    )
    max_attempts: int = Field(
        default=3, ge=1, le=100, description="Attempts without a new slice after which a job fails."
    )
    drain_seconds: float = Field(
        default=20,
        ge=0.1,
        le=3600,
        description="Seconds that a worker has after SIGTERM to return its jobs; then it exits and their leases run out.",
    )
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="Port that serves Prometheus metrics; 0: none.",
    )
    metrics_host: ListeningAddress = Field(default="127.0.0.1", description="Address of the metrics port.")
    log_format: LogFormat = Field(
        default=LogFormat.TEXT, description="Format of the log: text, or json with one object per line."
    )

    @model_validator(mode="after")
    def check_heartbeat(self) -> Self:
        """Raise ValueError for a heartbeat so slow that a single late one could cost all jobs in hand."""
        if self.heartbeat_seconds * BEATS_PER_LEASE > self.lease_seconds:
            raise ValueError(
                f"SPN_HEARTBEAT_SECONDS={self.heartbeat_seconds:g} is not accepted: expected at most a quarter of "
                f"SPN_LEASE_SECONDS={self.lease_seconds:g}, that is {self.lease_seconds / BEATS_PER_LEASE:g}"
            )
        return self
