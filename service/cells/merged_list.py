"""One page of jobs from the pages of all cells.

A cursor is a place in time, the same in every cell. So each cell gets the cursor of the caller, and the pages are merged.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.api.schemas import JobBody, JobPage
from service.jobs.listing import Entry


def merged(pages: Mapping[str, JobPage | None], *, limit: int) -> JobPage:
    """Return the newest `limit` jobs of all pages, each of a cell; None is a cell that did not answer.

    A page that has a successor says nothing of jobs older than its cursor. The newest of these cursors is the horizon.
    """
    found = [page for page in pages.values() if page is not None]
    horizon = max((Entry.of_cursor(page.next_cursor) for page in found if page.next_cursor), key=age, default=None)
    jobs = sorted((job for page in found for job in page.jobs), key=lambda job: age(entry_of(job)), reverse=True)
    known = [job for job in jobs if horizon is None or not entry_of(job).older(horizon)]
    last = entry_of(known[limit - 1]) if len(known) > limit else horizon
    return JobPage(
        jobs=known[:limit],
        next_cursor=last.cursor if last else None,
        missing_cells=[cell for cell, page in pages.items() if page is None],
    )


def entry_of(job: JobBody) -> Entry:
    """Return the entry of a job in its owner's list."""
    return Entry(created_at=round(job.created_at.timestamp() * 1000), id=job.id)


def age(entry: Entry) -> tuple[int, str]:
    """Return what sorts entries, oldest first."""
    return entry.created_at, entry.id
