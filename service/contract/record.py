"""Record of a job: a hash in Redis that holds its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import TypeAdapter

from service.contract.request import JobRequest
from service.contract.statuses import Status


class UnreadableRecordError(ValueError):
    """A record that this release cannot decode: of a newer release, or damaged."""


Fields = Mapping[Any, Any]
"""A hash, or the body of a stream entry, as Redis returns it."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Reason why a job failed, after RFC 9457."""

    type: str
    title: str
    detail: str
    status: int = 500

    def to_json(self) -> bytes:
        """Return the record's `error` field."""
        return _PROBLEM.dump_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Problem:
        """Read the record's `error` field."""
        return _PROBLEM.validate_json(text)


OVERDUE = Problem(
    type="urn:spn:deadline",
    title="Deadline passed",
    detail="The job had not ended at its deadline. The slices until then are kept.",
    status=504,
)


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """State of a job. Times are milliseconds since 1970 by Redis' clock, 0 for not yet. `done` and `scores` are per image.

    A score is the verifier's probability of the requested label; None without a verifier, a label or a base slice.
    `idempotency`: the key in Redis of its Idempotency-Key, "" without one.
    """

    request: JobRequest
    status: Status
    created_at: int
    started_at: int
    finished_at: int
    expires_at: int
    lease_until: int
    attempts: int
    weights: str
    numerics: str
    last_id: str
    idempotency: str
    done: tuple[int, ...]
    scores: tuple[float | None, ...]
    error: Problem | None

    @classmethod
    def decode(cls, fields: Fields) -> Self:
        """Read the record's hash; fields of newer releases are ignored. Raises UnreadableRecordError."""
        try:
            text = {key.decode(): value.decode() for key, value in fields.items()}
        except UnicodeDecodeError as error:
            raise UnreadableRecordError("the record is not UTF-8") from error
        return cls.of(text)

    @classmethod
    def of(cls, text: Mapping[str, str]) -> Self:
        """Read the fields as text. Raises UnreadableRecordError."""
        try:
            return cls._of(text)
        except (LookupError, ValueError, RecursionError) as error:
            raise UnreadableRecordError(f"the record cannot be decoded: {type(error).__name__}") from error

    @classmethod
    def _of(cls, text: Mapping[str, str]) -> Self:
        request = JobRequest.from_json(text["request"])
        return cls(
            request=request,
            status=Status(text["status"]),
            **{name: int(text.get(name) or 0) for name in _COUNTS},
            weights=text.get("weights", ""),
            numerics=text.get("numerics", ""),
            last_id=text.get("last_id", ""),
            idempotency=text.get("idempotency", ""),
            done=tuple(int(text[f"done:{image}"]) for image in range(request.num_images)),
            scores=tuple(score_of(text.get(f"score:{image}", "")) for image in range(request.num_images)),
            error=Problem.from_json(text["error"]) if text.get("error") else None,
        )


def score_of(text: str) -> float | None:
    """Read a score as the record and the stream write it: empty for none."""
    return float(text) if text else None


_PROBLEM = TypeAdapter(Problem)
_COUNTS = (
    "created_at",
    "started_at",
    "finished_at",
    "expires_at",
    "lease_until",
    "attempts",
)
