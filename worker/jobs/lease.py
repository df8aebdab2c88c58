"""A worker's leases on its jobs, and the thread that renews them while the main thread generates slices."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    """A claim on a job, and what the last reply said about it. Either thread may set a flag; none is ever cleared.

    `until` is its end by this process' monotonic clock, in seconds. It is counted from before the request to Redis, so it
    is never later than the end by Redis' clock.
    """

    claim: Claim
    until: float
    lost: bool = False
    canceling: bool = False
    overdue: bool = False

    @property
    def expired(self) -> bool:
        """Whether another worker may hold the job by now. Only Redis knows: renew before going on."""
        return time.monotonic() >= self.until

    def renew(self, transitions: Transitions, *, lease_seconds: float) -> None:
        """Extend the lease to `lease_seconds` from now. Raises redis' ConnectionError."""
        sent = time.monotonic()
        (reply,) = transitions.together([self.claim.renew(lease_seconds=lease_seconds)])
        self.renewed(reply, until=sent + lease_seconds)

    def renewed(self, reply: Reply, *, until: float) -> None:
        """Learn from the reply to a renewal; `until` is counted from before it was sent."""
        self.learn(reply)
        if not self.lost:
            self.until = max(self.until, until)

    def learn(self, reply: Reply) -> None:
        """Set the flags that follow from the reply to a write under this lease."""
        self.canceling |= reply.outcome is Outcome.CANCELING
        self.overdue |= reply.outcome is Outcome.OVERDUE
        self.lost |= reply.outcome in {Outcome.LOST, Outcome.ENDED, Outcome.UNKNOWN, Outcome.GAP, Outcome.BROKEN}
        if reply.outcome is Outcome.BROKEN:
            logger.error("job %s is damaged: %s", self.claim.keys.id, reply.value)


class Heartbeat:
    """A thread with its own client that announces the worker and renews its leases every few seconds.

    It does neither while a round is stalled: a device that hangs would otherwise keep its jobs for ever.
    """

    def __init__(self, client: Redis, *, model: str, worker: str, lease_seconds: float, seconds: float) -> None:
        self._transitions = Transitions(client)
        self._model, self._worker = model, worker
        self._lease_seconds, self._seconds = lease_seconds, seconds
        self._leases: dict[str, Lease] = {}
        self._round_limit: float | None = None
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
        """Renew `lease` at each beat from now on."""
        with self._lock:
            self._leases[lease.claim.token] = lease

    def drop(self, lease: Lease) -> None:
        """Renew `lease` no longer."""
        with self._lock:
            self._leases.pop(lease.claim.token, None)

    @contextmanager
    def round(self, limit_seconds: float | None) -> Iterator[None]:
        """Renew no lease once the body has lasted `limit_seconds`, nor before it has lasted a lease; None: no limit."""
        if limit_seconds is not None:
            self._round_limit = time.monotonic() + max(limit_seconds, self._lease_seconds)
        try:
            yield
        finally:
            self._round_limit = None

    def beat(self) -> None:
        """Announce the worker and renew every lease, in one round trip."""
        if self._stalled():
            logger.error("%s: the round is stalled, no lease is renewed until it ends", self._worker)
            return
        with self._lock:
            leases = list(self._leases.values())
        until = time.monotonic() + self._lease_seconds
        renewals = (lease.claim.renew(lease_seconds=self._lease_seconds) for lease in leases)
        _, *replies = self._transitions.together(
            [announce(self._model, self._worker, seconds=self._lease_seconds), *renewals]
        )
        for lease, reply in zip(leases, replies, strict=True):
            lease.renewed(reply, until=until)

    def _stalled(self) -> bool:
        limit = self._round_limit  # the main thread may clear it meanwhile
        return limit is not None and time.monotonic() > limit

    def _run(self) -> None:
        while True:
            self._attempt(self.beat)
            if self._stop.wait(self._seconds):
                break
        self._attempt(self._leave)

    def _leave(self) -> None:
        self._transitions(announce(self._model, self._worker, seconds=0))

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except RedisError as error:
            logger.warning("heartbeat of %s failed: %s", self._worker, error)
