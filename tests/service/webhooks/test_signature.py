"""Signatures and secrets, verified by the specification's own library."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from itertools import product

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from service.webhooks.signature import WebhookSecrets, signed, signing_key

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
BODY = b'{"a": 1}'


def headers_of(secrets: WebhookSecrets, owner: str) -> dict[str, str]:
    """Return the headers of BODY for an owner."""
    return signed(BODY, keys=secrets.of(owner), delivery="msg_1", at=int(time.time()))


def test_the_specifications_library_accepts_a_signature() -> None:
    """For the body that was signed and for no other."""
    secrets = WebhookSecrets.parse(SECRET)
    verifier, headers = Webhook(secrets.shown("studio")[0]), headers_of(secrets, "studio")
    assert verifier.verify(BODY, headers) == {"a": 1}
    with pytest.raises(WebhookVerificationError):
        verifier.verify(b'{"a": 2}', headers)


def test_a_secret_verifies_the_webhooks_of_its_owner_alone() -> None:
    """So whoever can verify those of one owner cannot forge those of another. The server's secret verifies none."""
    secrets, owners = WebhookSecrets.parse(SECRET), ["", "studio", "other"]
    for signer, verifier in product(owners, owners):
        check = Webhook(secrets.shown(verifier)[0])
        if signer == verifier:
            check.verify(BODY, headers_of(secrets, signer))
        else:
            with pytest.raises(WebhookVerificationError):
                check.verify(BODY, headers_of(secrets, signer))
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY, headers_of(secrets, "studio"))


def test_while_a_secret_is_replaced_both_verify() -> None:
    """Two signatures in one header, so each receiver may change in its own time."""
    both = WebhookSecrets.parse(f"{SECRET}, {OLD}")
    headers = headers_of(both, "studio")
    assert len(headers["webhook-signature"].split(" ")) == 2
    for server_secret in (SECRET, OLD):
        Webhook(WebhookSecrets.parse(server_secret).shown("studio")[0]).verify(BODY, headers)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_AAAA", SECRET.removeprefix("whsec_"), "whsec_!" + SECRET[6:], SECRET + SECRET[6:] * 2],
)
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    """Without prefix, without base64, too short or too long."""
    with pytest.raises(ValueError, match="whsec_"):
        signing_key(secret)


@pytest.mark.parametrize("setting", ["", ",", f"{SECRET},", f"{SECRET},{OLD},{SECRET}"])
def test_a_setting_has_one_or_two_secrets(setting: str) -> None:
    """An empty part is an error, not ignored."""
    with pytest.raises(ValueError, match="expected"):
        WebhookSecrets.parse(setting)


def test_a_command_shows_the_secrets_of_an_owner() -> None:
    """The newest first, as a receiver configures them."""
    environment = os.environ | {"SPN_WEBHOOK_SECRET": f"{SECRET},{OLD}"}
    command = [sys.executable, "-m", "service.webhooks", "studio"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert shown == WebhookSecrets.parse(f"{SECRET},{OLD}").shown("studio")
    refused = subprocess.run(command, env=environment | {"SPN_WEBHOOK_SECRET": ""}, capture_output=True, check=False)
    assert refused.returncode == 2
    assert b"Traceback" not in refused.stderr
