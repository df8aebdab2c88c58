"""Table of all refusals: `python -m service.api.openapi.refusals > docs/refusals.md`.

A test provokes each and compares the page.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from service.api.openapi.examples import ERRORS, TOO_LONG
from service.api.problems import INTERNAL_ERROR
from service.errors import ServiceError

TEST = "tests/service/api/openapi/test_refusals.py"

PREFACE = f"""# Refusals

Every answer from 400 on is `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, `instance`. If
fields are wrong, `errors` lists each `field` with a `message`. Branch on `type`; where that is `about:blank`, on
`status`. `detail` is for people and may change. 429 and 503 carry `Retry-After` in seconds. A refused request was not
accepted: send it again, best with the same `Idempotency-Key`.

`python -m service.api.openapi.refusals` makes this page from the errors in the code. `{TEST}`
provokes each of them over HTTP; the last column names its test. Refused as `about:blank` before there is a request:
400 malformed HTTP, 408 a request that arrives too slowly, 431 headers that are too long, 503 too many connections or a
server that stops (`tests/service/test_connections.py`).

| status | type | when | example of `detail` | test |
|---|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One row of the table; `name` is also the name of its test."""

    name: str
    status: int
    type: str
    when: str
    detail: str

    @classmethod
    def of(cls, error: ServiceError) -> Self:
        """Return the row of one of our errors."""
        name = type(error).__name__.removesuffix("Error")
        return cls(name=name, status=error.status, type=error.type, when=occasion(error), detail=str(error))

    @classmethod
    def plain(cls, name: str, status: int, *, when: str, detail: str) -> Self:
        """Return a row without a type of its own: the status says it all."""
        return cls(name=name, status=status, type="about:blank", when=when, detail=detail)

    @property
    def row(self) -> str:
        """Return the row in Markdown."""
        detail = self.detail.replace("|", "\\|")
        return f"| {self.status} | `{self.type}` | {self.when} | {detail} | `{self.name}` |\n"


def occasion(error: ServiceError) -> str:
    """Return the first sentence of the error's docstring."""
    return " ".join((type(error).__doc__ or "").split(".")[0].split())


PLAIN = (
    Refusal.plain("NoSuchPath", 404, when="There is nothing at this path", detail=HTTPStatus(404).phrase),
    Refusal.plain("NoSuchMethod", 405, when="The path has other methods, see `Allow`", detail="Method Not Allowed"),
    Refusal.plain("TooLong", TOO_LONG["status"], when="The body is over 1 MiB", detail=TOO_LONG["detail"]),
    Refusal.plain(
        "ForeignHost",
        421,
        when="The `Host` header is not one of this server's: of loopback, or of `SPN_HOSTS`",
        detail="This server accepts requests for localhost and 127.0.0.1. Its operator can add other hosts to SPN_HOSTS.",
    ),
    Refusal.plain(
        "Unexpected",
        500,
        when="A fault of the server. Its log has the details, under the answer's `X-Request-ID`",
        detail=INTERNAL_ERROR,
    ),
)

ALL = tuple(sorted((*map(Refusal.of, ERRORS), *PLAIN), key=lambda each: (each.status, each.type, each.name)))


def page() -> str:
    """Return the page in Markdown."""
    return PREFACE + "".join(refusal.row for refusal in ALL)


if __name__ == "__main__":
    sys.stdout.write(page())
