"""What a line of the log looks like."""

from __future__ import annotations

import io
import json
import logging
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from service.contract.logs import LogFormat, formatter
from tests.harness.launcher import eager, run_module


def written(format: LogFormat) -> str:  # noqa: A002 - the parameter's name there
    """A warning with fields and an error, as it is written."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter(format))
    log = logging.Logger("some.module")  # noqa: LOG001 - it must not outlive the test
    log.addHandler(handler)
    log.warning("job %s is late", "j1", extra={"job": "j1"}, exc_info=ValueError("two\nlines"))
    return out.getvalue()


def test_json_is_one_object_a_line() -> None:
    """Time with its zone, level, logger, message, the line's own fields, and a traceback on that same line."""
    (line,) = written(LogFormat.JSON).splitlines()
    told = json.loads(line)
    assert datetime.fromisoformat(told.pop("time")).tzinfo is not None
    assert "ValueError: two\nlines" in told.pop("exc_info")
    assert told == {"level": "WARNING", "logger": "some.module", "message": "job j1 is late", "job": "j1"}


def test_text_is_for_people() -> None:
    """The message, and the traceback below it."""
    first, *rest = written(LogFormat.TEXT).splitlines()
    assert first.endswith("WARNING some.module job j1 is late")
    assert rest == ["ValueError: two", "lines"]


def test_the_api_process_writes_nothing_but_json(redis_url: str, models: Path) -> None:
    """Also when it cannot start: here, because the port is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        own = {"LOG_FORMAT": "json", "PORT": str(taken.getsockname()[1])}
        ran = run_module("service.main", settings=eager(redis_url, models, "toy", **own))
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert ran.returncode != 0
    assert ran.stdout == ""
    assert [line["level"] for line in lines if "Address already in use" in line["message"]] == ["ERROR"]


def test_no_line_has_the_query_of_a_url() -> None:
    """Httpx would log each URL that is requested, and a query may be a secret."""
    script = """
import httpx
from service.contract.logs import LogFormat, configure
configure(LogFormat.TEXT)
httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(204))).get("http://example.com/?token=very-secret")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "very-secret" not in done.stderr
