"""Lists of jobs, newest first, in pages of bounded work.

There is no index by status. Workers of an older release beside this one would change statuses without it, and a list would
miss jobs until they expire.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.contract.logs import warn_once
from service.contract.record import Fields, JobRecord, UnreadableRecordError
from service.contract.redis_keys import Keys, owned_key
from service.contract.statuses import Status
from service.errors import ListingLimitError

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from service.results.object_store import Results

CHUNK = 200
"""Ids read at a time."""

MOST_SCANNED = 1000
"""Ids that one page looks at. A rare status among many jobs takes several pages, some of them short or empty."""

PAGES_PER_MINUTE = 600
"""Pages of one owner in any minute, in one API process."""

MINUTE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some jobs, newest first, and the cursor of the next page; None for the last."""

    records: tuple[JobRecord, ...]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Entry of an owner's list: milliseconds of creation, and id; of a job in the object store its status too."""

    created_at: int
    id: str
    status: Status | None = None

    @classmethod
    def of(cls, member: str, created_at: float) -> Entry:
        """Return the entry of a member of the list, `id` or `id:status`."""
        job, _, status = member.partition(":")
        return cls(created_at=int(created_at), id=job, status=Status(status) if status else None)

    @classmethod
    def of_cursor(cls, cursor: str) -> Entry:
        """Return the last entry of the page before."""
        created_at, _, job = cursor.partition(":")
        return cls(created_at=int(created_at), id=job)

    @property
    def cursor(self) -> str:
        """Cursor of a page that begins after this entry."""
        return f"{self.created_at}:{self.id}"

    def older(self, other: Entry) -> bool:
        """Return whether it comes after `other`, newest first; ids order those of one millisecond."""
        return (self.created_at, self.id) < (other.created_at, other.id)


async def never() -> bool:
    """Return that the caller is still there."""
    return False


class Listing:
    """Lists of the jobs of owners."""

    def __init__(
        self, client: Redis, *, results: Results | None = None, pages_per_minute: int = PAGES_PER_MINUTE
    ) -> None:
        """`results`: the object store, if there is one."""
        self._client, self._results, self._pages_per_minute = client, results, pages_per_minute
        self._pages: dict[str, deque[float]] = {}

    async def page(
        self,
        *,
        owner: str,
        status: Status | None,
        limit: int,
        cursor: str | None,
        gone: Callable[[], Awaitable[bool]] = never,
    ) -> Page:
        """Return the newest `limit` jobs of `owner` before `cursor`, or fewer after MOST_SCANNED ids.

        It stops when `gone` says that the caller has hung up. Raises ListingLimitError.
        """
        self._count(owner)
        found, last, scanned = list[Entry](), None, 0
        async for chunk in self._chunks(owner, Entry.of_cursor(cursor) if cursor else None):
            for entry, matches in zip(chunk, await self._matching(chunk, status), strict=True):
                if matches and len(found) == limit:
                    return await self._page(found, last)
                found, last, scanned = found + [entry] * matches, entry, scanned + 1
            if scanned >= MOST_SCANNED or await gone():
                return await self._page(found, last)
        return await self._page(found, None)

    def _count(self, owner: str) -> None:
        now, pages = time.monotonic(), self._pages.setdefault(owner, deque())
        while pages and pages[0] <= now - MINUTE_SECONDS:
            pages.popleft()
        if len(pages) >= self._pages_per_minute:
            raise ListingLimitError(retry_after_seconds=int(pages[0] + MINUTE_SECONDS - now) + 1)
        pages.append(now)

    async def _chunks(self, owner: str, after: Entry | None) -> AsyncIterator[list[Entry]]:
        """Yield all entries of `owner` from just before `after`, newest first."""
        newest, offset = after.created_at if after else "+inf", 0
        while True:
            rows: Any = await self._client.zrevrangebyscore(
                owned_key(owner, "jobs"), newest, "-inf", offset, CHUNK, withscores=True
            )
            if not rows:
                return
            offset += CHUNK
            entries = [Entry.of(member.decode(), score) for member, score in rows]
            yield [entry for entry in entries if after is None or entry.older(after)]

    async def _matching(self, entries: Sequence[Entry], status: Status | None) -> list[bool]:
        """Return which entries exist and have the status; records are not decoded for that."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for entry in entries:
                if entry.status is None:
                    pipeline.hget(Keys(id=entry.id, model="").record, "status")
            found = iter(await pipeline.execute(raise_on_error=False))
        statuses = [entry.status.value.encode() if entry.status else next(found) for entry in entries]
        wanted = {status.value.encode()} if status else {each.value.encode() for each in Status}
        return [isinstance(each, bytes) and each in wanted for each in statuses]

    async def _page(self, found: Sequence[Entry], last: Entry | None) -> Page:
        async with self._client.pipeline(transaction=False) as pipeline:
            for entry in found:
                pipeline.hgetall(Keys(id=entry.id, model="").record)
            rows = await pipeline.execute()
        records = await asyncio.gather(*(self._record(entry, row) for entry, row in zip(found, rows, strict=True)))
        return Page(records=tuple(filter(None, records)), cursor=last.cursor if last else None)

    async def _record(self, entry: Entry, fields: Fields) -> JobRecord | None:
        """Return a record from Redis or the object store; None, logged once, for one that cannot be decoded."""
        try:
            if not fields and entry.status and self._results and (stored := await self._results.read(entry.id)):
                fields = stored.fields
            return JobRecord.decode(fields) if fields else None
        except UnreadableRecordError as error:
            warn_once(__name__, f"job {entry.id} is not listed: {error}")
            return None
