"""The reader learns to read, continues after an interruption, and counts characters drawn alike as one."""

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
from training.judging.reader_training import (
    SHIPPED,
    ReaderTrainer,
    ReaderTraining,
    digest,
    example,
    face_shares,
    reader_of,
    train_reader,
)

SHORT = ReaderTraining(steps=60, batch=32, seed=3)


@pytest.fixture(scope="module")
def few() -> Glyphs:
    """Return drawings of four letters, which are learnt quickly."""
    return some(Glyphs.train(Pack.read(DEFAULT)), "AEST")


@pytest.fixture(scope="module")
def reader(few: Glyphs) -> Reader:
    """Return a reader after a few seconds of training."""
    return train_reader(few, SHORT)


def some(glyphs: Glyphs, labels: str) -> Glyphs:
    """Return the first forty drawings of each label."""
    wanted = [np.flatnonzero(glyphs.labels == LABEL.values.index(label))[:40] for label in labels]
    chosen = np.concatenate(wanted)
    masks = type(glyphs.masks).of(glyphs.masks[chosen])
    return Glyphs(masks=masks, labels=glyphs.labels[chosen], styles=glyphs.styles[chosen])


def test_a_short_training_reads_images(few: Glyphs, reader: Reader) -> None:
    """Of images of four letters on every tile more than three in four are read correctly."""
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


def test_an_interrupted_training_continues(few: Glyphs) -> None:
    """Half a training, saved and taken up, ends with the weights of the whole one."""
    training = replace(SHORT, steps=4, batch=8)
    whole, first, second = (ReaderTrainer(training, face_shares(few)) for _ in range(3))
    for step in range(4):
        whole.learn(*example(few, training, step))
    for step in range(2):
        first.learn(*example(few, training, step))
    second.resume(first.state())
    torch.manual_seed(0)
    assert second.step == 2
    for step in range(2, 4):
        second.learn(*example(few, training, step))
    assert all(torch.equal(a, b) for a, b in zip(whole.mean.parameters(), second.mean.parameters(), strict=True))


def test_a_cached_reader_is_not_trained_again(few: Glyphs, tmp_path: Path) -> None:
    """The second call reads the file, and another training has another file."""
    training = replace(SHORT, steps=2, batch=4)
    first = reader_of(few, training, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    second = reader_of(few, training, cache=tmp_path)
    assert path.stat().st_mtime_ns == written
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert digest(few, training) != digest(few, replace(training, seed=1))


def test_the_shipped_reader_is_of_the_committed_data() -> None:
    """The committed reader is found by its digest of the committed data, so that nobody has to train it."""
    (shipped,) = SHIPPED.glob("reader-*.safetensors")
    assert shipped.stem == f"reader-{digest(Glyphs.train(Pack.read(DEFAULT)), ReaderTraining())}"
    reader = reader_of(Glyphs.train(Pack.read(DEFAULT)), cache=SHIPPED / "nowhere")
    assert not (SHIPPED / "nowhere").exists()
    assert not reader.training


def test_alike_characters_are_one() -> None:
    """A zero is read as O, and their probabilities are added up."""
    probabilities = np.zeros((1, len(LABEL.values)), np.float32)
    probabilities[0, [LABEL.values.index(c) for c in "O0Q"]] = 0.3, 0.3, 0.4
    assert names(probabilities) == ["O"]
    assert [read_as(c) for c in "01OIZ"] == ["O", "I", "O", "I", "Z"]


def test_examples_depend_on_training_and_step_only(few: Glyphs) -> None:
    """Equal steps have equal examples, other steps have others."""
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
