"""The evidence commands: budgets are kept and resumed, glyphs compare without their looks, and scores are right."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from models.cards import WEIGHTS, load_card
from models.config import MODEL_SAMPLING, Geometry, Sampling, Stage
from models.decoder import Head
from models.subscale import Bytes
from research.baselines.baseline import Baseline
from research.baselines.baseline_presets import BaselineKind, small
from research.baselines.plain_head import PlainHead
from research.baselines.sampler import BaselineSampler
from research.evidence import rates
from research.evidence.accuracy import ratio_interval, scores
from research.evidence.comparison import SampleComparison, held_out_drawings, reduced
from research.evidence.contestants import BASELINE_RATES, OURS, POSITIONS, Contestant, Part, contestants
from research.evidence.diversity import clusters, coverage, half_radii
from research.evidence.drawings import Drawings, correct, distances
from research.evidence.likelihood import RunBits, image_bits, interval, rows_of, table
from research.evidence.memorisation import Gallery, nearest_distances
from research.evidence.model_samples import SETTINGS, SHIPPED, TOGETHER, SampleSeries, draw_in_turn, sampling_of
from research.evidence.pages import DOCS, by_line, filled, with_earlier
from research.evidence.sample_requests import COUNT, SampleRequests, labels_in_turn, real_images
from research.evidence.speed import labels_in_turn as labels_of_speed
from research.evidence.training_runs import TrainingRun, keep, spend, train
from tests.harness.flat import Flat
from tests.harness.toy import CONTROLS
from training.data.symbols import DEFAULT, Pack
from training.data.vocabulary import CONTROLS as VOCABULARY
from training.data.vocabulary import HUE, LABEL, TILE
from training.judging.glyphs import Glyphs
from training.judging.observation import observe
from training.judging.reader import ALIKE
from training.judging.reader_training import reader_of
from training.loop.trainer import Trainer

GEOMETRY = Geometry(size=8, slice_size=8)


def a_run(folder: Path, seed: int = 0, updates: int = 2) -> TrainingRun:
    make = partial(small, BaselineKind.GATED, GEOMETRY, CONTROLS, bits=8)
    part = Part(stage=Baseline.stage, share=1.0, pace=4, geometry=GEOMETRY, make=make)
    toy = Contestant(name="toy", title="Toy", parts=(part,))
    return TrainingRun(contestant=toy, seed=seed, minutes=updates / 4, folder=folder)


def test_a_budget_is_used(tmp_path: Path) -> None:
    """A run makes the updates of its minutes at the pace of its network."""
    run = a_run(tmp_path, updates=3)
    assert not run.finished
    assert train(run, Flat())
    assert run.finished
    assert run.steps == {Baseline.stage: 3}
    assert train(run, Flat())
    assert run.steps == {Baseline.stage: 3}


def test_a_stopped_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    """A run stopped after its first update is not finished; the next call makes the rest, as if it had not been stopped."""
    run, whole = a_run(tmp_path / "stopped", updates=3), a_run(tmp_path / "whole", updates=3)
    spend(run, run.parts[0], Flat(), lambda: True)
    assert run.steps == {Baseline.stage: 1}
    assert not run.finished
    assert train(run, Flat())
    assert train(whole, Flat())
    for kept, expected in zip(run.networks().parameters(), whole.networks().parameters(), strict=True):
        assert torch.equal(kept, expected)
    assert [step for step, _ in run.state(run.parts[0])["curve"]] == [1, 3]


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
    assert len({contestant.name for contestant in contestants()}) == 7


def test_paces_are_those_that_were_measured() -> None:
    """Those of the JSON that `pace` wrote."""
    rows = json.loads((DOCS / "evidence-pace.json").read_text())["rows"]
    assert {(row["name"], row["stage"]): row["pace"] for row in rows} == {
        (each.name, part.stage.value): part.pace for each in contestants() for part in each.parts
    }


def test_rates_are_the_best_of_the_search() -> None:
    """Of every contestant in the JSON that `rates` wrote."""
    found, used = (
        json.loads((DOCS / "evidence-rates.json").read_text()),
        {each.name: each.rates for each in contestants()},
    )
    for row in found["rows"]:
        assert list(used[row["name"]]) == found["grid"][int(np.argmin(row["bits"]))], row["name"]


def test_contestants_have_equally_many_parameters() -> None:
    """They are within a tenth of the Subscale Pixel Network, whatever the presets are."""
    ours, *others = contestants()
    for other in others:
        assert other.parameters == pytest.approx(ours.parameters, rel=0.1), other.name


def test_bits_are_kept_by_image(tmp_path: Path) -> None:
    """The second call reads the figures of the first."""
    runs = [a_run(tmp_path, seed) for seed in (0, 1)]
    assert all(train(run, Flat()) for run in runs)
    held_out = Flat().held_out()
    first = image_bits(runs[0], held_out)
    np.save(runs[0].place / f"bits-{len(first)}.npy", first + 1)
    (row,) = rows_of([RunBits.of(run, held_out) for run in runs], [runs[0].contestant])
    assert row.bits[0] == pytest.approx(first.mean() + 1, abs=1e-3)
    low, high = interval(row.values)
    assert low < np.mean(row.bits) < high


def test_an_interval_is_over_images_and_seeds() -> None:
    """Seeds that lie apart widen it; of one seed it is that of its images."""
    images = np.random.default_rng(1).normal(size=50)
    one, alike, apart = (interval(np.stack(seeds)) for seeds in ([images], [images, images], [images, images + 9]))
    assert one == pytest.approx(alike, abs=0.01)
    assert apart[1] - apart[0] > 5 * (one[1] - one[0])


def figures(name: str, bits: float = 1.0, seed: int = 0, rates: tuple[float, float] = (1.0, 8.0)) -> RunBits:
    images = [bits, bits + 0.5 + seed]
    return RunBits(name=name, seed=seed, rates=rates, updates={"base": 1}, image_bits=images, curve=[2.0, 1.0])


def test_runs_of_another_day_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the same conditions; a run that is measured again has its new figures, and its other seed stays."""
    monkeypatch.setattr("research.evidence.pages.DOCS", tmp_path)
    conditions, key = {"images": 2, "minutes": 40.0}, ("name", "seed")
    old, again, second, other = (
        asdict(each) for each in (figures("spn", 3.0), figures("spn", 2.0), figures("spn", seed=1), figures("pixelcnn"))
    )
    assert with_earlier("bits", [old], conditions, by=key) == [old]
    (tmp_path / "evidence-bits.json").write_text(by_line([other, old, second], {**conditions, "codecs": {"PNG": 4.0}}))
    found = json.loads(json.dumps(with_earlier("bits", [again], conditions, by=key)))
    assert found == json.loads(json.dumps([other, again, second]))
    assert with_earlier("bits", [again], {**conditions, "images": 3}, by=key) == [again]


def test_contestants_are_compared_with_ours() -> None:
    """Image by image, if it is there. Runs at rates that a contestant no longer has do not count."""
    ours = next(each for each in contestants() if each.name == OURS)
    rows = rows_of([figures("spn", 2.0, rates=ours.rates), figures("pixelcnn", rates=BASELINE_RATES)], contestants())
    assert [row.contestant.name for row in rows] == ["spn", "pixelcnn"]
    assert "-1.000 ± 0.000" in table(rows, {})
    second = rows_of([figures("spn", 2.0, rates=ours.rates), figures("pixelcnn", seed=1)], contestants())
    assert "±" not in table(second, {}).splitlines()[-1].rsplit("|", 2)[1], "only runs of one seed are compared"
    assert "+1.750" not in table(rows[1:], {"PNG": 4.0})
    assert rows_of([figures("spn", rates=(9.0, 9.0))], contestants()) == []


def test_the_best_rates_are_bold() -> None:
    """Of each contestant alone."""
    row = rates.RatesRow(name="spn", bits=(2.0, 1.5, 2.0, 2.0), decay_share=0.2, updates=9)
    assert "| SPN | 2.000 | **1.500** | 2.000 | 2.000 | falling |" in rates.table([row], contestants())


def test_a_curve_adds_the_parts_at_equal_shares_of_their_budgets(tmp_path: Path) -> None:
    """Two parts, of a quarter and three quarters: half of the budget is half of each."""
    run = a_run(tmp_path, updates=8)
    (part,) = run.parts
    parts = tuple(replace(part, stage=stage, share=share) for stage, share in ((Stage.BASE, 0.25), (Stage.SIZE, 0.75)))
    run = replace(run, contestant=replace(run.contestant, parts=parts))
    for each, curve in zip(parts, ([(1, 5.0), (2, 3.0)], [(3, 40.0), (6, 20.0)]), strict=True):
        keep(Trainer(each.make(), each.recipe(0)), run.path(each), curve)
    assert run.curve(2) == [45.0, 23.0]


def test_a_plain_head_ignores_forecasts() -> None:
    """It has the logits of its last layer alone, and fewer parameters."""
    torch.manual_seed(0)
    head = PlainHead(3, 8, 16)
    hidden, forecasts = torch.randn(5, 16), torch.randint(0, 8, (5, 8))
    assert torch.equal(head.logits(hidden, 0, forecasts), head.logits(hidden, 0, torch.full_like(forecasts, -1)))
    assert head.logits(hidden, 0, forecasts).shape == (5, 8)
    plain, ours = (sum(p.numel() for p in each.parameters()) for each in (head, Head(3, 8, 16)))
    assert plain < ours


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


LABELS = ("A", "7", "sun")


@pytest.fixture(scope="module")
def pack() -> Pack:
    """The packed set."""
    return Pack.read(DEFAULT)


def real(pack: Pack, requests: SampleRequests, seed: int = 0) -> Drawings:
    """Return the drawings of real images for requests."""
    return Drawings.of(real_images(pack, requests, size=64, seed=seed), requests.labels)


def a_series(pack: Pack, place: Path, drawn: list[int], size: int = 4) -> SampleSeries:
    """Return a series whose images have the label as their colour; seeds are recorded in `drawn`."""

    def draw(controls: Sequence[Sequence[int]], seeds: Sequence[int]) -> Bytes:
        drawn.extend(seeds)
        return np.stack([np.full((size, size, 3), label, np.uint8) for label, *_ in controls])

    return SampleSeries(title="toy", requests=labels_in_turn(pack, LABELS), place=place, load=lambda: draw)


def test_real_images_match_their_requests(pack: Pack) -> None:
    """Each shows a training drawing of the requested label and style; the same call returns the same requests."""
    requests = labels_in_turn(pack, LABELS)
    assert [LABEL.values[label] for label in requests.labels[:4]] == ["A", "7", "sun", "A"]
    assert (pack.glyph_labels[requests.drawings] == requests.controls[:, 0]).all()
    assert (pack.glyph_styles[requests.drawings] == requests.controls[:, 1]).all()
    assert labels_in_turn(pack, LABELS).digest == requests.digest != labels_in_turn(pack, LABELS, seed=2).digest
    some = requests.first(24)
    seen = observe(reader_of(Glyphs.train(pack)), list(real_images(pack, some, size=64, seed=0)))
    looks = [(HUE.index(each.hue), TILE.index(each.tile)) for each in seen]
    assert looks == [(hue, tile) for _, _, hue, tile in some.controls.tolist()]


def test_samples_are_drawn_once(pack: Pack, tmp_path: Path) -> None:
    """A second call draws what is missing only; images stay with their requests, up to the first missing piece."""
    drawn: list[int] = []
    series = a_series(pack, tmp_path, drawn)
    with pytest.raises(FileNotFoundError):
        series.images()
    draw_in_turn([series], 40, minutes=1e9)
    assert drawn == list(range(2 * TOGETHER))
    draw_in_turn([series], 3 * TOGETHER, minutes=1e9)
    assert drawn == list(range(3 * TOGETHER))
    assert (series.images()[:, 0, 0, 0] == series.requests.controls[: 3 * TOGETHER, 0]).all()
    series.path(1).unlink()
    assert len(series.images()) == TOGETHER


def test_sampling_ends_with_its_budget(pack: Pack, tmp_path: Path) -> None:
    """Without processor time nothing is drawn; with some, series advance alike."""
    drawn: list[int] = []
    pair = [a_series(pack, tmp_path / name, drawn) for name in "ab"]
    draw_in_turn(pair, COUNT, minutes=0)
    assert not drawn
    draw_in_turn(pair, 2 * TOGETHER, minutes=1e9)
    assert drawn == [*range(TOGETHER)] * 2 + [*range(TOGETHER, 2 * TOGETHER)] * 2


def test_settings_of_the_shipped_model() -> None:
    """The first is the model's own distribution, the last the defaults of the card, the others differ in guidance only."""
    card = load_card(WEIGHTS / SHIPPED)
    own, *others, defaults = (sampling_of(setting, card) for setting in SETTINGS)
    assert own == MODEL_SAMPLING
    assert defaults == card.sampling
    assert others == [Sampling(guidance=guidance) for guidance in (1.5, 2, 3)]


def test_sources_are_compared_in_equal_numbers(pack: Pack, tmp_path: Path) -> None:
    """The shortest series decides, in whole rounds of labels; real drawings have the same labels; others are others."""
    long, short = (a_series(pack, tmp_path / name, [], size=64) for name in "ab")
    draw_in_turn([long], 2 * TOGETHER, minutes=1e9)
    draw_in_turn([short], TOGETHER, minutes=1e9)
    found = SampleComparison.of(pack, [replace(long, title="long"), short], LABELS)
    assert {len(each) for each in (found.real, found.other_real, *found.samples.values())} == {30}
    assert (found.real.labels == found.other_real.labels).all()
    assert {LABEL.values[label] for label in found.held_out.labels} == set(LABELS)
    assert (found.real.thumbnails != found.other_real.thumbnails).any()
    small = a_series(pack, tmp_path / "small", [], size=32)
    draw_in_turn([small], TOGETHER, minutes=1e9)
    assert SampleComparison.of(pack, [small], LABELS).size == 32
    with pytest.raises(ValueError, match=r"one size at a time, not of \[32, 64\]"):
        SampleComparison.of(pack, [replace(long, title="long"), small], LABELS)


def test_baselines_take_the_controls_that_are_timed() -> None:
    """One for each control of the data set."""
    torch.manual_seed(0)
    network = small(BaselineKind.PIXELCNN, GEOMETRY, VOCABULARY, bits=8)
    assert BaselineSampler(network, 2).draw([labels_of_speed(seed) for seed in (0, 1)], [0, 1]).shape == (2, 8, 8, 3)


def test_images_are_compared_at_five_bits() -> None:
    """White and black remain, a reduced image is its own reduction, and missing low bits in the middle change nothing."""
    every = np.arange(256, dtype=np.uint8)[:, None, None, None]
    once = reduced(every)
    assert (once[0], once[-1], len(np.unique(once))) == (0, 255, 32)
    assert (reduced(once) == once).all()
    assert (reduced(every | np.uint8(4)) == once).all()


def test_drawings_do_not_depend_on_their_look(pack: Pack) -> None:
    """The same drawing in another hue, place and scale, on the same tile, is nearest to itself; a blank image has none."""
    requests = labels_in_turn(pack, [label for label in LABEL.values if label not in ALIKE]).first(50)
    apart = distances(real(pack, requests, 1).thumbnails, real(pack, requests, 2).thumbnails)
    assert (apart.argmin(1) == np.arange(50)).mean() > 0.95
    blank = Drawings.of(np.full((1, 64, 64, 3), 255, np.uint8), np.zeros(1, np.int64))
    assert not blank.thumbnails.any()


def test_steps_of_a_ground_are_no_ink(pack: Pack) -> None:
    """At five bits a drawing is nearly where it is at eight."""
    requests = labels_in_turn(pack, LABELS).first(30)
    images = real_images(pack, requests, size=64, seed=0)
    whole, coarse = (Drawings.of(some, requests.labels).thumbnails for some in (images, reduced(images)))
    assert np.quantile(np.abs(whole - coarse).mean(axis=1), 0.9) < 0.5


def test_copies_are_found(pack: Pack) -> None:
    """A training drawing composed again is nearest to itself, and nearer than to any other."""
    requests = labels_in_turn(pack, LABELS).first(30)
    drawings = real(pack, requests)
    gallery = Gallery(pack, drawings.labels)
    itself, other = gallery.nearest(drawings), gallery.nearest(drawings, but=requests.drawings)
    assert (itself.positions == requests.drawings).mean() > 0.95
    assert (other.positions != requests.drawings).all()
    assert (other.distances >= itself.distances).all()
    near = [float(np.quantile(itself.distances, 0.9))]
    assert nearest_distances("letters", "copies", itself.distances, near).shares == pytest.approx((0.9,), abs=0.02)
    assert nearest_distances("letters", "others", other.distances, near).shares[0] < 0.2


def test_a_collapse_is_found(pack: Pack) -> None:
    """Two drawings a label, repeated in other looks, count as about two, with less spread and recall than as many different."""
    held_out, requests = held_out_drawings(pack, LABELS, size=64), labels_in_turn(pack, LABELS).first(60)
    few = replace(requests, drawings=np.resize(requests.drawings[:6], 60))
    reader, radii = reader_of(Glyphs.train(pack)), half_radii(held_out, real(pack, requests))
    varied, collapsed = (
        coverage(name, real(pack, some), reader, held_out, radii) for name, some in (("all", requests), ("few", few))
    )
    assert varied.recall.value == pytest.approx(0.5, abs=0.02)
    assert collapsed.recall.value < 0.3
    ratio, (low, high) = collapsed.spread(varied)
    assert low <= ratio <= high < 1
    assert collapsed.distinct < 20
    assert varied.distinct > 50
    assert varied.read.value > 0.9


def test_clusters_count_different_drawings() -> None:
    """Repeats and near repeats count once."""
    rng = np.random.default_rng(0)
    some = rng.uniform(0, 255, (6, 256)).astype(np.float32)
    assert clusters(np.concatenate([some, some + 1, some]), 16) == 6


def test_classifiers_learn_nothing_from_other_labels(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A classifier trained on real drawings is mostly right; trained on the same with exchanged labels it is wrong."""
    for name, value in (("STEPS", 30), ("CLASSIFIERS", 1)):
        monkeypatch.setattr(f"research.evidence.accuracy.{name}", value)
    drawings = real(pack, labels_in_turn(pack, LABELS).first(90))
    exchanged = replace(drawings, labels=np.roll(drawings.labels, 1))
    found = {(s.kind, s.source): s for s in scores(drawings, {"real": drawings, "exchanged": exchanged})}
    assert found["letters", "real"].accuracy > 0.8
    assert found["letters", "real"].ratio == found["concepts", "real"].ratio == 1
    assert found["letters", "exchanged"].ratio < 0.3
    assert (found["letters", "real"].trained_on, found["concepts", "real"].tested_on) == (60, 30)


def test_characters_that_are_drawn_alike_count_as_one() -> None:
    """I is right for 1, and 1, which no reader answers, is not."""
    labels = np.array([LABEL.values.index(label) for label in ("1", "I", "A")])
    assert correct(["I", "I", "1"], labels).tolist() == [True, True, False]


def test_a_ratio_of_equals_is_one() -> None:
    """The interval of equal sides is one too: both are resampled together."""
    right = np.random.default_rng(0).random(300)
    assert ratio_interval(right, right) == (1, 1)
    low, high = ratio_interval(right / 2, right)
    assert low == pytest.approx(high) == pytest.approx(0.5)
