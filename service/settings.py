"""What an operator can set about the API: environment variables, prefix SPN_."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.cards import WEIGHTS
from service.logs import LogFormat


class ServiceSettings(BaseSettings):
    """One API process; any number of them may share a Redis."""

    model_config = SettingsConfigDict(env_prefix="SPN_", frozen=True, extra="ignore")

    redis_url: str = Field(default="redis://127.0.0.1:6379/0", description="Redis shared by the API and all workers.")
    models: Path = Field(default=WEIGHTS, description="Folder with one folder per model.")
    model: str = Field(default="symbols-32", description="The model of requests that name none.")
    host: str = Field(default="127.0.0.1", description="Address to listen on. Without keys keep it on loopback.")
    port: int = Field(default=8000, ge=1, le=65_535, description="Port to listen on.")
    queue_bound: int = Field(
        default=1000, ge=1, le=1_000_000, description="Jobs of a model that may wait; more are refused with 503."
    )
    retention_seconds: int = Field(
        default=86_400, ge=1, le=31_536_000, description="Seconds a job is kept after it ended."
    )
    reaper_seconds: float = Field(
        default=1, ge=0.1, le=60, description="Seconds between searches for jobs that lost their worker or ticket."
    )
    ticket_seconds: float = Field(
        default=5,
        ge=0.5,
        le=600,
        description="Seconds a ticket taken from the queue may go without its job being begun.",
    )
    log_format: LogFormat = Field(default=LogFormat.TEXT, description="text, or json: one object per line.")
