"""Checkpoints of runs: saved atomically, resumed, or started from the weights of a shipped model."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from models.config import Control
from models.network import Network
from training.loop.trainer import Trainer


def save_state(trainer: Trainer, path: Path, *, part_bytes: int | None = None) -> None:
    """Write a checkpoint atomically: a kill leaves the old or the new one, never half of one.

    With `part_bytes` it is written in files of at most that size, `NAME.STEP.I-of-N.pt`, for machines that copy no larger ones.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if part_bytes is None:
        write_atomically(path, lambda file: torch.save(trainer.state(), file))
        return
    whole = io.BytesIO()
    torch.save(trainer.state(), whole)
    starts = range(0, whole.tell(), part_bytes)
    before = parts(path)
    for i, start in enumerate(starts, 1):
        part = path.with_suffix(f".{trainer.step}.{i}-of-{len(starts)}.pt")
        write_atomically(part, lambda file, start=start: file.write(whole.getbuffer()[start : start + part_bytes]))  # type: ignore[misc]
    for part in before:
        if part.name.split(".")[1] != str(trainer.step):
            part.unlink()


def resume_from(trainer: Trainer, path: Path) -> None:
    """Continue from the checkpoint `path`, whole or in parts, if there is one."""
    if state := read_state(path, trainer.device):
        trainer.resume(state)


def read_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """Return the checkpoint `path`, whole or in parts, the one with the most steps; None where there is none."""
    found = [torch.load(path, weights_only=True, map_location=device)] if path.exists() else []
    steps: dict[str, list[Path]] = defaultdict(list)
    for part in parts(path):
        steps[part.name.split(".")[1]].append(part)
    for several in steps.values():
        if len(several) == int(several[0].name.split("-of-")[1].removesuffix(".pt")):
            data = io.BytesIO(b"".join(part.read_bytes() for part in several))
            found.append(torch.load(data, weights_only=True, map_location=device))
    return max(found, key=lambda state: state["step"], default=None)


def parts(path: Path) -> list[Path]:
    """Return the files of a checkpoint in parts, in order."""
    return sorted(
        path.parent.glob(f"{path.stem}.*-of-*.pt"), key=lambda part: int(part.name.split(".")[2].split("-")[0])
    )


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file completely or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        write(file)
    partial.replace(path)


def matched_controls(
    old: Network, old_controls: Sequence[Control], new: Network, new_controls: Sequence[Control]
) -> dict[str, Tensor]:
    """Return the weights of `old` with its tables of controls in the order of `new`.

    Rows are matched by the name of the value. A value that `old` lacks keeps the initial row of `new`.
    """
    known, own = old.state_dict(), new.state_dict()
    before, after = tables(old, old_controls), tables(new, new_controls)
    kept = {name: tensor for name, tensor in known.items() if name not in {key for key, _ in before.values()}}
    for place, (key, control) in after.items():
        table = own[key].clone()
        if place in before:
            source, earlier = before[place]
            for value in (None, *(value for value in control.values if value in earlier.values)):
                row = known[source][earlier.index(value)]
                if row.shape == table.shape[1:]:
                    table[control.index(value)] = row
        kept[key] = table
    return kept


def tables(network: Network, controls: Sequence[Control]) -> dict[tuple[str, str], tuple[str, Control]]:
    """Return the key of the weights of each control's vectors and maps, and the control, by kind and the control's name."""
    vectors = {("vector", c.name): (f"embedder.controls.{i}.weight", c) for i, c in enumerate(controls)}
    columns = network.embedder.maps.columns if network.embedder.maps else []
    mapped = [controls[column] for column in columns]
    return vectors | {("map", c.name): (f"embedder.maps.tables.{i}.weight", c) for i, c in enumerate(mapped)}


def warm_start(network: Network, weights: dict[str, Tensor]) -> tuple[int, list[str]]:
    """Take over every tensor of `weights` that fits; return their number, and the names of those that stay random.

    Of image sizes, the embedder's first layer and its meta-positions depend in raster order, nothing in interlaced order.
    """
    own = network.state_dict()
    fitting = {name: t for name, t in weights.items() if name in own and t.shape == own[name].shape}
    network.load_state_dict({**own, **fitting})
    return len(fitting), sorted(own.keys() - fitting.keys())
