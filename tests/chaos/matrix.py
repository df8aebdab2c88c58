"""The failure matrix: every fault, how often it is tried, what must hold."""

from __future__ import annotations

from functools import partial

from tests.chaos.apis import killed_api
from tests.chaos.cancels import canceled
from tests.chaos.disks import full_disk
from tests.chaos.poison import poisoned
from tests.chaos.rehearsal import Cue
from tests.chaos.stand import Plan
from tests.chaos.stops import terminated
from tests.chaos.stores import away, died_always, died_everysec, full_memory, hung
from tests.chaos.trial import Row
from tests.chaos.workers import killed, struck, zombie

SAME = "all finish, same pixels, each once, progress never goes back, resumed within 15 s"
EVERYSEC = ("--appendfsync", "everysec")
DISK_MIB = 16
BUSY = 0.03
"""Seconds a slice takes more in the rows with a steady load."""

ROWS = (
    Row(
        name="kill",
        fault="worker kill -9 at a random moment, 8 jobs running, another worker alive",
        must=SAME,
        repeats=50,
        quick=3,
        trial=killed,
    ),
    Row(
        name="kill-shipped",
        fault="the same, with the shipped settings",
        must=SAME,
        repeats=6,
        quick=1,
        trial=killed,
        plan=Plan(settings={}),
    ),
    Row(
        name="pop",
        fault="worker killed between pop and acquire",
        must=SAME,
        repeats=20,
        quick=2,
        trial=partial(struck, cues=(Cue.POPPED, Cue.ACQUIRE)),
    ),
    Row(
        name="pop-shipped",
        fault="the same, with the shipped settings",
        must=SAME,
        repeats=4,
        quick=1,
        trial=partial(struck, cues=(Cue.POPPED, Cue.ACQUIRE)),
        plan=Plan(settings={}),
    ),
    Row(
        name="finish",
        fault="worker killed between last slice and finish, or right after it",
        must=SAME,
        repeats=20,
        quick=2,
        trial=partial(struck, cues=(Cue.FINISH, Cue.FINISHED)),
    ),
    Row(
        name="zombie",
        fault="worker SIGSTOP past its lease, job taken over, then SIGCONT",
        must="one result, same pixels; the zombie's writes refused",
        repeats=20,
        quick=2,
        trial=zombie,
    ),
    Row(
        name="redis-always",
        fault="Redis kill -9 and restart under load, appendfsync always",
        must="acknowledged jobs lost: 0; all finish, same pixels",
        repeats=10,
        quick=2,
        trial=died_always,
        plan=Plan(slice_seconds=BUSY),
    ),
    Row(
        name="redis-everysec",
        fault="the same, everysec; every other time what was not synced for 1 s is cut off, as in a power cut",
        must="lost: only jobs at most 2 s old; all others finish, same pixels",
        repeats=10,
        quick=2,
        trial=died_everysec,
        plan=Plan(slice_seconds=BUSY, store_options=EVERYSEC),
    ),
    Row(
        name="redis-away",
        fault="Redis away for 60 s",
        must="503 meanwhile, no process ends, lost: 0; all finish, same pixels, resumed within 15 s",
        repeats=10,
        quick=1,
        trial=away,
    ),
    Row(
        name="redis-hangs",
        fault="Redis says nothing for 60 s, its connections stay open",
        must="the same",
        repeats=2,
        quick=1,
        trial=hung,
    ),
    Row(
        name="api",
        fault="API kill -9 while it streams 8 jobs; restarted",
        must="clients resume: every event once, in order",
        repeats=20,
        quick=2,
        trial=killed_api,
    ),
    Row(
        name="cancel",
        fault="cancel while queued, running, in the last slice, or as its worker dies",
        must="one terminal state, never resurrected",
        repeats=50,
        quick=4,
        trial=canceled,
    ),
    Row(
        name="sigterm",
        fault="SIGTERM once; twice; during load",
        must="once: exit 0 within 20 s, no attempt spent; twice: exit within 2 s; all finish, same pixels",
        repeats=20,
        quick=2,
        trial=terminated,
    ),
    Row(
        name="poison",
        fault="poisoned job in a batch of 8: kills the worker, raises, or has logits of NaN",
        must="7 finish, same pixels; 1 fails with its reason",
        repeats=20,
        quick=3,
        trial=poisoned,
        plan=Plan(workers=1),
    ),
    Row(
        name="disk-always",
        fault="disk full for the append-only file, always",
        must="submits refused with 503; running jobs finish afterwards, same pixels; redis-check-aof finds no damage",
        repeats=3,
        quick=1,
        trial=full_disk,
        plan=Plan(disk_mib=DISK_MIB),
    ),
    Row(
        name="disk-everysec",
        fault="the same, everysec",
        must="the same",
        repeats=3,
        quick=1,
        trial=full_disk,
        plan=Plan(disk_mib=DISK_MIB, store_options=EVERYSEC),
    ),
    Row(
        name="memory",
        fault="Redis at maxmemory",
        must="submits refused with 503; running jobs finish afterwards, same pixels",
        repeats=3,
        quick=1,
        trial=full_memory,
    ),
)
