"""All refusals as a table: `python -m service.api.openapi.refusals > docs/refusals.md`.

A test provokes each and compares the page.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from service.api.openapi.examples import ERRORS, TOO_LONG
from service.errors import ServiceError

TEST = "tests/service/api/openapi/test_refusals.py"

PREFACE = f"""# Refusals

Every answer of 400 and above is `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, `instance`,
and `errors` [{{field, message}}] where fields are at fault. Branch on `type`; where that is `about:blank`, on `status`.
`detail` is for people and may change. 429 and 503 carry `Retry-After` in seconds. What was refused was not accepted: the same
request may be sent again, best with the same `Idempotency-Key`.

Made from the errors themselves by `python -m service.api.openapi.refusals`. Each is provoked over HTTP by the test of its
name in `{TEST}`.

| status | type | when | example of `detail` | test |
|---|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One row; `name` is also its test's."""

    name: str
    status: int
    type: str
    when: str
    detail: str

    @classmethod
    def of(cls, error: ServiceError) -> Self:
        """Of one of ours. When it comes stands beside it in the tree of `service.errors`."""
        name = type(error).__name__.removesuffix("Error")
        return cls(name=name, status=error.status, type=error.type, when=occasion(error), detail=str(error))

    @classmethod
    def plain(cls, name: str, status: int, *, when: str, detail: str) -> Self:
        """Of HTTP's own: the status says it all."""
        return cls(name=name, status=status, type="about:blank", when=when, detail=detail)

    @property
    def row(self) -> str:
        """Of the table."""
        detail = self.detail.replace("|", "\\|")
        return f"| {self.status} | `{self.type}` | {self.when} | {detail} | `{self.name}` |\n"


def occasion(error: ServiceError) -> str:
    """The docstring's first sentence."""
    return " ".join((type(error).__doc__ or "").split(".")[0].split())


PLAIN = (
    Refusal.plain("NoSuchPath", 404, when="There is nothing at this path", detail=HTTPStatus(404).phrase),
    Refusal.plain("NoSuchMethod", 405, when="The path knows other methods, see `Allow`", detail="Method Not Allowed"),
    Refusal.plain("TooLong", TOO_LONG["status"], when="The body is over 1 MiB", detail=TOO_LONG["detail"]),
    Refusal.plain(
        "Unexpected",
        500,
        when="A fault of the server, told in its log under the answer's `X-Request-ID`",
        detail="Something went wrong here; the server's log knows more.",
    ),
)

ALL = tuple(sorted((*map(Refusal.of, ERRORS), *PLAIN), key=lambda each: (each.status, each.type, each.name)))


def page() -> str:
    """The page in Markdown."""
    return PREFACE + "".join(refusal.row for refusal in ALL)


if __name__ == "__main__":
    sys.stdout.write(page())
