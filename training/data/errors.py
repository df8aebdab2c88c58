"""What can be wrong with training data.

DataError: the data set as a whole cannot be used
UnreadablePicture: one picture cannot; it is named and skipped
"""

from __future__ import annotations


class DataError(Exception):
    """The message says what was expected."""


class UnreadablePicture(Exception):  # noqa: N818 - the picture is the subject
    """The message says which picture, and why."""
