"""What each worker did: its transitions, written by the workers themselves (`rehearsal`) and read here."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from pathlib import Path

JOURNAL = "journal"
"""The file, in a stand's folder."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the journal: a worker's transition, sent at so many seconds since 1970, and its outcome."""

    at: float
    pid: int
    transition: str
    job: str
    token: str
    outcome: str

    def encode(self) -> str:
        """With its end; written at once, by several processes to one file."""
        return " ".join(map(str, astuple(self))) + "\n"

    @classmethod
    def decode(cls, text: str) -> Line:
        """From `encode`."""
        at, pid, *words = text.split()
        return cls(
            at=float(at), pid=int(pid), **dict(zip(("transition", "job", "token", "outcome"), words, strict=True))
        )


def lines(folder: Path, *, since: float) -> list[Line]:
    """Those of all workers, from some time on."""
    return [line for line in map(Line.decode, (folder / JOURNAL).read_text().splitlines()) if line.at >= since]
