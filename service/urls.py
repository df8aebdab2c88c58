"""Relative URLs of the API, as its answers and the webhooks give them."""

from __future__ import annotations

from urllib.parse import urlencode

from pydantic import BaseModel


class JobUrls(BaseModel):
    """URLs of a job: its state, its events, and its cancellation by DELETE."""

    self: str
    events: str
    cancel: str


def job_url(job: str) -> str:
    """Return the URL of a job."""
    return f"/jobs/{job}"


def image_url(job: str, index: int, slices: int | None, *, sig: str) -> str:
    """Return the URL of one image of a job: after `slices` slices, or with None its current state."""
    return f"{job_url(job)}/images/{index}{query_of(slices=slices, sig=sig)}"


def query_of(**parameters: str | int | None) -> str:
    """Return the query string of all parameters that are not empty, or an empty string."""
    sent = {name: value for name, value in parameters.items() if value}
    return f"?{urlencode(sent)}" if sent else ""
