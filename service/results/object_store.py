"""Results: ended jobs in an object store, one object each. A bucket of S3, GCS or Azure, or a folder."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from service.errors import UnavailableError
from service.results.location import is_folder
from service.results.stored_job import StoredJob

REQUEST_SECONDS, CONNECT_SECONDS, RETRIES = 4, 2, 1
"""Bounds of one request to a bucket, of its connection, and how often it is repeated."""

CALL_SECONDS = 10
"""Bound of a call with all its repeats. `ResultWriter` claims a job for longer, so that no late write follows."""

Observer = Callable[[str, bool, float], None]
"""Receiver of the operation, whether it succeeded, and its seconds."""


class Results:
    """The object store. Every call raises UnavailableError if the store cannot be reached, refuses it, or is too slow."""

    def __init__(self, location: str, *, observe: Observer = lambda *_: None) -> None:
        """`location`: as `results_location` returns it. Credentials of buckets come from the environment."""
        self._folder = Path(location).resolve() if is_folder(location) else None
        self._store, self._observe = open_store(location), observe

    async def write(self, job: str, stored: StoredJob) -> None:
        """Write the object of a job; when this returns, it is durable."""
        content = await asyncio.to_thread(stored.to_bytes)
        async with self._call("write"):
            await self._store.put_async(path_of(job), content)
            if self._folder:
                await asyncio.to_thread(sync, self._folder / path_of(job))

    async def read(self, job: str) -> StoredJob | None:
        """Return a job; None if there is no object of it. Raises UnreadableRecordError too."""
        async with self._call("read"):
            try:
                content = await (await self._store.get_async(path_of(job))).bytes_async()
            except FileNotFoundError:
                return None
        return StoredJob.from_bytes(bytes(content))

    async def erase(self, job: str) -> None:
        """Delete the object of a job, if there is one."""
        async with self._call("erase"):
            if self._folder:
                await asyncio.to_thread(remove_parts, self._folder / path_of(job))
            with suppress(FileNotFoundError):
                await self._store.delete_async(path_of(job))

    @asynccontextmanager
    async def _call(self, operation: str) -> AsyncIterator[None]:
        started, succeeded = time.monotonic(), False
        try:
            async with asyncio.timeout(CALL_SECONDS):
                yield
            succeeded = True
        except (BaseError, OSError, TimeoutError) as error:
            raise UnavailableError from error
        finally:
            self._observe(operation, succeeded, time.monotonic() - started)


def open_store(location: str) -> ObjectStore:
    """Return the client of a folder or a bucket."""
    if is_folder(location):
        return LocalStore(location, mkdir=True)
    return from_url(
        location,
        config={"disable_bulk_delete": True} if location.startswith("s3:") else None,  # not every server of S3 has it
        client_options={
            "allow_http": True,  # only if the operator gives an endpoint of http://
            "timeout": timedelta(seconds=REQUEST_SECONDS),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        },
        retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=2 * REQUEST_SECONDS)},
    )


def path_of(job: str) -> str:
    """Return the path of a job's object. The first characters of its id spread the files over folders."""
    return f"jobs/{job[:2]}/{job}.json.gz"


def sync(file: Path) -> None:
    """Let the disk have a new file and its name: `LocalStore` leaves both to the kernel."""
    for path in (file, *list(file.parents)[:3]):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_parts(file: Path) -> None:
    """Delete what `LocalStore` leaves beside a file if the process is killed before the file has its name."""
    for part in file.parent.glob(f"{file.name}#*"):
        part.unlink(missing_ok=True)
