"""SECURITY.md lists the limits as they are in the code."""

from __future__ import annotations

from tests.harness.limits_table import BEGIN, END, PAGE, page


def test_the_limits_are_current() -> None:
    """What `python -m tests.harness.limits_table` writes."""
    text = PAGE.read_text()
    assert (text.count(BEGIN), text.count(END)) == (1, 1)
    assert text == page()
