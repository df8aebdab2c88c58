"""The failure matrix in short: faults once each, over the same real processes as `python -m tests.chaos`.

A plain kill and one SIGTERM are in `test_takeover`, an API that dies in `test_streams`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.matrix import ROWS
from tests.chaos.repeats import Rehearsals, rng
from tests.chaos.stand import Plan, Stand
from tests.chaos.trial import Trial

BY_NAME = {row.name: row for row in ROWS}

TRIALS = [
    ("pop", 1),
    ("finish", 0),
    ("zombie", 0),
    ("redis-always", 0),
    ("cancel", 0),
    ("cancel", 1),
    ("cancel", 2),
    ("cancel", 3),
    ("sigterm", 1),
    ("poison", 2),
    ("memory", 0),
]


@pytest.fixture(scope="module")
def rehearsals(tmp_path_factory: pytest.TempPathFactory) -> Rehearsals:
    """A toy model, and a folder for a stand."""
    return Rehearsals(tmp_path_factory.mktemp("failures"))


@pytest.fixture(scope="module")
def stand(rehearsals: Rehearsals, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Redis, an API and two workers for all trials; the reference pixels are generated on it."""
    folder: Path = tmp_path_factory.mktemp("stand")
    with Stand(folder, rehearsals.models, Plan(slice_seconds=0.08)) as whole:
        rehearsals.learn(whole)
        yield whole


@pytest.mark.parametrize(("name", "number"), TRIALS)
def test_it_holds(rehearsals: Rehearsals, stand: Stand, name: str, number: int) -> None:
    """Whatever the row of the matrix says must hold; a trial raises what does not."""
    row = BY_NAME[name]
    stand.ready()
    row.trial(Trial(stand=stand, number=number, rng=rng(row, number), references=rehearsals.references))
