"""Exports in a process of their own: they may hold Python's lock for tenths of a second, and polls must not wait for it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Final

from models.subscale import Bytes
from service.vector.export import ExportedFile, ImageExport, export_image

Work = Callable[[], ExportedFile]
"""What can be pickled: a partial of a function of a module."""

_NICENESS: Final = 10
_KEPT_BYTES: Final = 32 << 20


def prepare_process() -> None:
    """Lower the priority of this process, and end it with its parent: its queue has no end that a kill would close."""
    os.nice(_NICENESS)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(0)


class Exporter:
    """One background process that starts with the first export, and a cache of its files by digest."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._turn = asyncio.Lock()
        self._kept: OrderedDict[str, ExportedFile] = OrderedDict()

    async def run(self, digest: str, work: Work) -> ExportedFile:
        """Return what `work` makes; from the cache if `digest` was there before. Calls run one after the other."""
        async with self._turn:
            if digest not in self._kept:
                self._keep(digest, await self._computed(work))
            self._kept.move_to_end(digest)
            return self._kept[digest]

    async def image(self, pixels: Bytes, export: ImageExport) -> ExportedFile:
        """Return an export of an image (S, S, C). Raises RecolourError."""
        digest = f"{hashlib.sha256(pixels.tobytes()).hexdigest()}-{export.digest}"
        return await self.run(digest, partial(export_image, pixels, export))

    def close(self) -> None:
        """End the process, after the export that it may be at work on."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    async def _computed(self, work: Work) -> ExportedFile:
        """Run in the process; in a new one if that has died, as when memory ran out."""
        try:
            return await self._submitted(work)
        except BrokenProcessPool:
            self.close()
            return await self._submitted(work)

    async def _submitted(self, work: Work) -> ExportedFile:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=prepare_process)
        return await asyncio.wrap_future(self._pool.submit(work))

    def _keep(self, digest: str, file: ExportedFile) -> None:
        """Keep a file, and forget the oldest ones beyond the limit."""
        self._kept[digest] = file
        while len(self._kept) > 1 and sum(len(each.content) for each in self._kept.values()) > _KEPT_BYTES:
            self._kept.popitem(last=False)
