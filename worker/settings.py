"""What an operator can set about a worker: environment variables, prefix SPN_."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.cards import WEIGHTS
from service.contract.logs import LogFormat

Device = Annotated[str, StringConstraints(pattern=r"^(cpu|cuda(:\d+)?)$")]


class WorkerSettings(BaseSettings):
    """One worker process serves one model on one device."""

    model_config = SettingsConfigDict(env_prefix="SPN_", frozen=True, extra="ignore", env_ignore_empty=True)

    redis_url: str = Field(default="redis://127.0.0.1:6379/0", description="Redis shared by the API and all workers.")
    models: Path = Field(default=WEIGHTS, description="Folder with one folder per model.")
    model: str = Field(default="symbols-64", description="The model this worker serves.")
    device: Device = Field(default="cpu", description="Torch device: cpu, cuda, cuda:1.")
    threads: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Pictures drawn at the same time on a CPU, a thread each. Unset: one for each core.",
    )
    capacity: int | None = Field(
        default=None,
        ge=4,
        le=4096,
        description="Pictures that advance together in one batch. Unset: 16, on a GPU by its measure.",
    )
    compile: bool = Field(default=True, description="Compile the sampler at start, where there is a C++ compiler.")
    artefacts: Path = Field(default=Path(".cache/passes"), description="Folder where compiled code is kept.")
    lease_seconds: float = Field(
        default=8, ge=1, le=600, description="A worker that is silent for this many seconds loses its jobs."
    )
    heartbeat_seconds: float = Field(
        default=2, ge=0.1, le=60, description="Seconds between renewals of all leases; a quarter of the lease at most."
    )
    max_attempts: int = Field(
        default=3, ge=1, le=100, description="Attempts without a single new slice before a job fails."
    )
    drain_seconds: float = Field(
        default=20,
        ge=0.1,
        le=3600,
        description="Seconds after SIGTERM in which a worker hands its jobs back; then it leaves them as they are.",
    )
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="Port of Prometheus metrics; 0: none.",
    )
    metrics_host: str = Field(default="127.0.0.1", description="Address of that port.")
    log_format: LogFormat = Field(default=LogFormat.TEXT, description="text, or json: one object per line.")
