"""Where results are kept: the setting SPN_RESULTS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from obstore.exceptions import BaseError
from obstore.store import from_url
from pydantic import AfterValidator

SCHEMES = ("s3", "gs", "az")
EXPECTED = "expected a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"


def is_folder(location: str) -> bool:
    """Return whether a location is a folder of this machine."""
    return "://" not in location


def results_location(value: str) -> str:
    """Return `value`, if objects can be kept there: a folder, which is made, or the URL of a bucket. Raises ValueError."""
    location = value.removeprefix("file://")
    if is_folder(location):
        try:
            Path(location).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"the folder cannot be made ({error.strerror}); {EXPECTED}") from None
        return location
    scheme, _, rest = location.partition("://")
    if scheme not in SCHEMES or not rest.strip("/"):
        raise ValueError(EXPECTED)
    try:
        from_url(location)
    except (BaseError, ValueError) as error:
        raise ValueError(f"{str(error).splitlines()[0]}; {EXPECTED}") from None
    return location


ResultsLocation = Annotated[str, AfterValidator(results_location)]
"""A folder of this machine, or the URL of a bucket."""
