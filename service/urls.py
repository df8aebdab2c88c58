"""Where jobs and pictures are found."""

from __future__ import annotations

from urllib.parse import urlencode


def job_url(job: str) -> str:
    """Where a job is found."""
    return f"/jobs/{job}"


def image_url(job: str, index: int, slices: int | None = None, *, sig: str) -> str:
    """Where a picture is found: as it stands, or as it was after `slices`; `sig` opens it without a key."""
    return f"{job_url(job)}/images/{index}{query_of(slices=slices, sig=sig)}"


def query_of(**parameters: str | int | None) -> str:
    """The query of a URL, "" if all parameters are empty."""
    given = {name: value for name, value in parameters.items() if value}
    return f"?{urlencode(given)}" if given else ""
