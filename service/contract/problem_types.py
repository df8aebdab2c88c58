"""Reasons for which a worker fails a job: problems after RFC 9457, for the job's `error`. docs/recovery.md lists them."""

from __future__ import annotations

from service.contract.record import Problem

BROKEN = Problem(
    type="urn:spn:drawing-failed", title="Generation failed", detail="The model failed to generate a slice."
)
NOT_FINITE = Problem(
    type="urn:spn:not-finite",
    title="Not a number",
    detail="The model's numbers overflowed in a slice. Try another seed, temperature or control.",
)
TOO_LARGE = Problem(
    type="urn:spn:out-of-memory",
    title="Out of memory",
    detail="One image of this model does not fit in the worker's memory.",
)
CHANGED = Problem(
    type="urn:spn:model-changed",
    title="Model changed",
    detail="The model no longer has the controls or the size of this request. Submit it again.",
)
UNREADABLE = Problem(
    type="urn:spn:job-unreadable",
    title="Job unreadable",
    detail="The job, or an earlier slice, was written by a version that this worker cannot read. Submit it again.",
)
POISONED = Problem(
    type="urn:spn:poisoned",
    title="Too many failed attempts",
    detail="In several attempts in a row, the worker was lost before it had a new slice.",
)
