"""Readable names of a job's images."""

from __future__ import annotations

import re

from models.config import LABEL
from service.contract.request import JobRequest

_SHOWN = (LABEL, "hue", "tile")


def title(request: JobRequest, index: int) -> str:
    """Return what an image shows, for screen readers: its label, else its model."""
    return request.controls[index].get(LABEL, request.model)


def file_name(request: JobRequest, index: int) -> str:
    """Return a file name without its ending, such as home-blue-circle-7, of letters, digits and hyphens alone."""
    parts = [*(request.controls[index].get(name, "") for name in _SHOWN), str(request.seed + index)]
    plain = (re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-") for part in parts)
    return "-".join(part for part in plain if part)
