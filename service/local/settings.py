"""The setting of `service.local` itself; its processes read their own."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class LocalSettings(BaseSettings):
    """The environment variables of `make serve`, without a prefix."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    port: int = Field(
        default=8000, ge=1, le=65_535, description="Port of this machine's loopback where the API listens."
    )
