"""Body of a problem (RFC 9457), as the API and the webhooks send it."""

from __future__ import annotations

from pydantic import BaseModel

from service.contract.record import Problem


class ProblemBody(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[dict[str, str]] | None = None


def problem_of(problem: Problem, instance: str) -> ProblemBody:
    """Return the body that says why a job failed; `instance` is the job's URL."""
    return ProblemBody(
        type=problem.type, title=problem.title, status=problem.status, detail=problem.detail, instance=instance
    )
