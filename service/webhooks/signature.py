"""Signatures of webhooks after Standard Webhooks (standardwebhooks.com), version v1, and the secrets behind them.

Each owner has its own secret, derived from the server's. Whoever can verify the webhooks of one owner cannot sign those
of another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)
"""The specification's bounds on a key."""

MAX_SECRETS = 2
"""The current secret, and the one before while it is replaced."""


@dataclass(frozen=True, kw_only=True)
class WebhookSecrets:
    """The server's secrets, newest first. All of them sign, so a receiver accepts with any."""

    keys: tuple[bytes, ...]

    @classmethod
    def parse(cls, setting: str) -> Self:
        """Read one secret, or two separated by a comma: new,old. Raises ValueError."""
        secrets = [each.strip() for each in setting.split(",")]
        if len(secrets) > MAX_SECRETS:
            raise ValueError(f"expected at most {MAX_SECRETS} secrets, new,old; got {len(secrets)}")
        return cls(keys=tuple(signing_key(each) for each in secrets))

    def of(self, owner: str) -> tuple[bytes, ...]:
        """Return the keys that sign the webhooks of an owner, newest first. "" is the owner where no API keys are set."""
        return tuple(hmac.digest(key, f"webhooks of {owner}".encode(), hashlib.sha256) for key in self.keys)

    def shown(self, owner: str) -> list[str]:
        """Return the secrets that an owner's receiver verifies with, newest first, as `whsec_` and base64."""
        return [PREFIX + base64.b64encode(key).decode() for key in self.of(owner)]


def signing_key(secret: str) -> bytes:
    """Return the key in `whsec_` and base64. Raises ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise ValueError(f"expected {PREFIX} and the base64 of {KEY_BYTES.start} to {KEY_BYTES.stop - 1} random bytes")
    return key


def signed(body: bytes, *, keys: Sequence[bytes], delivery: str, at: int) -> dict[str, str]:
    """Return the headers of a message sent at `at`, in seconds since 1970: one signature for each key."""
    content = f"{delivery}.{at}.".encode() + body
    digests = (base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{digest}" for digest in digests),
    }
