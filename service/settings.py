"""What an operator can set about the API: environment variables, prefix SPN_."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.cards import WEIGHTS
from service.api_keys import KeyHash, key_hashes
from service.contract.logs import LogFormat
from service.destinations import AllowedHost
from service.webhooks.signature import signing_key

KEYED_RATE = 120
"""Submits per minute of a key where nothing is set."""

ORIGIN = re.compile(r"https?://[^/,*\s]+")


def split(value: object) -> object:
    """The items of a comma-separated list."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def origin(value: str) -> str:
    """`value`, if it is an origin. Raises ValueError."""
    if not ORIGIN.fullmatch(value):
        raise ValueError(f"expected origins like https://studio.example:8443, without a path or *, got {value!r}")
    return value


def usable(secret: SecretStr | None) -> SecretStr | None:
    """`secret`, if it can sign. Raises ValueError."""
    if secret is not None:
        signing_key(secret.get_secret_value())
    return secret


def host_pattern(pattern: str) -> str:
    """`pattern`, if it is one. Raises ValueError."""
    AllowedHost.parse(pattern)
    return pattern


class ServiceSettings(BaseSettings):
    """One API process; any number of them may share a Redis."""

    model_config = SettingsConfigDict(
        env_prefix="SPN_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    redis_url: str = Field(default="redis://127.0.0.1:6379/0", description="Redis shared by the API and all workers.")
    models: Path = Field(default=WEIGHTS, description="Folder with one folder per model.")
    model: str = Field(default="symbols-64", description="The model of requests that name none.")
    host: str = Field(default="127.0.0.1", description="Address to listen on. Without keys keep it on loopback.")
    port: int = Field(default=8000, ge=1, le=65_535, description="Port to listen on.")
    max_connections: int = Field(
        default=4096,
        ge=16,
        le=1_000_000,
        description="Open HTTP connections of a process; fewer if it may open fewer files, 192 of which are for other things.",
    )
    keep_alive_seconds: int = Field(
        default=75,
        ge=1,
        le=3600,
        description="Seconds an idle connection stays open. Keep it above the idle time of a load balancer in front, often 60.",
    )
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
    webhook_secret: Annotated[SecretStr | None, AfterValidator(usable)] = Field(
        default=None,
        description="Signs webhooks: whsec_ and the base64 of 24 to 64 random bytes. Without it none are accepted.",
    )
    webhook_hosts: Annotated[
        tuple[Annotated[str, AfterValidator(host_pattern)], ...], NoDecode, BeforeValidator(split)
    ] = Field(
        default=(),
        description="Receivers of webhooks that may be private and plain http: host, host:port or *.domain, by commas.",
    )
    keys: Annotated[tuple[KeyHash, ...], NoDecode, BeforeValidator(key_hashes)] = Field(
        default=(),
        repr=False,
        description="API keys as `name:sha256,name:sha256`, made by `python -m service.api_keys NAME`. None: open to all.",
    )
    secret: Annotated[SecretStr, Field(min_length=16)] | None = Field(
        default=None,
        description="What signs the URLs of pictures and events, alike in all API processes. Unset: follows from the keys.",
    )
    rate_per_minute: int | None = Field(
        default=None,
        ge=0,
        le=100_000,
        description=f"Jobs an owner may submit in any minute, 0 for any number. Unset: {KEYED_RATE} with keys, else 0.",
    )
    concurrency: int = Field(
        default=0, ge=0, le=1_000_000, description="Jobs of an owner that may be queued or running, 0 for any number."
    )
    deadline_seconds: int = Field(
        default=3600,
        ge=1,
        le=31_536_000,
        description="Seconds after its submit at which a job that has not ended fails.",
    )
    cors_origins: Annotated[tuple[Annotated[str, AfterValidator(origin)], ...], NoDecode, BeforeValidator(split)] = (
        Field(default=(), description="Origins whose pages may use the API from a browser, separated by commas.")
    )

    log_format: LogFormat = Field(default=LogFormat.TEXT, description="text, or json: one object per line.")

    @property
    def submits_per_minute(self) -> int:
        """The rate in force, 0 for any."""
        if self.rate_per_minute is None:
            return KEYED_RATE if self.keys else 0
        return self.rate_per_minute
