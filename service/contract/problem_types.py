"""Why a worker fails a job: problems in the terms of RFC 9457, for the job's `error`. docs/recovery.md lists them."""

from __future__ import annotations

from service.contract.record import Problem

BROKEN = Problem(type="urn:spn:drawing-failed", title="Drawing failed", detail="The model could not draw a slice.")
NOT_FINITE = Problem(
    type="urn:spn:not-finite",
    title="Not a number",
    detail="The model's numbers overflowed while a slice was drawn. Another seed, temperature or control may do.",
)
TOO_LARGE = Problem(
    type="urn:spn:out-of-memory",
    title="Out of memory",
    detail="The worker's memory does not even hold one picture of this model at a time.",
)
CHANGED = Problem(
    type="urn:spn:model-changed",
    title="Model changed",
    detail="The model no longer has the controls or size asked for.",
)
UNREADABLE = Problem(
    type="urn:spn:job-unreadable",
    title="Job unreadable",
    detail="The job, or a slice drawn earlier, was written by a version that this worker cannot read.",
)
POISONED = Problem(
    type="urn:spn:poisoned",
    title="Gave up",
    detail="Attempt after attempt its worker was lost before a new slice was done.",
)
