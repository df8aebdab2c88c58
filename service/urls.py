"""Relative URLs of the API, as its answers and the webhooks give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from pydantic import BaseModel


class JobUrls(BaseModel):
    """URLs of a job: its state, its events, and its cancellation by DELETE."""

    self: str
    events: str
    cancel: str


@dataclass(frozen=True, kw_only=True)
class JobLinks:
    """URLs of one job. `root` is the path prefix of the server, `sig` the signature that replaces a key."""

    job: str
    root: str = ""
    sig: str = ""

    @property
    def here(self) -> str:
        """Return the URL of the job."""
        return f"{self.root}/jobs/{self.job}"

    @property
    def urls(self) -> JobUrls:
        """Return the URLs as the job's body has them."""
        signed = query_of(sig=self.sig)
        return JobUrls(self=f"{self.here}{signed}", events=f"{self.here}/events{signed}", cancel=self.here)

    def image(self, index: int, slices: int | None = None, *, options: Mapping[str, str | int] | None = None) -> str:
        """Return the URL of one image: after `slices` slices, or with None its current state; `options` as of an export."""
        return f"{self.here}/images/{index}{query_of(slices=slices, **options or {}, sig=self.sig)}"


def query_of(**parameters: str | int | None) -> str:
    """Return the query string of all parameters that are not empty, or an empty string."""
    sent = {name: value for name, value in parameters.items() if value}
    return f"?{urlencode(sent)}" if sent else ""
