"""Attacks on an API, from a process of their own: `python -m benchmarks.attacks --port PORT`. Ends at SIGTERM, with figures.

- `bodies`: 1 MiB of invalid controls each, BODIES at once.
- `halves`: HALVES connections that send half a request, and come again when they are closed.
- `receivers`: jobs with webhooks to receivers that hang, or answer with endless informational responses; and jobs with
  webhooks to an honest receiver, whose delays are measured.

The API must allow webhooks to RECEIVERS and HONEST.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle
from typing import Any

from benchmarks.caller import Caller, UnexpectedStatusError, head
from service.local.processes import free_port

MEBIBYTE = 1 << 20
BODIES = 4
INVALID = (
    b'{"controls": [' + b"1," * (MEBIBYTE // 2 - 50) + b"1]}",
    json.dumps({"controls": {str(number): 1 for number in range(80_000)}}).encode(),
)
HALVES = 320
HALF = b"POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Ty"

HONEST = "127.0.0.1"
RECEIVERS = tuple(f"127.0.0.{number}" for number in range(2, 12))
"""Ten hosts; every other one hangs."""

SUBMIT_SECONDS = 0.5
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n"
LAST_SECONDS = 30
"""Time for the last webhooks of the honest receiver."""

FAILED = (OSError, UnexpectedStatusError, asyncio.IncompleteReadError)


@dataclass
class Observations:
    """What the attacks did, and when the honest receiver's webhooks came."""

    counts: Counter[str] = field(default_factory=Counter)
    submitted: set[str] = field(default_factory=set)
    received: set[str] = field(default_factory=set)
    delays: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return the figures; delays in seconds, from the event to its webhook."""
        delays = sorted(self.delays)
        return {
            **self.counts,
            "honest_webhooks": len(self.submitted),
            "honest_webhooks_lost": len(self.submitted - self.received),
            "honest_delay_seconds": {"p50": round(statistics.median(delays), 2), "max": round(delays[-1], 2)}
            if delays
            else None,
        }


class Attacks:
    """All attacks on the API at `port`; receivers listen on `receiver_port`."""

    def __init__(self, port: int, receiver_port: int) -> None:
        self._port, self._receiver_port = port, receiver_port
        self.seen = Observations()

    async def run(self, over: asyncio.Event) -> None:
        """Attack until `over` is set; then wait for the honest receiver's webhooks."""
        servers = [
            await asyncio.start_server(self._receive, HONEST, self._receiver_port),
            await asyncio.start_server(self._hang, RECEIVERS[::2], self._receiver_port),
            await asyncio.start_server(self._inform, RECEIVERS[1::2], self._receiver_port),
        ]
        attackers = [
            *(asyncio.create_task(self._send_bodies()) for _ in range(BODIES)),
            *(asyncio.create_task(self._hold_half()) for _ in range(HALVES)),
            asyncio.create_task(self._submit()),
        ]
        await over.wait()
        for task in attackers:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                while self.seen.submitted - self.seen.received:  # noqa: ASYNC110 - the receiver is another task
                    await asyncio.sleep(0.1)
        for server in servers:
            server.close()

    async def _send_bodies(self) -> None:
        caller = Caller(self._port)
        for body in cycle(INVALID):
            try:
                await caller.refused(body)
                self.seen.counts["invalid_bodies_refused"] += 1
            except FAILED:
                self.seen.counts["invalid_bodies_failed"] += 1
                await asyncio.sleep(0.1)

    async def _hold_half(self) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection(HONEST, self._port)
                writer.write(HALF)
                await reader.read()
                writer.close()
                self.seen.counts["half_requests_closed"] += 1
            except OSError:
                self.seen.counts["half_requests_failed"] += 1
                await asyncio.sleep(1)

    async def _submit(self) -> None:
        for host in cycle((*RECEIVERS, HONEST)):
            events = ["succeeded"] if host == HONEST else ["started", "slice", "succeeded"]
            body = json.dumps({"webhook": {"url": f"http://{host}:{self._receiver_port}/", "events": events}})
            caller = Caller(self._port)
            try:
                job = await caller.submit(body.encode())
                self.seen.counts["jobs_with_webhooks"] += 1
                if host == HONEST:
                    self.seen.submitted.add(job)
            except FAILED:
                self.seen.counts["submits_failed"] += 1
            finally:
                caller.close()
            await asyncio.sleep(0 if host == RECEIVERS[-1] else SUBMIT_SECONDS / 2)

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(*FAILED):
            _, length = await head(reader)
            event = json.loads(await reader.readexactly(length))
            self.seen.delays.append(time.time() - datetime.fromisoformat(event["timestamp"]).timestamp())
            self.seen.received.add(event["data"]["id"])
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    async def _hang(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.counts["attempts_at_hanging_receivers"] += 1
        with suppress(OSError, asyncio.CancelledError):  # asyncio logs a handler that is cancelled at the end
            await reader.read()
        writer.close()

    async def _inform(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.counts["attempts_at_informing_receivers"] += 1
        with suppress(OSError, asyncio.CancelledError):
            while not writer.is_closing():
                writer.write(EARLY_HINTS)
                await writer.drain()
                await asyncio.sleep(0.01)


@contextmanager
def attacked(port: int, found: dict[str, Any]) -> Iterator[None]:
    """Attack the API at `port` inside this context, from another process; its figures enter `found`."""
    command = [sys.executable, "-m", "benchmarks.attacks", "--port", str(port)]
    attacker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        attacker.send_signal(signal.SIGTERM)
        found["attacks"] = json.loads(attacker.communicate(timeout=2 * LAST_SECONDS)[0] or "null")


async def attack(port: int) -> Observations:
    """Attack until SIGTERM, and return what was seen."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    attacks = Attacks(port, free_port())
    await attacks.run(over)
    return attacks.seen


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Attacks on an API, until SIGTERM.")
    parser.add_argument("--port", type=int, required=True)
    seen = asyncio.run(attack(parser.parse_args().port))
    print(json.dumps(seen.summary()))


if __name__ == "__main__":
    main()
