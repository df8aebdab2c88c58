"""One list from the pages of several cells: nothing is lost, repeated or out of order, wherever each page ends."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from service.api.openapi.examples import JOBS
from service.api.schemas import JobBody, JobPage
from service.cells.merged_list import entry_of, merged
from service.contract.statuses import Status
from service.jobs.listing import Entry

EXAMPLE = JobBody.model_validate(JOBS[Status.SUCCEEDED])
CELLS = ("00", "01", "02")


def a_job(milliseconds: int, job: str) -> JobBody:
    """Return a job of a time."""
    return EXAMPLE.model_copy(update={"id": job, "created_at": datetime.fromtimestamp(milliseconds / 1000, UTC)})


def page_of(jobs: list[JobBody], cursor: str | None, *, limit: int, scanned: int) -> JobPage:
    """Return a page as a cell makes it: at most `limit` jobs of every third kind, after looking at `scanned` at most."""
    start = Entry.of_cursor(cursor) if cursor else None
    rest = [job for job in jobs if start is None or entry_of(job).older(start)]
    found: list[JobBody] = []
    last = None
    for number, job in enumerate(rest):
        if wanted(job) and len(found) == limit:
            return JobPage(jobs=found, next_cursor=last)
        found, last = found + [job] * wanted(job), entry_of(job).cursor
        if number + 1 == scanned and len(rest) > scanned:
            return JobPage(jobs=found, next_cursor=last)
    return JobPage(jobs=found, next_cursor=None)


def wanted(job: JobBody) -> bool:
    """Return whether the list is of this job's status."""
    return int(job.id, 16) % 3 > 0


def test_pages_of_all_cells_make_the_list() -> None:
    """Of any number of jobs, also of one millisecond, with pages that end anywhere."""
    for seed in range(60):
        rng = random.Random(seed)  # noqa: S311 - no secret
        jobs = [
            a_job(1_700_000_000_000 + rng.randrange(40), f"{rng.choice(CELLS)}{n:024x}")
            for n in range(rng.randrange(50))
        ]
        jobs.sort(key=lambda job: (job.created_at, job.id), reverse=True)
        limit, scanned = rng.randrange(1, 8), rng.randrange(1, 12)
        found: list[JobBody] = []
        cursor: str | None = None
        for _ in range(200):
            parts = {cell: [job for job in jobs if job.id[:2] == cell] for cell in CELLS}
            pages = {cell: page_of(part, cursor, limit=limit, scanned=scanned) for cell, part in parts.items()}
            page = merged(pages, limit=limit)
            assert len(page.jobs) <= limit
            found += page.jobs
            if (cursor := page.next_cursor) is None:
                break
        assert [job.id for job in found] == [job.id for job in jobs if wanted(job)]


def test_a_cell_without_an_answer_is_named() -> None:
    """And the others make the page."""
    page = merged({"00": JobPage(jobs=[EXAMPLE], next_cursor=None), "01": None}, limit=5)
    assert (page.jobs, page.missing_cells, page.next_cursor) == ([EXAMPLE], ["01"], None)
