"""Slots: how many attempts a receiver, an owner and all together may have."""

from __future__ import annotations

from service.webhooks.slots import AT_ONCE, FULL, PER_OWNER, PER_RECEIVER, Lane, Slots

LANE = Lane(owner="studio", receiver="hooks.example:443")


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def fill(slots: Slots, lane: Lane) -> int:
    """Occupy slots of a lane until it is full, and return how many."""
    count = 0
    while slots.lanes().get(lane.id, 0) != FULL and slots.owners().get(lane.owner, 0) != FULL:
        slots.occupy(lane)
        count += 1
    return count


def test_a_new_receiver_has_one_attempt_at_a_time() -> None:
    """Until it accepts one."""
    slots = Slots()
    assert fill(slots, LANE) == 1
    slots.release(LANE)
    assert slots.lanes() == {}
    assert slots.owners() == {}


def test_the_window_doubles_on_success_and_falls_to_one_on_failure() -> None:
    """1, 2, 4, 8, 16, and no further."""
    slots = Slots()
    for expected in (2, 4, 8, PER_RECEIVER, PER_RECEIVER):
        slots.widen(LANE)
        assert fill(slots, LANE) == expected
        for _ in range(expected):
            slots.release(LANE)
    slots.narrow(LANE)
    assert fill(slots, LANE) == 1


def test_ten_receivers_of_one_owner_count_as_one_owner() -> None:
    """However many names they have; another owner has its own slots."""
    slots = Slots()
    for number in range(PER_OWNER):
        slots.occupy(Lane(owner="studio", receiver=f"{number}.example"))
    assert slots.owners() == {"studio": FULL}
    slots.occupy(Lane(owner="other", receiver="hooks.example"))
    assert slots.owners() == {"studio": FULL, "other": 1}


def test_without_api_keys_the_one_owner_has_all_slots() -> None:
    """There is nobody to share with."""
    slots = Slots()
    for number in range(AT_ONCE - 1):
        slots.occupy(Lane(owner="", receiver=f"{number}.example"))
    assert slots.owners() == {"": AT_ONCE - 1}
    slots.occupy(Lane(owner="", receiver="last.example"))
    assert slots.owners() == {"": FULL}


def test_an_owner_without_attempts_never_waits_for_others() -> None:
    """Full in all means: no second attempt. An owner that is not counted has a slot."""
    slots = Slots()
    for number in range(AT_ONCE):
        slots.occupy(Lane(owner=f"owner-{number % 8}", receiver=f"{number}.example"))
    assert set(slots.owners().values()) == {FULL}
    assert "newcomer" not in slots.owners()
