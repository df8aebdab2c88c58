"""Any folder of images, and any file of arrays, is a data set."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data.arrays import Arrays
from training.data.collection import Collection
from training.data.errors import DataError, UnreadableImageError
from training.data.fitting import fitted
from training.data.folder import Folder
from training.data.opening import Labels, dataset_at
from training.data.symbols import Symbols

FORMS = ("png", "jpeg", "webp")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty images, each of one grey, in two subfolders, of three formats and many sizes; and a file that is none."""
    rng = np.random.default_rng(0)
    for i in range(60):
        place = tmp_path / "pictures" / ("cats", "dogs/small")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        width, height = rng.integers(20, 90, 2)
        Image.new("RGB", (int(width), int(height)), (4 * i, 4 * i, 4 * i)).save(place / f"{i}.{FORMS[i % 3]}")
    (tmp_path / "pictures" / "read me.txt").write_text("not an image")
    return tmp_path / "pictures"


def greys(images: np.ndarray) -> list[int]:
    """Which image each is."""
    return [int(image[0, 0, 0]) for image in images]


def test_a_folder_gives_squares_of_its_images(folder: Path) -> None:
    """Of the asked size, all 60 files, nothing else; without labels no controls."""
    data = Collection(Folder(folder), size=16)
    assert len(data.source) == 60
    batch = data.draw(np.random.default_rng(0), 8)
    assert batch.images.shape == (8, 16, 16, 3)
    assert (np.ptp(batch.images, axis=(1, 2)) <= 2).all()
    assert batch.controls.shape == (8, 0)
    assert data.controls == ()


def test_subfolders_are_labels(folder: Path) -> None:
    """The first subfolder; a file beside them is of any label."""
    Image.new("RGB", (20, 20)).save(folder / "stray.png")
    data = Collection(Folder(folder, labelled=True), size=16)
    (control,) = data.controls
    assert (control.name, control.values) == ("label", ("cats", "dogs"))
    batch = data.draw(np.random.default_rng(0), 40)
    even = np.array([round(grey / 4) % 2 == 0 for grey in greys(batch.images)])
    stray = batch.controls[:, 0] == 0
    assert ((batch.controls[:, 0] == np.where(even, 1, 2)) | stray).all()
    assert data.source.label(data.source.paths.index("stray.png")) == -1  # type: ignore[attr-defined]


def test_the_split_goes_by_name(folder: Path, tmp_path: Path) -> None:
    """Held-out images are never drawn; the folder moved, with files added, holds out the same ones."""
    data = Collection(Folder(folder), size=8)
    held = {data.source.name(index) for index in data.held}
    drawn = greys(data.draw(np.random.default_rng(0), 400).images)
    assert held
    assert not set(greys(data.held_out().images)) & set(drawn)
    moved = tmp_path / "moved"
    folder.rename(moved)
    again = Collection(Folder(moved), size=8)
    assert {again.source.name(index) for index in again.held} == held
    assert (again.held_out().images == data.held_out().images).all()


def test_unreadable_files_are_named_and_skipped(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A cut file, an empty one and a text called png: each is named once, the rest is drawn, the same for the same seed."""
    whole = (folder / "cats" / "0.png").read_bytes()
    for i in range(10):
        (folder / "cats" / f"broken-{i}.png").write_bytes((whole[:60], b"", b"text")[i % 3])
    data, again = Collection(Folder(folder), size=8), Collection(Folder(folder), size=8)
    with caplog.at_level(logging.WARNING):
        first = data.draw(np.random.default_rng(0), 300)
    assert len(first.images) == 300
    named = [record.getMessage() for record in caplog.records]
    assert len(named) == len(set(named)) == len(data.unreadable) > 5
    assert all("broken-" in message for message in named)
    assert (again.draw(np.random.default_rng(0), 300).images == first.images).all()


def test_a_folder_of_rubbish_says_so(tmp_path: Path) -> None:
    """Nothing readable, or nothing at all, ends in a DataError and not in an endless search."""
    with pytest.raises(DataError, match="at least two images, found 0"):
        Collection(Folder(tmp_path), size=8)
    for i in range(5):
        (tmp_path / f"{i}.png").write_text("no")
    data = Collection(Folder(tmp_path), size=8)
    with pytest.raises(DataError, match="cannot be read"):
        data.draw(np.random.default_rng(0), 1)
    with pytest.raises(DataError, match="can be read"):
        data.held_out()
    with pytest.raises(UnreadableImageError, match=r"0\.png"):
        data.source.image(0, 8)


def test_images_are_cropped_about_their_centre() -> None:
    """The two ends of a wide image go, and what is transparent becomes white."""
    wide = np.zeros((20, 60, 4), np.uint8)
    wide[:, 20:40] = (10, 200, 30, 255)
    assert (fitted(Image.fromarray(wide), 20) == (10, 200, 30)).all()
    assert (fitted(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), 4) == 255).all()
    assert fitted(Image.new("L", (9, 9), 77), 4).tolist() == [[[77] * 3] * 4] * 4


def test_arrays_are_a_data_set(tmp_path: Path) -> None:
    """A .npy has no labels; a .npz may have; both hold out by name, and images of the asked size are as they were."""
    images = np.random.default_rng(0).integers(0, 256, (120, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "set.npy", images)
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(120) % 3)
    plain, labelled = (dataset_at(tmp_path / f"set.{suffix}", Labels.NONE, size=8) for suffix in ("npy", "npz"))
    assert plain.controls == ()
    assert labelled.controls[0].values == ("0", "1", "2")
    a, b = (data.draw(np.random.default_rng(3), 10) for data in (plain, labelled))
    assert (a.images == b.images).all()
    numbers = [int(np.flatnonzero((images == image).all((1, 2, 3)))[0]) for image in b.images]
    assert b.controls[:, 0].tolist() == [number % 3 + 1 for number in numbers]


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": np.zeros((4, 8, 8), np.uint8)},
        {"images": np.zeros((4, 8, 8, 3), np.float32)},
        {"data": np.zeros((4, 8, 8, 3), np.uint8)},
        {"images": np.zeros((4, 8, 8, 3), np.uint8), "labels": np.zeros(3, np.int64)},
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    """With what was expected."""
    np.savez(tmp_path / "set.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="expected"):
        Arrays(tmp_path / "set.npz")


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    """A path that is not there, another file, and a damaged one; nothing at all is the symbols."""
    (tmp_path / "set.npz").write_text("no")
    (tmp_path / "set.zip").write_text("no")
    for path in (tmp_path / "nowhere", tmp_path / "set.zip", tmp_path / "set.npz"):
        with pytest.raises(DataError):
            dataset_at(path, Labels.NONE, size=8)
    assert isinstance(dataset_at(None, Labels.NONE, size=32), Symbols)
