"""Which cell has a job, and which cells take a submit (docs/decisions/027-cells.md).

A cell is one Redis with its API processes and workers. The id of a job begins with its cell.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

CELL_HEADER = "X-SPN-Cell"
"""Header of a request that one cell sends to another: the name of the other. It is answered there and not sent on."""

CELL_DIGITS, ID_DIGITS = 2, 24
"""Hexadecimal digits of a cell's name, and of an id after it."""

CELL_NAME = re.compile(rf"[0-9a-f]{{{CELL_DIGITS}}}")
_JOB_PATH = re.compile(rf"/jobs/([0-9a-f]{{{ID_DIGITS},{CELL_DIGITS + ID_DIGITS}}})(?:/.*)?", re.DOTALL)


class OtherCellError(Exception):
    """The request belongs to another cell. It never reaches a caller: the middleware sends the request on."""

    def __init__(self, cell: str) -> None:
        super().__init__(f"the request belongs to cell {cell}")
        self.cell = cell


@dataclass(frozen=True, kw_only=True)
class CellAddress:
    """A cell, and the URL of its API."""

    name: str
    url: str

    @classmethod
    def parse(cls, text: str) -> CellAddress:
        """Read `00=http://api-00:8000`. Raises ValueError."""
        name, _, url = text.partition("=")
        if not CELL_NAME.fullmatch(name) or not re.fullmatch(r"https?://[^/\s?#@]+", url.rstrip("/")):
            raise ValueError(f"expected cells like 00=http://api-00:8000, by commas, got {text!r}")
        return cls(name=name, url=url.rstrip("/"))


@dataclass(frozen=True, kw_only=True)
class CellMap:
    """The cells of a service, with the URLs of their APIs. `own` is the cell of this process; "" where there are none."""

    own: str = ""
    urls: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, own: str, addresses: tuple[CellAddress, ...]) -> CellMap:
        """Return the map of the settings."""
        return cls(own=own, urls={each.name: each.url for each in addresses})

    @property
    def others(self) -> tuple[str, ...]:
        """Return all cells but this one."""
        return tuple(cell for cell in self.urls if cell != self.own)

    def new_id(self) -> str:
        """Return an id for a job of this cell."""
        return self.own + secrets.token_hex(ID_DIGITS // 2)

    def of_job(self, job: str) -> str:
        """Return the cell of a job. An id without a cell, older than the cells, is of the first one.

        Any other id is of this cell, which knows no such job.
        """
        match len(job) - ID_DIGITS:
            case 0:
                return next(iter(self.urls), self.own)
            case more if more == CELL_DIGITS and job[:CELL_DIGITS] in self.urls:
                return job[:CELL_DIGITS]
            case _:
                return self.own

    def of_path(self, path: str) -> str:
        """Return the cell of the job that a path names, else this one."""
        found = _JOB_PATH.fullmatch(path)
        return self.of_job(found[1]) if found else self.own

    def home(self, *, owner: str, key: str | None) -> str:
        """Return the cell that decides about a submit: with an Idempotency-Key the same for all its retries."""
        return self._ranked(owner, key)[0] if self.urls and key else self.own

    def second(self, *, owner: str, key: str | None, forwarded: bool) -> str:
        """Return the cell that takes a submit when the queue of this one is full; "" for none.

        A submit with a key moves from its home alone, one without a key once.
        """
        if not self.others:
            return ""
        if key:
            home, second, *_ = self._ranked(owner, key)
            return second if home == self.own else ""
        return "" if forwarded else secrets.choice(self.others)

    def _ranked(self, owner: str, key: str | None) -> list[str]:
        """Return the cells in the order of a key (rendezvous hashing): a new cell takes over only keys that it ranks first."""
        return sorted(self.urls, key=lambda cell: hashlib.sha256(f"{cell}\n{owner}\n{key}".encode()).digest())
