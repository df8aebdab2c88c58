"""Compiled passes: the same pictures as eager ones, kept on disk."""

from pathlib import Path

import pytest

from models.config import Geometry
from models.pipeline import Pipeline
from models.sampling.engine import can_compile
from tests.models.test_sampling import finish, pictures, states
from tests.toy import toy_card, toy_networks

GEOMETRY = Geometry(size=4, slice_size=4)


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artefacts")


def pipeline(artefacts: Path | None, weights: int = 0) -> Pipeline:
    return Pipeline(toy_networks(GEOMETRY, weights), toy_card(GEOMETRY), capacity=8, artefacts=artefacts)


@pytest.mark.skipif(not can_compile(), reason="needs a C++ compiler")
def test_a_compiled_pass_draws_what_an_eager_one_does(artefacts: Path) -> None:
    """Rows of a batch are the rows alone, and the eager ones; compiled once, then loaded, whatever the weights."""
    first = pipeline(artefacts)
    kept = {path: path.stat().st_mtime_ns for path in artefacts.iterdir()}
    assert len(kept) == 2  # base and depth differ in their bits
    together = pictures(finish(first, states(8, GEOMETRY)))
    assert together == [pictures(finish(first, [row]))[0] for row in states(8, GEOMETRY)]
    assert together == pictures(finish(pipeline(None), states(8, GEOMETRY)))
    other = pictures(finish(pipeline(artefacts, weights=1), states(8, GEOMETRY)))
    assert {path: path.stat().st_mtime_ns for path in artefacts.iterdir()} == kept
    assert other == pictures(finish(pipeline(None, weights=1), states(8, GEOMETRY)))
    assert other != together
    assert first.numerics != pipeline(None).numerics
