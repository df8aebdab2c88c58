"""The data set that a command line names: the packed symbols, a folder of images, or a file of arrays."""

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
    """What a folder's pictures are labelled by."""

    NONE = "none"
    FOLDERS = "folders"


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """`--data` and `--labels`."""
    parser.add_argument("--data", type=Path, help="folder of images, or .npy or .npz; by default the packed symbols")
    parser.add_argument("--labels", type=Labels, choices=list(Labels), default=Labels.NONE, help="of a folder's images")


def open_dataset(args: argparse.Namespace, *, size: int, mix: Mix = Mix.BALANCED) -> Dataset:
    """The data set of a command line; what is wrong with it ends the program in one sentence."""
    try:
        return dataset_at(args.data, args.labels, size=size, mix=mix)
    except DataError as error:
        raise SystemExit(str(error)) from None


def dataset_at(path: Path | None, labels: Labels, *, size: int, mix: Mix = Mix.BALANCED) -> Dataset:
    """Pictures of `size` x `size` from `path`. Raises DataError for what is no data set."""
    if path is None:
        return Symbols.load(size=size, mix=mix)
    if path.is_dir():
        return Collection(Folder(path, labelled=labels is Labels.FOLDERS), size=size)
    if path.is_file() and path.suffix in arrays.SUFFIXES:
        return Collection(Arrays(path), size=size)
    raise DataError(f"{path}: expected a folder of images, a .npy or a .npz")
