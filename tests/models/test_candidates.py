"""Candidates for a base slice, of which the verifier keeps one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from models.config import ANY, Geometry, Sampling, Stage
from models.errors import NotFiniteError
from models.pipeline import ImageState, Pipeline, SliceVerifier
from models.subscale import Progress
from tests.harness.toy import ToyVerifier, toy_card, toy_networks

GEOMETRY = Geometry(size=8, slice_size=4)
LABEL = 2


class Indifferent:
    """Finds all slices equally likely."""

    def scores(self, slices: Tensor, _controls: Sequence[int]) -> Tensor:
        """(B,)."""
        return torch.full((len(slices),), 1 / 3)


def pipeline(verifier: SliceVerifier | None, *, capacity: int = 8) -> Pipeline:
    return Pipeline(toy_networks(GEOMETRY), toy_card(GEOMETRY), capacity=capacity, verifier=verifier)


def state(candidates: int, *, seed: int = 1, label: int = LABEL) -> ImageState:
    sampling = Sampling(candidates=candidates, guidance=1.5)
    return ImageState(seed=seed, controls=(label, 0, 0), sampling=sampling, progress=Progress(geometry=GEOMETRY))


def slice_of(sampled: ImageState) -> bytes:
    return sampled.progress.slices[-1].tobytes()


@pytest.mark.parametrize("seed", range(3))
def test_the_likeliest_candidate_goes_on(seed: int) -> None:
    """Of slices sampled from noises of their own, with the verifier's probability as the score."""
    pipe = pipeline(ToyVerifier())
    every = pipe.sample(Stage.BASE, pipe.candidates(state(8, seed=seed)))
    scores = ToyVerifier().scores(torch.from_numpy(every), (LABEL, 0, 0)).tolist()
    assert len({each.tobytes() for each in every}) == 8
    for count in range(1, 9):
        (kept,) = pipe.advance([state(count, seed=seed)])
        best = max(range(count), key=scores.__getitem__)
        assert slice_of(kept) == every[best].tobytes()
        assert kept.score == pytest.approx(scores[best])


def test_more_candidates_than_rows_are_sampled_in_turns() -> None:
    """As the same slices, whatever the capacity and whoever shares the batch."""
    rows = [state(1 + seed * 3, seed=seed) for seed in range(3)]
    together = pipeline(ToyVerifier(), capacity=3).advance(rows)
    alone = [pipeline(ToyVerifier(), capacity=5).advance([row])[0] for row in rows]
    assert [(slice_of(row), row.score) for row in together] == [(slice_of(row), row.score) for row in alone]


def test_of_equal_candidates_the_first_goes_on() -> None:
    pipe = pipeline(Indifferent())
    (kept,), (first,) = pipe.advance([state(4)]), pipe.advance([state(1)])
    assert slice_of(kept) == slice_of(first)
    assert kept.score == pytest.approx(1 / 3)


def test_without_label_or_verifier_the_first_goes_on_without_a_score() -> None:
    """And no other is sampled."""
    verifier = ToyVerifier()
    for pipe, label in ((pipeline(verifier), ANY), (pipeline(None), LABEL)):
        assert len(pipe.candidates(state(4, label=label))) == 1
        (kept,), (first,) = pipe.advance([state(4, label=label)]), pipe.advance([state(1, label=label)])
        assert slice_of(kept) == slice_of(first)
        assert kept.score is None
    assert verifier.calls == 0


def test_later_slices_keep_the_score() -> None:
    """They are sampled once, and the verifier is not called again."""
    verifier = ToyVerifier()
    pipe = pipeline(verifier)
    (row,) = pipe.advance([state(3)])
    score = row.score
    while row.progress.next:
        assert len(pipe.candidates(row)) == 1
        (row,) = pipe.advance([row])
    assert score is not None
    assert row.score == score
    assert verifier.calls == 1


def test_the_verifier_is_part_of_the_numerics() -> None:
    networks, card = toy_networks(GEOMETRY), replace(toy_card(GEOMETRY), verifier="0123456789abcdef" * 4)
    with_it = Pipeline(networks, card, verifier=ToyVerifier()).numerics
    assert with_it == f"{Pipeline(networks, card).numerics}/verifier-0123456789ab"


def test_a_verifier_without_numbers_is_refused() -> None:
    class Broken:
        def scores(self, slices: Tensor, _controls: Sequence[int]) -> Tensor:
            """NaN."""
            return torch.full((len(slices),), np.nan)

    with pytest.raises(NotFiniteError):
        pipeline(Broken()).advance([state(2)])
