"""The reader of monograms learns to read, and its lessons are what they say."""

from pathlib import Path

import numpy as np
import torch

from training.data.symbols import DEFAULT, Pack
from training.reading import CLASSES, Lesson, Reader, class_of, monograms, read, reader_of, reshaped, trained

PACK = Pack.read(DEFAULT)


def test_a_short_lesson_beats_guessing_tenfold() -> None:
    """Sixty steps read a third of fresh training monograms; guessing reads one in 34."""
    reader = trained(PACK, Lesson(steps=60, batch=48))
    pictures, asked = monograms(PACK, [99, 99], 200)
    assert (read(reader, pictures) == asked).mean() > 10 / len(CLASSES)


def test_the_same_seed_composes_the_same_monograms() -> None:
    """Byte for byte; another seed composes others."""
    first, again, other = (monograms(PACK, [0, step], 8) for step in (1, 1, 2))
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[0] != other[0]).any()


def test_characters_drawn_alike_are_one_class() -> None:
    """O and 0, I and 1; no others."""
    assert class_of("O") == class_of("0")
    assert class_of("I") == class_of("1")
    assert len(CLASSES) == 34


def test_large_pictures_are_read_as_small_ones() -> None:
    """A picture doubled in size is read as the picture itself."""
    torch.manual_seed(0)
    reader = Reader()
    pictures, _ = monograms(PACK, [0, 0], 16)
    assert (read(reader, pictures) == read(reader, pictures.repeat(2, 1).repeat(2, 2))).all()


def test_reshaped_masks_stay_in_their_frame() -> None:
    """However a letter is bent, it keeps at least half and at most twice its ink."""
    rng = np.random.default_rng(0)
    mask = PACK.glyphs[PACK.glyph_labels == 8][0]  # an H
    shares = [reshaped(rng, mask).mean() / mask.mean() for _ in range(50)]
    assert 0.4 < min(shares) < 1 < max(shares) < 2


def test_a_kept_reader_is_taken_up_again(tmp_path: Path) -> None:
    """The file at the path is used, not a new lesson."""
    torch.manual_seed(1)
    reader = Reader()
    torch.save(reader.state_dict(), tmp_path / "reader.pt")
    kept = reader_of(PACK, tmp_path / "reader.pt")
    assert all(torch.equal(tensor, kept.state_dict()[name]) for name, tensor in reader.state_dict().items())
