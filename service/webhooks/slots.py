"""Slots of the sender: how many attempts may be in flight, in all, for an owner and for a receiver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

AT_ONCE = 128
"""Attempts in flight. Above that an owner without any may still have one, so no owner waits for others."""

PER_OWNER = 32
"""Attempts of one owner, whatever the number of its receivers."""

PER_RECEIVER = 16
"""Attempts at a receiver that accepts. One that is new, or whose last attempt failed, has one attempt at a time."""

REMEMBERED = 10_000
"""Receivers whose window is remembered."""

FULL = -1


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One owner's deliveries to one receiver. `owner` is "" on a server without API keys."""

    owner: str
    receiver: str

    @property
    def id(self) -> str:
        """Name of the lane in `dispatch.lua`."""
        return f"{self.owner}/{self.receiver}"


class Slots:
    """Count of attempts in flight. A receiver's window doubles with each accepted delivery and returns to 1 on failure."""

    def __init__(self) -> None:
        self._owners, self._lanes = Counter[str](), Counter[str]()
        self._windows: dict[str, int] = {}

    def occupy(self, lane: Lane) -> None:
        """Count one more attempt."""
        self._owners[lane.owner] += 1
        self._lanes[lane.id] += 1

    def release(self, lane: Lane) -> None:
        """Count one attempt less."""
        self._owners -= Counter([lane.owner])  # which also forgets a name at zero
        self._lanes -= Counter([lane.id])

    def widen(self, lane: Lane) -> None:
        """Allow more attempts at a receiver that accepted one."""
        if len(self._windows) >= REMEMBERED:
            self._windows.clear()
        self._windows[lane.id] = min(PER_RECEIVER, 2 * self._windows.get(lane.id, 1))

    def narrow(self, lane: Lane) -> None:
        """Allow one attempt at a time at a receiver."""
        self._windows.pop(lane.id, None)

    def owners(self) -> Mapping[str, int]:
        """Return the attempts in flight of each owner, or FULL for one that may have no more."""
        all_taken = self._owners.total() >= AT_ONCE
        return {owner: FULL if all_taken or count >= limit(owner) else count for owner, count in self._owners.items()}

    def lanes(self) -> Mapping[str, int]:
        """Return the attempts in flight in each lane, or FULL for one that may have no more."""
        return {lane: FULL if count >= self._windows.get(lane, 1) else count for lane, count in self._lanes.items()}


def limit(owner: str) -> int:
    """Return the attempts that an owner may have in flight. Without API keys there is one owner, who has all."""
    return PER_OWNER if owner else AT_ONCE
