"""Access: the key of a request, and the signatures of URLs that are requested without one.

A browser's EventSource and <img> cannot send headers. So the URLs of a job, its events and its images carry a signature
of the job's id. It opens these and nothing else, for as long as the job is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from service.api_keys import KeyHash, sha256_of
from service.errors import MissingKeyError, SignatureError, UnknownJobError, UnknownKeyError
from service.jobs.requester import JobOwner, Requester, SignatureHolder

ID = re.compile(r"[0-9a-f]{1,64}")
OPEN = ""
"""The owner of all jobs where no keys are configured."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Accepted keys and the secret that signs URLs. Without keys every request is accepted and nothing is signed."""

    keys: tuple[KeyHash, ...] = ()
    secret: bytes

    @classmethod
    def of(cls, keys: tuple[KeyHash, ...], secret: str | None) -> Access:
        """Return the rules for `keys`. Without a secret, one is derived from their hashes, alike in all processes."""
        hashes = "\n".join(sorted(each.sha256 for each in keys))
        return cls(keys=keys, secret=hashlib.sha256((secret or f"spn:{hashes}").encode()).digest())

    def owner(self, key: str | None) -> str:
        """Return the owner of a key, in the same time for all keys. Raises MissingKeyError, UnknownKeyError."""
        if not self.keys:
            return OPEN
        if not key:
            raise MissingKeyError
        presented = sha256_of(key)
        found = [each.name for each in self.keys if hmac.compare_digest(each.sha256, presented)]
        if not found:
            raise UnknownKeyError
        return found[0]

    def signature(self, job: str) -> str:
        """Return the `sig` of a job's URLs: always the same; "" where no keys are configured."""
        if not self.keys:
            return ""
        digest = hmac.digest(self.secret, f"view:{job}".encode(), "sha256")
        return urlsafe_b64encode(digest).rstrip(b"=").decode()

    def check_signature(self, job: str, signature: str) -> None:
        """Raise SignatureError unless it is the job's signature."""
        if not hmac.compare_digest(self.signature(job).encode(), signature.encode()):
            raise SignatureError


Bearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(HTTPBearer(scheme_name="key", description="An API key, where the server asks for one.", auto_error=False)),
]


async def job_id(job: Annotated[str, Path(description="The id of a job.")]) -> str:
    """Return the id of a path. Raises UnknownJobError for one that this server never makes: it would be another Redis key."""
    if not ID.fullmatch(job):
        raise UnknownJobError(job)
    return job


JobId = Annotated[str, Depends(job_id)]


def access_of(request: Request) -> Access:
    """Return the access rules of the running app."""
    access: Access = request.app.state.services.access
    return access


def owner_of(request: Request) -> str:
    """Return the owner of the request's key. Raises MissingKeyError, UnknownKeyError."""
    scheme, key = get_authorization_scheme_param(request.headers.get("authorization"))
    return access_of(request).owner(key if scheme.lower() == "bearer" else None)


async def owner(request: Request, _: Bearer) -> str:
    """Return the owner of the request's key. Raises MissingKeyError, UnknownKeyError."""
    return owner_of(request)


async def viewer(
    request: Request,
    bearer: Bearer,
    job: JobId,
    sig: Annotated[
        str | None, Query(max_length=128, description="Instead of a key: the signature in this job's own URLs.")
    ] = None,
) -> Requester:
    """Return who looks at a job; a key counts before a signature. Raises MissingKeyError, UnknownKeyError, SignatureError."""
    access = access_of(request)
    if sig is None or bearer or not access.keys:
        return JobOwner(owner_of(request))
    access.check_signature(job, sig)
    return SignatureHolder(job)


Owner = Annotated[str, Depends(owner)]
Viewer = Annotated[Requester, Depends(viewer)]
