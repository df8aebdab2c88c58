"""Images of ended jobs: they do not change, and each is requested several times, in its sizes and formats."""

from __future__ import annotations

from collections import OrderedDict
from math import prod
from typing import Final

from service.contract.request import JobRequest
from service.contract.stream import JobImages

_KEPT_BYTES: Final = 16 << 20


class EndedImages:
    """The images of the jobs that were read last, up to 16 MiB: reading their slices is most of the work of a request."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[JobImages, int]] = OrderedDict()
        self._bytes = 0

    def get(self, job: str) -> JobImages | None:
        """Return the images of a job, if they are kept."""
        if job not in self._kept:
            return None
        self._kept.move_to_end(job)
        return self._kept[job][0]

    def keep(self, request: JobRequest, images: JobImages) -> None:
        """Keep the images of an ended job, and forget the oldest ones beyond the limit."""
        geometry = request.geometry
        size = request.num_images * len(geometry.steps) * prod(geometry.slice_shape)
        self.forget(request.id)
        self._kept[request.id] = images, size
        self._bytes += size
        while self._bytes > _KEPT_BYTES:
            self.forget(next(iter(self._kept)))

    def forget(self, job: str) -> None:
        """Keep the images of a job no longer."""
        _, size = self._kept.pop(job, (None, 0))
        self._bytes -= size
