"""The evidence commands: budgets are kept and resumed, glyphs compare without their looks, and scores are right."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from models.config import Geometry
from models.subscale import Bytes
from research.baselines.baseline import Baseline
from research.baselines.baseline_presets import BaselineKind, small
from research.evidence.accuracy import LabelledTestSet, ratio_interval, scores
from research.evidence.contestants import POSITIONS, SIZE, Contestant, Part, contestants
from research.evidence.diversity import GAP, effective
from research.evidence.likelihood import image_bits, rows_of
from research.evidence.memorisation import drawn_again, nearest_distances, to_others
from research.evidence.model_samples import reduced, samples
from research.evidence.pages import filled
from research.evidence.sample_requests import SampleRequests, composed, glyphs, letters
from research.evidence.shapes import clusters, distances, shapes
from research.evidence.training_runs import TrainingRun, spend, train
from tests.harness.flat import Flat
from tests.harness.toy import CONTROLS
from training.data.symbols import Symbols
from training.data.tiles import Look, compose
from training.data.vocabulary import HUE, LABEL, TILE, Family, Tile

SECONDS = 0.5
GEOMETRY = Geometry(size=8, slice_size=8)


@pytest.fixture(scope="module")
def symbols() -> Symbols:
    """The packed set at 32 pixels."""
    return Symbols.load(size=SIZE)


def a_run(folder: Path, seed: int = 0, seconds: float = SECONDS) -> TrainingRun:
    make = partial(small, BaselineKind.GATED, GEOMETRY, CONTROLS, bits=8)
    part = Part(stage=Baseline.stage, share=1.0, geometry=GEOMETRY, make=make)
    toy = Contestant(name="toy", title="Toy", parts=(part,))
    return TrainingRun(contestant=toy, seed=seed, minutes=seconds / 60, folder=folder)


def test_a_budget_is_used_and_hardly_exceeded(tmp_path: Path) -> None:
    """Training ends with the first update after the budget of processor time, and the run is finished."""
    run = a_run(tmp_path)
    assert not run.finished
    assert train(run, Flat())
    assert run.finished
    assert SECONDS <= run.spent_seconds < 10
    assert run.steps[Baseline.stage] >= 1


def test_a_stopped_run_continues_with_the_rest(tmp_path: Path) -> None:
    """A run stopped after its first update has one step and is not finished; the next call ends within the same budget."""
    run, calls = a_run(tmp_path, seconds=2), iter((False, True))
    spend(run, run.parts[0], Flat(), lambda: next(calls))
    assert run.steps == {Baseline.stage: 1}
    assert not run.finished
    assert train(run, Flat())
    assert run.steps[Baseline.stage] > 1
    assert 2 <= run.spent_seconds < 12


def test_weights_of_another_recipe_are_refused(tmp_path: Path) -> None:
    """A checkpoint has its rates: with other rates it is neither finished nor resumed."""
    run = a_run(tmp_path)
    assert train(run, Flat())
    (part,) = run.parts
    faster = replace(run, contestant=replace(run.contestant, parts=(replace(part, rates=(2.0, 1.0)),)))
    with pytest.raises(ValueError, match="another recipe"):
        train(faster, Flat())


def test_every_contestant_predicts_equally_many_pixels_in_an_update() -> None:
    """An update has 4,096 pixels, in slices or in whole images; the shares of a budget add up; no name occurs twice."""
    for contestant in contestants():
        assert sum(part.share for part in contestant.parts) == pytest.approx(1)
        assert all(part.recipe(1).batch * part.geometry.positions == POSITIONS for part in contestant.parts)
    assert len({contestant.name for contestant in contestants()}) == 6


def test_contestants_have_equally_many_parameters() -> None:
    """They are within a tenth of the Subscale Pixel Network, whatever the presets are."""
    ours, *others = contestants()
    for other in others:
        assert other.parameters == pytest.approx(ours.parameters, rel=0.1), other.name


def test_larger_images_are_compared_at_the_size_of_the_contestants() -> None:
    """Each pixel is the mean of its block, and images stay with their requests."""

    def draw(controls: Sequence[Sequence[int]], seeds: Sequence[int]) -> Bytes:
        images = np.zeros((len(seeds), 2 * SIZE, 2 * SIZE, 3), np.uint8)
        images[:, ::2, ::2] = 4 * np.array([label for label, *_ in controls])[:, None, None, None]
        return images

    small = reduced(draw)([(1,), (5,)], range(2))
    assert small.shape == (2, SIZE, SIZE, 3)
    assert (small[0] == 1).all()
    assert (small[1] == 5).all()


def test_bits_are_kept_and_compared_by_image(tmp_path: Path) -> None:
    """The second call reads the figures of the first; the excess of a contestant over itself is zero."""
    runs = [a_run(tmp_path, seed) for seed in (0, 1)]
    assert all(train(run, Flat()) for run in runs)
    held_out = Flat().held_out()
    first = image_bits(runs[0], held_out)
    np.save(runs[0].place / f"bits-{len(first)}.npy", first + 1)
    (row,) = rows_of(runs, held_out)
    assert row.bits[0] == pytest.approx(first.mean() + 1)
    assert row.interval[0] < np.mean(row.bits) < row.interval[1]
    assert row.excess == 0


def test_a_table_replaces_its_own_place_only() -> None:
    """The text between two marks is replaced, repeatedly; a page without them is an error."""
    page = "a\n<!-- bits -->\nold\n<!-- /bits -->\nb\n<!-- cas -->\n<!-- /cas -->\n"
    once = filled(page, "bits", "new | \\1")
    assert filled(once, "bits", "new | \\1") == once
    assert "old" not in once
    assert once.startswith("a\n<!-- bits -->\nnew | \\1\n")
    assert once.endswith("b\n<!-- cas -->\n<!-- /cas -->\n")
    with pytest.raises(ValueError, match="speed"):
        filled(page, "speed", "")


@pytest.mark.parametrize("make", [partial(glyphs, count=100), partial(letters, count=100)])
def test_real_images_match_their_requests(symbols: Symbols, make: Callable[[Symbols], SampleRequests]) -> None:
    """Each shows a training drawing of the requested label, and the same call returns the same requests."""
    requests = make(symbols)
    assert (symbols.pack.glyph_labels[requests.drawings] == requests.controls[:, 0]).all()
    assert len(requests.real) == len(requests.controls)
    assert requests.controls.min() >= 1
    again = make(symbols)
    assert (again.controls == requests.controls).all()
    assert (again.real == requests.real).all()


def one(symbols: Symbols, drawing: int, hue: str, seed: int) -> Bytes:
    look = Look(family=Family.ICONS, hue=hue, tile=Tile.NONE)
    return compose(np.random.default_rng(seed), symbols.pack.glyphs[drawing], look, size=SIZE)


def test_the_shape_of_a_glyph_does_not_depend_on_its_look(symbols: Symbols) -> None:
    """The same drawing in another hue, place and scale is nearer than any of fifty others; a blank image has no shape."""
    drawings = range(0, 2000, 40)
    first = shapes(np.stack([one(symbols, d, "blue", 1) for d in drawings]))
    second = shapes(np.stack([one(symbols, d, "yellow", 2) for d in drawings]))
    assert (distances(second, first).argmin(1) == np.arange(50)).mean() > 0.95
    assert not shapes(np.full((1, SIZE, SIZE, 3), 255, np.uint8)).any()


def test_copies_are_found(symbols: Symbols) -> None:
    """A glyph drawn again is nearest to itself, and nearer than almost all others are to their nearest one."""
    every = np.arange(300) * 100  # of all labels: neighbours in the pack show the same subject
    gallery = composed("gallery", symbols, np.random.default_rng(0), every, [Tile.NONE] * 300)
    others, some = shapes(gallery.real), gallery.first(100)
    apart = distances(shapes(drawn_again(symbols, some).real), others)
    assert (apart.argmin(1) == np.arange(100)).mean() > 0.97
    near = [float(np.quantile(apart.min(1), 0.9))]
    assert nearest_distances("copies", apart.min(1), near).shares == pytest.approx((0.9,), abs=0.01)
    split = nearest_distances("split", to_others(replace(some, drawings=np.arange(100)), others), near)
    assert split.shares[0] < 0.1
    assert list(split.quantiles) == sorted(split.quantiles)


def test_a_collapse_is_found(symbols: Symbols) -> None:
    """Ten drawings in twenty looks each count as about ten; two hundred drawings count as nearly two hundred."""
    of_ten = composed("ten", symbols, np.random.default_rng(0), np.arange(200) % 10 * 400, [Tile.NONE] * 200)
    of_all = composed("all", symbols, np.random.default_rng(0), np.arange(200) * 40, [Tile.NONE] * 200)
    assert 5 <= clusters(shapes(of_ten.real), GAP) <= 14
    assert clusters(shapes(of_all.real), GAP) > 180


def test_clusters_count_different_glyphs() -> None:
    """Repeats and near repeats count once."""
    rng = np.random.default_rng(0)
    some = rng.uniform(0, 255, (6, 256)).astype(np.float32)
    assert clusters(np.concatenate([some, some + 1, some]), 16) == 6


def test_effective_numbers() -> None:
    """Four even values are four, one value is one, two uneven values are between one and two."""
    assert effective("abcd" * 5) == pytest.approx(4)
    assert effective("aaaa") == pytest.approx(1)
    assert 1 < effective("aaab") < 2


def test_samples_are_drawn_once(tmp_path: Path, symbols: Symbols) -> None:
    """A second call reads the samples of the first, more requests draw the rest, images stay with their requests."""
    drawn: list[int] = []

    def draw(controls: Sequence[Sequence[int]], seeds: Sequence[int]) -> Bytes:
        drawn.extend(seeds)
        return np.array([[[[label]]] for label, *_ in controls], np.uint8)

    requests = letters(symbols, 200).first(100)
    some = samples(lambda: draw, requests.first(40), tmp_path)
    assert (some == samples(lambda: draw, requests.first(40), tmp_path)).all()
    assert drawn == list(range(40))
    assert (samples(lambda: draw, requests, tmp_path)[:, 0, 0, 0] == requests.controls[:, 0]).all()
    assert drawn[-36:] == list(range(64, 100))


def test_classifiers_learn_nothing_from_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A classifier trained on real images is right about them; trained on noise it guesses, and the ratio shows it."""
    for name, value in (("STEPS", 25), ("BATCH", 16), ("CLASSIFIERS", 2)):
        monkeypatch.setattr(f"research.evidence.accuracy.{name}", value)
    rng = np.random.default_rng(0)
    classes = np.arange(200) % 2
    real = np.broadcast_to((classes * 200)[:, None, None, None], (200, SIZE, SIZE, 3)).astype(np.uint8)
    noise = rng.integers(0, 256, real.shape, dtype=np.uint8)
    test_set = LabelledTestSet(name="toy", images=real[:50], classes=classes[:50], count=2)
    trained, guessed, most_frequent = scores(test_set, {"real": real, "noise": noise}, classes)
    assert trained.accuracy == trained.ratio == 1
    assert guessed.ratio < 0.75
    assert most_frequent.accuracy == 0.5


def test_a_ratio_of_equals_is_one() -> None:
    """The interval of equal sides is one too: both are resampled together."""
    right = np.random.default_rng(0).random(300)
    assert ratio_interval(right, right) == (1, 1)
    low, high = ratio_interval(right / 2, right)
    assert low == pytest.approx(high) == pytest.approx(0.5)


def test_controls_are_in_the_models_order(symbols: Symbols) -> None:
    """The order is label, style, hue, tile."""
    requests = letters(symbols, 200).first(36)
    assert [LABEL.values[label - 1] for label in requests.controls[:, 0]] == list(LABEL.values[:36])
    assert requests.controls[:, 2].max() <= len(HUE.values)
    assert requests.controls[:, 3].max() <= len(TILE.values)
