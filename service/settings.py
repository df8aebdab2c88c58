"""Settings of the API: environment variables with the prefix SPN_."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.cards import WEIGHTS
from service.api_keys import KeyHash, key_hashes
from service.cells.cell_map import CELL_NAME, CellAddress
from service.contract.environment import RedisUrl
from service.contract.listening import ListeningAddress
from service.contract.logs import LogFormat
from service.destinations import AllowedHost
from service.results.location import ResultsLocation
from service.webhooks.signature import WebhookSecrets

KEYED_RATE = 120
"""Submits per minute of a key where nothing is set."""

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/,*\s]+")
ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]+\]")
LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")


def split(value: object) -> object:
    """Return the items of a comma-separated list."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def host_name(value: str) -> str:
    """Return `value` if a Host header can have it as its host. Raises ValueError."""
    if not HOST.fullmatch(value):
        raise ValueError(f"expected names like studio.example or [::1], without scheme, port or *, got {value!r}")
    return value


def origin(value: str) -> str:
    """Return `value` if it is an origin of any scheme. Raises ValueError."""
    if not ORIGIN.fullmatch(value):
        raise ValueError(f"expected origins like https://studio.example:8443, without path or *, got {value!r}")
    return value


def usable(secret: SecretStr | None) -> SecretStr | None:
    """Return `secret` if it can sign. Raises ValueError."""
    if secret is not None:
        WebhookSecrets.parse(secret.get_secret_value())
    return secret


def host_pattern(pattern: str) -> str:
    """Return `pattern` if it is valid. Raises ValueError."""
    AllowedHost.parse(pattern)
    return pattern


def cell_name(value: str) -> str:
    """Return `value` if it is empty or the name of a cell. Raises ValueError."""
    if value and not CELL_NAME.fullmatch(value):
        raise ValueError(f"expected two hexadecimal digits, such as 00, got {value!r}")
    return value


def cell_address(value: object) -> object:
    """Return the cell of a text like `00=http://api-00:8000`. Raises ValueError."""
    return CellAddress.parse(value) if isinstance(value, str) else value


def path_prefix(value: str) -> str:
    """Return `value` without a slash at its end if it is the path of a URL. Raises ValueError."""
    prefix = value.rstrip("/")
    if not ROOT_PATH.fullmatch(prefix):
        raise ValueError(f"expected a path like /spn, got {value!r}")
    return prefix


class ServiceSettings(BaseSettings):
    """One API process; any number of them may share a Redis."""

    model_config = SettingsConfigDict(
        env_prefix="SPN_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    redis_url: RedisUrl = Field(
        default="redis://127.0.0.1:6379/0", description="URL of the Redis that the API and all workers share."
    )
    models: Path = Field(default=WEIGHTS, description="Folder that has one folder for each model.")
    model: str = Field(default="symbols-64", description="The model of requests that name none.")
    cell: Annotated[str, AfterValidator(cell_name)] = Field(
        default="",
        description="Name of the cell of SPN_REDIS_URL: two hexadecimal digits, with which the ids of its jobs begin.",
    )
    cells: Annotated[
        tuple[Annotated[CellAddress, BeforeValidator(cell_address)], ...], NoDecode, BeforeValidator(split)
    ] = Field(
        default=(),
        description="All cells with the URLs of their APIs, `00=http://api-00:8000`, by commas, alike in all. Unset: one.",
    )
    host: ListeningAddress = Field(
        default="127.0.0.1", description="Address to listen on. Without keys keep it on loopback."
    )
    port: int = Field(default=8000, ge=1, le=65_535, description="Port to listen on.")
    root_path: Annotated[str, AfterValidator(path_prefix)] = Field(
        default="", description="Path prefix under which a proxy publishes the API, such as /spn. Unset: none."
    )
    hosts: Annotated[tuple[Annotated[str, AfterValidator(host_name)], ...], NoDecode, BeforeValidator(split)] = Field(
        default=(),
        description="Accepted Host headers, without port. Unset: loopback names if on loopback without keys, else all.",
    )
    max_connections: int = Field(
        default=4096,
        ge=16,
        le=1_000_000,
        description="Open HTTP connections of a process. At most its limit of open files minus 256.",
    )
    keep_alive_seconds: int = Field(
        default=75,
        ge=1,
        le=3600,
        description="Seconds for which an idle connection stays open. Keep it above a load balancer's, often 60.",
    )
    queue_bound: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="Jobs of a model that may wait; then 503, but for an owner of whom none waits.",
    )
    retention_seconds: int = Field(
        default=86_400, ge=1, le=31_536_000, description="Seconds for which a job is kept after its end."
    )
    results: ResultsLocation | None = Field(
        default=None,
        description="Object store of ended jobs: a folder, or s3://, gs:// or az:// with bucket and prefix. Unset: Redis.",
    )
    results_redis_seconds: float = Field(
        default=300,
        ge=1,
        le=86_400,
        description="Seconds for which Redis keeps an ended job that is in the object store.",
    )
    reaper_seconds: float = Field(
        default=1,
        ge=0.1,
        le=60,
        description="Seconds between two searches for jobs that have lost their worker or ticket.",
    )
    webhook_secret: Annotated[SecretStr | None, AfterValidator(usable)] = Field(
        default=None,
        description="Secret of webhooks: whsec_ and the base64 of 24 to 64 random bytes; new,old to replace it. Unset: none.",
    )
    webhook_hosts: Annotated[
        tuple[Annotated[str, AfterValidator(host_pattern)], ...], NoDecode, BeforeValidator(split)
    ] = Field(
        default=(),
        description="Receivers that may be private and plain http: host, host:port or *.domain, by commas.",
    )
    keys: Annotated[tuple[KeyHash, ...], NoDecode, BeforeValidator(key_hashes)] = Field(
        default=(),
        repr=False,
        description="API keys, `name:sha256` by commas; `name:sha256:3` has three times the share. Unset: open to all.",
    )
    secret: Annotated[SecretStr, Field(min_length=16)] | None = Field(
        default=None,
        description="Secret that signs the URLs of images and events, alike in all processes. Unset: derived from the keys.",
    )
    rate_per_minute: int | None = Field(
        default=None,
        ge=0,
        le=100_000,
        description=f"Submits of an owner per minute, refused ones too; 0: no limit. Unset: {KEYED_RATE} with keys, else 0.",
    )
    concurrency: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="Queued and running jobs of an owner; 0: no limit. Unset: half of SPN_QUEUE_BOUND with keys, else 0.",
    )
    deadline_seconds: int = Field(
        default=3600,
        ge=1,
        le=31_536_000,
        description="Seconds from submit to end. A job that takes longer fails.",
    )
    cors_origins: Annotated[tuple[Annotated[str, AfterValidator(origin)], ...], NoDecode, BeforeValidator(split)] = (
        Field(
            default=(),
            description="Origins of pages that may use the API, of any scheme, by commas.",
        )
    )

    log_format: LogFormat = Field(
        default=LogFormat.TEXT, description="Format of the log: text, or json with one object per line."
    )

    @model_validator(mode="after")
    def check_cells(self) -> Self:
        """Raise ValueError for cells with one name, or a process that is of none of them."""
        names = [each.name for each in self.cells]
        if len(set(names)) < len(names):
            raise ValueError(f"SPN_CELLS has a cell twice: {', '.join(names)}")
        if names and self.cell not in names:
            raise ValueError(
                f"SPN_CELL={self.cell!r} is not accepted: expected a cell of SPN_CELLS, {' or '.join(names)}"
            )
        return self

    @property
    def submits_per_minute(self) -> int:
        """Return the rate limit that applies; 0: none."""
        if self.rate_per_minute is None:
            return KEYED_RATE if self.keys else 0
        return self.rate_per_minute

    @property
    def jobs_per_owner(self) -> int:
        """Return the concurrency limit that applies; 0: none."""
        if self.concurrency is None:
            return max(1, self.queue_bound // 2) if self.keys else 0
        return self.concurrency

    @property
    def local(self) -> bool:
        """Return whether only this machine reaches the API, without keys: then a browser's pages are its one danger."""
        return not self.keys and bool(LOOPBACK.fullmatch(self.host))
