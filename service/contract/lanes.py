"""Lanes that one slice of one image takes in a round. The API estimates with them, workers fill rounds by them.

In both functions `requested` holds the names of the controls that have a value. They follow what models.pipeline does.
"""

from __future__ import annotations

from collections.abc import Collection

from models.cards import ModelCard
from models.config import LABEL, Sampling, Stage


def slice_candidates(card: ModelCard, stage: Stage, sampling: Sampling, requested: Collection[str]) -> int:
    """Return how many candidates a slice has: several at the base alone, where a verifier can look for a label."""
    return sampling.candidates if stage is Stage.BASE and card.verifier and LABEL in requested else 1


def slice_lanes(card: ModelCard, stage: Stage, sampling: Sampling, requested: Collection[str]) -> int:
    """Return the lanes of a slice: one for each candidate, two where guidance acts.

    It acts at the guided networks, where the unconditional side has other controls.
    """
    guided = stage in card.guided and sampling.guidance != 1 and not set(card.unguided_controls).isdisjoint(requested)
    return slice_candidates(card, stage, sampling, requested) * (2 if guided else 1)
