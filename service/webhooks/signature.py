"""Signatures of webhooks, by the Standard Webhooks specification (standardwebhooks.com), version v1."""

from __future__ import annotations

import base64
import hashlib
import hmac

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)
"""The specification's bounds on a key."""


def signing_key(secret: str) -> bytes:
    """The key in `whsec_` and base64. Raises ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise ValueError(f"expected {PREFIX} and the base64 of {KEY_BYTES.start} to {KEY_BYTES.stop - 1} random bytes")
    return key


def signed(body: bytes, *, key: bytes, delivery: str, at: int) -> dict[str, str]:
    """The three headers of a message that is sent at `at`, in seconds since 1970."""
    digest = hmac.digest(key, f"{delivery}.{at}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
