"""What an operator can set about the API: environment variables, prefix SPN_."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.cards import WEIGHTS
from service.destinations import AllowedHost
from service.signature import signing_key


def usable(secret: SecretStr | None) -> SecretStr | None:
    """None for an empty one. Raises ValueError for one that cannot sign."""
    if secret is None or not secret.get_secret_value():
        return None
    signing_key(secret.get_secret_value())
    return secret


def split(value: object) -> object:
    """The items of a comma-separated list."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def host_pattern(pattern: str) -> str:
    """`pattern`, if it is one. Raises ValueError."""
    AllowedHost.parse(pattern)
    return pattern


class ServiceSettings(BaseSettings):
    """One API process; any number of them may share a Redis."""

    model_config = SettingsConfigDict(env_prefix="SPN_", frozen=True, extra="ignore", hide_input_in_errors=True)

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
