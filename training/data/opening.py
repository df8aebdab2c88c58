"""The data set of a command line: the packed symbols, a folder of images, or a file of arrays."""

from __future__ import annotations

import argparse
from enum import StrEnum
from pathlib import Path

from training.data import arrays
from training.data.arrays import Arrays
from training.data.collection import Collection
from training.data.dataset import Dataset
from training.data.errors import DataError
from training.data.folder import Folder
from training.data.symbols import Mix, Symbols


class Labels(StrEnum):
    """The origin of the labels of a folder."""

    NONE = "none"
    FOLDERS = "folders"


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options `--data` and `--labels`."""
    parser.add_argument("--data", type=Path, help="folder of images, or .npy or .npz; by default the packed symbols")
    parser.add_argument(
        "--labels", type=Labels, choices=list(Labels), default=Labels.NONE, help="origin of the labels of a folder"
    )


def open_dataset(args: argparse.Namespace, *, size: int, mix: Mix = Mix.BALANCED) -> Dataset:
    """Return the data set of a command line; a data set that cannot be used ends the program with one sentence."""
    try:
        return dataset_at(args.data, args.labels, size=size, mix=mix)
    except DataError as error:
        raise SystemExit(str(error)) from None


def dataset_at(path: Path | None, labels: Labels, *, size: int, mix: Mix = Mix.BALANCED) -> Dataset:
    """Return the data set in `path`, of images of `size` x `size`. Raises DataError for anything else."""
    if path is None:
        return Symbols.load(size=size, mix=mix)
    if path.is_dir():
        return Collection(Folder(path, labelled=labels is Labels.FOLDERS), size=size)
    if path.is_file() and path.suffix in arrays.SUFFIXES:
        return Collection(Arrays(path), size=size)
    raise DataError(f"{path}: expected a folder of images, a .npy or a .npz")
