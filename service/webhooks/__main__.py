"""`python -m service.webhooks [NAME]`: the secret that a receiver of the owner NAME verifies webhooks with.

NAME is that of an API key; without keys there is none to give. Reads SPN_WEBHOOK_SECRET.
"""

from __future__ import annotations

import argparse
import os
import sys

from service.webhooks.signature import WebhookSecrets


def main() -> int:
    """Print the secrets of one owner, the newest first."""
    parser = argparse.ArgumentParser(
        prog="python -m service.webhooks", description="Show the webhook secret of an owner."
    )
    parser.add_argument("name", nargs="?", default="", help="name of the owner's API key; leave out without API keys")
    owner = parser.parse_args().name
    try:
        secrets = WebhookSecrets.parse(os.environ.get("SPN_WEBHOOK_SECRET", ""))
    except ValueError as error:
        parser.error(f"SPN_WEBHOOK_SECRET: {error}")
    print("\n".join(secrets.shown(owner)))  # noqa: T201 - this is a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
