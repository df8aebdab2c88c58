"""Signatures, as others see them."""

from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from service.webhooks.signature import signed, signing_key

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def test_the_specifications_library_accepts_a_signature() -> None:
    """For the body that was signed and for no other."""
    headers = signed(b'{"a": 1}', key=signing_key(SECRET), delivery="msg_1", at=int(time.time()))
    assert Webhook(SECRET).verify(b'{"a": 1}', headers) == {"a": 1}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b'{"a": 2}', headers)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_AAAA", SECRET.removeprefix("whsec_"), "whsec_!" + SECRET[6:], SECRET + SECRET[6:] * 2],
)
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    """Without prefix, without base64, too short or too long."""
    with pytest.raises(ValueError, match="whsec_"):
        signing_key(secret)
