"""The doctor's findings: one line each, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The severity of a finding. Only WRONG gives the doctor an exit status other than 0."""

    FINE = "fine"
    ADVICE = "advice"
    WRONG = "wrong"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The subject of a check, what was seen, and what to do unless it is fine."""

    level: Level
    subject: str
    seen: str
    cure: str = ""


def fine(subject: str, seen: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(level=Level.FINE, subject=subject, seen=seen)


def advice(subject: str, seen: str, cure: str) -> Finding:
    """Return a finding that works, but could be better or safer."""
    return Finding(level=Level.ADVICE, subject=subject, seen=seen, cure=cure)


def wrong(subject: str, seen: str, cure: str) -> Finding:
    """Return a finding that does not work, or by which accepted jobs can be lost."""
    return Finding(level=Level.WRONG, subject=subject, seen=seen, cure=cure)


def report(findings: Sequence[Finding]) -> str:
    """Return all findings as text; each cure has a line of its own."""
    return "\n".join(line for finding in findings for line in lines(finding))


def lines(finding: Finding) -> list[str]:
    """Return the lines of one finding."""
    first = f"{finding.level:<7} {finding.subject:<12} {finding.seen}"
    return [first, f"{'':<7} {'':<12} -> {finding.cure}"] if finding.cure else [first]
