"""All limits, made from the code: `python -m tests.harness.limits_table` writes the table of SECURITY.md anew."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic.fields import FieldInfo

from service.api import requests
from service.api.middleware.body_limit import BYTES_PER_SECOND, SMALL
from service.api.request_body import MAX_SEPARATORS
from service.api.routes.dependencies import MAX_WAIT_SECONDS
from service.app import MAX_BODY_BYTES
from service.connections import MAX_AHEAD, MAX_HEAD_BYTES, ConnectionLimits
from service.contract.transitions import Idempotency
from service.jobs.listing import PAGES_PER_MINUTE
from service.jobs.live_events import KEEPALIVE_SECONDS
from service.redis_clients import CONNECTIONS, REDIS_SECONDS
from service.server import RESERVED_FILES, SHUTDOWN_SECONDS
from service.settings import KEYED_RATE, ServiceSettings
from service.webhooks import attempt, http_post, outbox, slots

PAGE = Path(__file__).parents[2] / "SECURITY.md"
BEGIN, END = "<!-- limits -->\n", "<!-- end of limits -->\n"
TIMES = ConnectionLimits(max_connections=1)
OUTBOX_BYTES = [int(each) for each in re.findall(r"(?<=ALL_BYTES = )(\d+), (\d+)", outbox.SCRIPT)[0]]
"""Of an owner, and of all: they are numbers of a script in Lua."""

Row = tuple[str, str, str]
"""Limit, value, and the setting or "fixed"."""


def setting(limit: str, name: str, *, value: str = "", unit: str = "") -> Row:
    """Return a row of a limit that can be set, with its default."""
    field: FieldInfo = ServiceSettings.model_fields[name]
    shown = f"{field.default:,}" if isinstance(field.default, int | float) else str(field.default)
    return limit, value or f"{shown}{unit}", f"`SPN_{name.upper()}`"


def fixed(limit: str, value: float, unit: str = "") -> Row:
    """Return a row of a limit that cannot be set."""
    return limit, f"{value:,}{unit}", "fixed"


def rows() -> list[Row]:
    """Return all limits: sizes, depths, counts, rates, times, connections."""
    return [
        fixed("request line and headers", MAX_HEAD_BYTES, " bytes"),
        fixed("requests that a connection may send before the answer to its first", MAX_AHEAD),
        fixed("request body", MAX_BODY_BYTES, " bytes"),
        fixed(
            f"what bodies have beyond {SMALL:,} bytes, all of a process together", BYTES_PER_SECOND, " bytes per second"
        ),
        fixed("values of a body outside of `metadata`", requests.MAX_VALUES),
        fixed("commas, `{` and `[` of a body, those in strings included", MAX_SEPARATORS),
        fixed("levels of a body outside of `metadata`", requests.MAX_DEPTH),
        fixed("`metadata` as JSON", requests.MAX_METADATA_BYTES, " bytes"),
        fixed("values of `metadata`", requests.MAX_METADATA_VALUES),
        fixed("levels of `metadata`", requests.MAX_METADATA_DEPTH),
        fixed("name of a model or control, value of a control", requests.MAX_NAME_CHARACTERS, " characters"),
        fixed("webhook URL", requests.MAX_URL_CHARACTERS, " characters"),
        ("width and height of `start.image` and of an image to score", "exactly the model's", "fixed"),
        fixed("images of a job", requests.MAX_IMAGES),
        fixed("candidates of an image", requests.MAX_CANDIDATES),
        setting("submits of an owner per minute", "rate_per_minute", value=f"{KEYED_RATE} with keys, else none"),
        setting(
            "queued and running jobs of an owner", "concurrency", value="half of the waiting jobs with keys, else none"
        ),
        fixed("pages of `GET /jobs` of an owner per minute and process", PAGES_PER_MINUTE),
        setting("waiting jobs of a model", "queue_bound"),
        setting("time from submit to end", "deadline_seconds", unit=" s"),
        setting("time that an ended job is kept", "retention_seconds", unit=" s"),
        fixed(
            "time that an `Idempotency-Key` is kept, with its job",
            Idempotency(key="", fingerprint="").seconds,
            " s",
        ),
        setting("open connections of a process", "max_connections"),
        ("the same, by the limit of open files", f"that limit - {RESERVED_FILES}", "`ulimit -n`"),
        fixed("time for the headers of a request", TIMES.head_seconds, " s"),
        fixed("time for the body of a request", TIMES.body_seconds, " s"),
        fixed("time that a client may leave a response unread", TIMES.send_seconds, " s"),
        setting("time that an idle connection is kept", "keep_alive_seconds", unit=" s"),
        fixed("longest wait of a poll or of `Prefer: wait`", MAX_WAIT_SECONDS, " s"),
        fixed("silence of an event stream", KEEPALIVE_SECONDS, " s"),
        fixed("time for requests in work after SIGTERM", SHUTDOWN_SECONDS, " s"),
        fixed("connections to Redis of a process", CONNECTIONS),
        fixed("time for a reply of Redis", REDIS_SECONDS, " s"),
        fixed("webhook attempts in flight of a process", slots.AT_ONCE),
        fixed("webhook attempts in flight of an owner", slots.PER_OWNER),
        fixed("webhook attempts in flight at a receiver", slots.PER_RECEIVER),
        fixed("time for a webhook attempt", attempt.ATTEMPT_SECONDS, " s"),
        fixed("of that, for the look-up of the receiver's name", attempt.LOOKUP_SECONDS, " s"),
        fixed("response of a receiver that is read", http_post.MAX_RESPONSE_BYTES, " bytes"),
        fixed("informational responses of a receiver", http_post.MAX_INFORMATIONAL),
        fixed("undelivered webhooks of an owner, of which `slice` events half", OUTBOX_BYTES[0], " bytes"),
        fixed("undelivered webhooks in all, of which `slice` events half", OUTBOX_BYTES[1], " bytes"),
    ]


def table() -> str:
    """Return the table in Markdown."""
    lines = (f"| {' | '.join(row)} |" for row in rows())
    return "\n".join(["| limit | default | setting |", "|---|---|---|", *lines, ""])


def page() -> str:
    """Return SECURITY.md with the table as it is now."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page())
