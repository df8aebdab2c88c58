"""What a body must be before it is parsed: JSON by its declaration, and of few values."""

from __future__ import annotations

from email.message import Message

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from service.api.requests import MAX_VALUES
from service.errors import FieldError, UnsupportedMediaTypeError

SEPARATORS = (b",", b"{", b"[")
MAX_SEPARATORS = 8192
"""Separators of a body, those in strings included. A valid body has at most about 7,000: in metadata and a URL full of commas.

Parsing costs time and memory by the value: 1 MiB of numbers took 40 ms of every caller's time, and 10 MiB.
"""


async def check_body(request: Request) -> None:
    """Read the body. Raises UnsupportedMediaTypeError, FieldError, and 413 or 400 as HTTPException."""
    check_media_type(request)
    try:
        body = await request.body()
    except ClientDisconnect as error:  # or this process ends: nobody reads the answer
        raise HTTPException(400, "The connection ended before the body was complete.") from error
    if sum(map(body.count, SEPARATORS)) > MAX_SEPARATORS:
        raise FieldError("body", f"at most {MAX_VALUES} values outside of metadata are accepted")


def check_media_type(request: Request) -> None:
    """Raise UnsupportedMediaTypeError for a body that is not declared as JSON, or is encoded."""
    headers, declared = request.headers, Message()
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return
    declared["Content-Type"] = headers.get("content-type", "")
    kind = declared.get_content_subtype() if declared.get_content_maintype() == "application" else ""
    encoded = headers.get("content-encoding", "identity").lower() != "identity"
    if encoded or not (kind == "json" or kind.endswith("+json")):
        raise UnsupportedMediaTypeError
