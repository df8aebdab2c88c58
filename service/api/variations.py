"""Variations: jobs that keep the first slices of an image of an earlier job."""

from __future__ import annotations

from models.config import Geometry, Stage
from models.subscale import Progress
from service.api.requests import StartStage, Variation
from service.errors import FieldError, SlicesMissingError
from service.images import generated
from service.jobs.requester import JobOwner
from service.jobs.store import Jobs


async def kept_slices(jobs: Jobs, variation: Variation, *, owner: str) -> Progress:
    """Return the slices to keep. Raises UnknownJobError, NoImageError, SlicesMissingError and FieldError."""
    record = await jobs.get(variation.job, JobOwner(owner))
    request = record.request
    if variation.index >= request.num_images:
        raise FieldError("start.index", f"that job has {request.num_images} images; the first has index 0")
    count = kept_count(variation, request.geometry)
    progress = generated((await jobs.images(record)).progress[variation.index])
    if progress.done < count:
        raise SlicesMissingError(f"This image has {progress.done} slices so far, not {count}. Wait, or keep fewer.")
    return Progress(geometry=progress.geometry, slices=progress.slices[:count])


def kept_count(variation: Variation, geometry: Geometry) -> int:
    """Return how many slices are kept. Raises FieldError if none would be left to generate, or no such network exists."""
    if variation.stage is not None:
        if Stage(variation.stage) not in geometry.stages:
            raise FieldError("start.stage", f"this model has no {variation.stage} network")
        return 1 if variation.stage is StartStage.SIZE else geometry.slices
    most = len(geometry.steps) - 1
    if (count := variation.slices or 0) > most:
        raise FieldError("start.slices", f"at most {most} of this model's {most + 1} slices can be kept")
    return count
