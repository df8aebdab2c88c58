"""Log of both processes: lines for a person, or one JSON object per line for a collector."""

from __future__ import annotations

import logging
from enum import StrEnum
from functools import lru_cache

from pythonjsonlogger.json import JsonFormatter

TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"


LOUD = ("httpx", "httpcore", "uvicorn.access")
"""Libraries that log URLs with their query, which may hold a secret of a webhook's receiver or a signature."""


class LogFormat(StrEnum):
    """Format of the log."""

    TEXT = "text"
    JSON = "json"


def configure(format: LogFormat) -> None:  # noqa: A002 - its name among the settings
    """Send the whole log of this process to stderr; only entry points call this. In JSON, `extra` becomes fields."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(format))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for library in LOUD:
        logging.getLogger(library).setLevel(logging.WARNING)


def formatter(format: LogFormat) -> logging.Formatter:  # noqa: A002 - as above
    """Return a formatter: JSON with time (RFC 3339 UTC), level, logger and message, or text."""
    if format is LogFormat.TEXT:
        return logging.Formatter(TEXT)
    names = {"levelname": "level", "name": "logger"}
    return JsonFormatter([*names, "message"], rename_fields=names, timestamp="time")


@lru_cache(maxsize=1000)
def warn_once(logger: str, message: str) -> None:
    """Log a warning unless this process has logged the same one recently."""
    logging.getLogger(logger).warning("%s", message)
