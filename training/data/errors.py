"""Errors of training data.

DataError: the data set as a whole cannot be used
UnreadableImageError: one image cannot be read; it is logged and skipped
"""

from __future__ import annotations


class DataError(Exception):
    """A data set that cannot be used; the message says what was expected."""


class UnreadableImageError(Exception):
    """An image that cannot be read; the message has its name and the reason."""
