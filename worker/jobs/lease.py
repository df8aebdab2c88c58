"""A worker's hold on its jobs: leases, and the thread that keeps them alive while the main thread draws."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Self

from redis.exceptions import RedisError

from service.contract.transitions import Claim, Outcome, Reply, Transitions, announce

if TYPE_CHECKING:
    from types import TracebackType

    from redis import Redis

logger = logging.getLogger(__name__)


@dataclass
class Lease:
    """A claim and what was last heard about it. The flags only ever rise, from either thread.

    `until` is when it runs out by this process' own clock, monotonic seconds: counted from before Redis was asked, it is
    never later than by Redis' clock.
    """

    claim: Claim
    until: float
    lost: bool = False
    canceling: bool = False
    overdue: bool = False

    @property
    def expired(self) -> bool:
        """Whether another worker may have the job by now: only Redis can tell, so ask before going on."""
        return time.monotonic() >= self.until

    def renew(self, transitions: Transitions, *, lease_seconds: float) -> None:
        """Ask Redis for `lease_seconds` more. Raises redis' ConnectionError."""
        asked = time.monotonic()
        self.hear(transitions(self.claim.renew(lease_seconds=lease_seconds)))
        if not self.lost:
            self.until = max(self.until, asked + lease_seconds)

    def hear(self, reply: Reply) -> None:
        """Learn from an answer to any write under this lease."""
        self.canceling |= reply.outcome is Outcome.CANCELING
        self.overdue |= reply.outcome is Outcome.OVERDUE
        self.lost |= reply.outcome in {Outcome.LOST, Outcome.ENDED, Outcome.UNKNOWN, Outcome.GAP}


class Heartbeat:
    """Renews every lease it holds and announces the worker, every few seconds, from a thread with its own client."""

    def __init__(self, client: Redis, *, model: str, worker: str, lease_seconds: float, seconds: float) -> None:
        self._transitions = Transitions(client)
        self._model, self._worker = model, worker
        self._lease_seconds, self._seconds = lease_seconds, seconds
        self._leases: dict[str, Lease] = {}
        self._lock, self._stop = Lock(), Event()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=self._lease_seconds)

    def hold(self, lease: Lease) -> None:
        """Keep `lease` alive from now on."""
        with self._lock:
            self._leases[lease.claim.token] = lease

    def drop(self, lease: Lease) -> None:
        """Let it run out."""
        with self._lock:
            self._leases.pop(lease.claim.token, None)

    def beat(self) -> None:
        """One round: announce the worker, renew every lease."""
        self._transitions(announce(self._model, self._worker, seconds=self._lease_seconds))
        with self._lock:
            leases = list(self._leases.values())
        for lease in leases:
            lease.renew(self._transitions, lease_seconds=self._lease_seconds)

    def _run(self) -> None:
        while True:
            self._safely(self.beat)
            if self._stop.wait(self._seconds):
                break
        self._safely(self._leave)

    def _leave(self) -> None:
        self._transitions(announce(self._model, self._worker, seconds=0))

    def _safely(self, action: Callable[[], None]) -> None:
        try:
            action()
        except RedisError as error:
            logger.warning("heartbeat of %s missed: %s", self._worker, error)
