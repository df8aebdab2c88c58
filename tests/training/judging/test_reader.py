"""The reader learns to read, goes on where it was cut short, and counts characters drawn alike as one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.judging.painted import coverage
from training.data.symbols import DEFAULT, Pack
from training.data.tiles import Look, compose
from training.data.vocabulary import LABEL, Family, Tile
from training.judging.bending import bent
from training.judging.glyphs import FACES, Glyphs, reshaped
from training.judging.reader import Reader, names, read, read_as, zoomed
from training.judging.reader_training import SHIPPED, Lesson, Pupil, digest, example, face_shares, reader_of, taught

SHORT = Lesson(steps=60, batch=32, seed=3)


@pytest.fixture(scope="module")
def few() -> Glyphs:
    """Drawings of four letters: less to learn."""
    return some(Glyphs.train(Pack.read(DEFAULT)), "AEST")


@pytest.fixture(scope="module")
def reader(few: Glyphs) -> Reader:
    """Taught for a few seconds."""
    return taught(few, SHORT)


def some(glyphs: Glyphs, labels: str) -> Glyphs:
    """The first forty drawings of each label."""
    wanted = [np.flatnonzero(glyphs.labels == LABEL.values.index(label))[:40] for label in labels]
    chosen = np.concatenate(wanted)
    masks = type(glyphs.masks).of(glyphs.masks[chosen])
    return Glyphs(masks=masks, labels=glyphs.labels[chosen], styles=glyphs.styles[chosen])


def test_a_short_lesson_reads_images(few: Glyphs, reader: Reader) -> None:
    """Composed on every tile and recovered: more than three in four right, of four letters."""
    rng = np.random.default_rng(5)
    chosen, tiles = few.balanced(rng, 60), [tuple(Tile)[i % 4] for i in range(60)]
    images = [
        compose(rng, few.masks[i], Look(family=Family.LETTERS, hue="red", tile=tile), size=64)
        for i, tile in zip(chosen, tiles, strict=True)
    ]
    reading = read(reader, [coverage(each, tile) for each, tile in zip(images, tiles, strict=True)], tiles)
    wanted = [LABEL.values[few.labels[i]] for i in chosen]
    assert np.mean(np.array(reading.names()) == wanted) > 0.75
    assert np.allclose(reading.labels.sum(-1), 1, atol=1e-4)
    assert reading.faces.shape == (60, len(FACES))


def test_a_lesson_goes_on_where_it_was_cut_short(few: Glyphs) -> None:
    """Half a lesson, saved and taken up, ends with the weights of the whole one."""
    lesson = replace(SHORT, steps=4, batch=8)
    whole, first, second = (Pupil(lesson, face_shares(few)) for _ in range(3))
    for step in range(4):
        whole.learn(*example(few, lesson, step))
    for step in range(2):
        first.learn(*example(few, lesson, step))
    second.take_up(first.state())
    torch.manual_seed(0)
    assert second.step == 2
    for step in range(2, 4):
        second.learn(*example(few, lesson, step))
    assert all(torch.equal(a, b) for a, b in zip(whole.mean.parameters(), second.mean.parameters(), strict=True))


def test_a_kept_reader_is_not_taught_again(few: Glyphs, tmp_path: Path) -> None:
    """The second call reads the file, and another lesson has another one."""
    lesson = replace(SHORT, steps=2, batch=4)
    first = reader_of(few, lesson, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    second = reader_of(few, lesson, cache=tmp_path)
    assert path.stat().st_mtime_ns == written
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert digest(few, lesson) != digest(few, replace(lesson, seed=1))


def test_the_shipped_reader_is_of_the_committed_data() -> None:
    """The committed reader is found by its digest of the committed data, so that nobody has to train it."""
    (shipped,) = SHIPPED.glob("reader-*.safetensors")
    assert shipped.stem == f"reader-{digest(Glyphs.train(Pack.read(DEFAULT)), Lesson())}"
    reader = reader_of(Glyphs.train(Pack.read(DEFAULT)), cache=SHIPPED / "nowhere")
    assert not (SHIPPED / "nowhere").exists()
    assert not reader.training


def test_alike_characters_are_one() -> None:
    """A zero is read as O, and their probabilities are added up."""
    probabilities = np.zeros((1, len(LABEL.values)), np.float32)
    probabilities[0, [LABEL.values.index(c) for c in "O0Q"]] = 0.3, 0.3, 0.4
    assert names(probabilities) == ["O"]
    assert [read_as(c) for c in "01OIZ"] == ["O", "I", "O", "I", "Z"]


def test_examples_depend_on_lesson_and_step_alone(few: Glyphs) -> None:
    """Equal steps are equal, other steps are not."""
    first, again, other = (example(few, SHORT, step) for step in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_bent_masks_keep_their_ink(few: Glyphs) -> None:
    """However a mask is bent, half to twice its ink is left, in 0..1."""
    masks = torch.from_numpy(few.masks[np.arange(0, 160, 4)])[:, None, ::2, ::2].float() / 255
    found = bent(np.random.default_rng(0), masks)
    shares = found.mean((1, 2, 3)) / masks.mean((1, 2, 3))
    assert found.min() >= 0
    assert found.max() <= 1
    assert 0.4 < shares.min() < 1 < shares.max() < 3
    assert (reshaped(np.random.default_rng(0), few.masks[0]) != few.masks[0]).any()


def test_zooming_in_enlarges_the_middle() -> None:
    """Half of the side fills the whole."""
    image = torch.zeros(1, 1, 64, 64)
    image[..., 16:48, 16:48] = 1
    assert zoomed(image, 0.5).mean() > 0.98
    assert zoomed(image, 1.0).mean() == pytest.approx(0.25, abs=0.01)
