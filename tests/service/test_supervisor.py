"""Background tasks: none ends silently."""

from __future__ import annotations

import asyncio
import logging

import pytest

from service.supervisor import Supervisor, TaskState


@pytest.mark.parametrize("fails", [True, False])
def test_a_task_that_ends_is_restarted_counted_and_shown(fails: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Whether it fails or returns; its neighbour runs on undisturbed."""
    begun, restarts, third = list[str](), list[str](), asyncio.Event()

    async def short() -> None:
        begun.append("short")
        if begun.count("short") == 3:
            third.set()
            await asyncio.Event().wait()
        if fails:
            raise LookupError("as a test")

    async def long() -> None:
        begun.append("long")
        await asyncio.Event().wait()

    async def run() -> dict[str, TaskState]:
        supervisor = Supervisor({"long": long, "short": short}, restarted=restarts.append, first_pause_seconds=0.001)
        async with supervisor:
            async with asyncio.timeout(30):
                await third.wait()
            return supervisor.states

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(run()) == {"long": TaskState.RUNNING, "short": TaskState.FAILING}
    assert (begun.count("long"), restarts) == (1, ["short"] * 2)
    assert all("background task short" in record.message for record in caplog.records)


def test_all_tasks_end_with_the_supervisor() -> None:
    """Also one that loses its first cancellation."""
    lost = list[str]()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.append("once")
        await asyncio.Event().wait()

    async def run() -> int:
        async with Supervisor({"stubborn": stubborn}, restarted=lost.append):
            await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1
    assert lost == ["once"]
