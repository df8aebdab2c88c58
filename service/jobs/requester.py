"""Requesters: who may see a job."""

from __future__ import annotations

from dataclasses import dataclass

from service.contract.request import JobRequest


@dataclass(frozen=True)
class JobOwner:
    """Requester with an API key, by the key's name: sees the jobs of that name. "" where no keys are configured."""

    name: str

    def may_see(self, request: JobRequest) -> bool:
        """Return whether the job is the owner's own."""
        return request.owner == self.name


@dataclass(frozen=True)
class SignatureHolder:
    """Requester with the signature of one job: sees that job alone."""

    job: str

    def may_see(self, request: JobRequest) -> bool:
        """Return whether the signature is that of the job."""
        return request.id == self.job


Requester = JobOwner | SignatureHolder
