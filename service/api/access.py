"""Who may ask what: the key of a request, and the signatures of URLs that are asked for without one.

A browser's EventSource and <img> cannot send headers. So the URLs of a job's events and pictures carry a signature of
the job's id, which opens these and nothing else, for as long as the job is kept.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.api_keys import KeyHash, sha256_of
from service.errors import MissingKeyError, SignatureError, UnknownKeyError
from service.jobs.requester import JobOwner, Requester, SignatureHolder

OPEN = ""
"""The owner of all jobs where no keys are configured."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """The keys that are let in and what signs URLs. No keys: everybody is let in, and nothing is signed."""

    keys: tuple[KeyHash, ...] = ()
    secret: bytes

    @classmethod
    def of(cls, keys: tuple[KeyHash, ...], secret: str | None) -> Access:
        """Without a secret one follows from the keys' hashes, the same in every process that has these keys."""
        hashes = "\n".join(sorted(each.sha256 for each in keys))
        return cls(keys=keys, secret=hashlib.sha256((secret or f"spn:{hashes}").encode()).digest())

    def owner(self, key: str | None) -> str:
        """Whose key it is. Takes equally long for all keys. Raises MissingKeyError, UnknownKeyError."""
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
        """The `sig` of a job's URLs: always the same; "" where no keys are configured."""
        if not self.keys:
            return ""
        digest = hmac.digest(self.secret, f"view:{job}".encode(), "sha256")
        return urlsafe_b64encode(digest).rstrip(b"=").decode()

    def check_signature(self, job: str, signature: str) -> None:
        """Raises SignatureError unless it is the job's."""
        if not hmac.compare_digest(self.signature(job).encode(), signature.encode()):
            raise SignatureError


Bearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(HTTPBearer(scheme_name="key", description="An API key, where the server asks for one.", auto_error=False)),
]


def access_of(request: Request) -> Access:
    """The running app's."""
    access: Access = request.app.state.services.access
    return access


def owner(access: Annotated[Access, Depends(access_of)], bearer: Bearer) -> str:
    """Who asks. Raises MissingKeyError, UnknownKeyError."""
    return access.owner(bearer.credentials if bearer else None)


def viewer(
    access: Annotated[Access, Depends(access_of)],
    bearer: Bearer,
    job: Annotated[str, Path(max_length=64)],
    sig: Annotated[
        str | None, Query(max_length=128, description="Instead of a key: the signature of this job's own URLs.")
    ] = None,
) -> Requester:
    """Return who looks at a job. Raises MissingKeyError, UnknownKeyError, SignatureError."""
    if sig is None or not access.keys:
        return JobOwner(access.owner(bearer.credentials if bearer else None))
    access.check_signature(job, sig)
    return SignatureHolder(job)


Owner = Annotated[str, Depends(owner)]
Viewer = Annotated[Requester, Depends(viewer)]
