"""Seconds per image of every sampler: `python -m benchmarks.sampling`.

One run, sides in turn, medians. The baseline is the cached sampler, compiled by Inductor. Its passes have as many tokens as
there are images, four at least, which is its fastest form. Native sides run the C++ code of the service: pixel by pixel, and
in windows.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import torch
from torch import nn

from benchmarks.clock import alternating
from benchmarks.inductor import Inductor
from benchmarks.machine import Machine, measured
from models.cards import WEIGHTS, ModelCard
from models.checkpoint import load_model
from models.config import Stage
from models.decoder import Decoder
from models.pipeline import ImageState, Pipeline
from models.sampling import reference
from models.sampling.backends.eager import EagerBackend
from models.sampling.backends.fastest import Fastest
from models.sampling.deal import SamplerName
from models.subscale import Progress

DOCS = Path("docs/benchmarks")
ARTEFACTS = Path(".cache/passes")
LEAST_TOKENS = 4


@dataclass(frozen=True, kw_only=True)
class SamplingRow:
    """One sampler that draws `batch` images together; seconds are the median of the whole batch."""

    side: str
    batch: int
    tokens: int
    seconds: float
    passes: float
    accepted_per_pass: float
    ms_per_pass: float
    pictures_per_second: float
    share_of_products: float
    peak_mib: float


class Side:
    """A pipeline and its seeds."""

    def __init__(self, name: str, pipeline: Pipeline, batch: int) -> None:
        self.name, self.pipeline, self.batch = name, pipeline, batch
        self._seeds = count(1)
        self._passes = 0
        self._runs = 0

    def draw(self) -> None:
        """Draw `batch` images with labels in turn."""
        config = self.pipeline.card.config
        rows = [
            ImageState(
                seed=seed,
                controls=(seed % len(config.controls[0].values) + 1, *(0 for _ in config.controls[1:])),
                progress=Progress(geometry=config.geometry),
            )
            for seed in (next(self._seeds) for _ in range(self.batch))
        ]
        before = self.passes
        while rows[0].progress.next:
            rows = self.pipeline.advance(rows)
        self._passes, self._runs = self._passes + self.passes - before, self._runs + 1

    @property
    def passes(self) -> int:
        """The number of passes until now."""
        return sum(engine.passes for engine in self.pipeline.engines.values())

    def row(self, seconds: float, machine: Machine) -> SamplingRow:
        """Return the measured figures."""
        config = self.pipeline.card.config
        pixels = config.geometry.positions * len(config.geometry.steps) * self.batch
        passes = self._passes / self._runs
        work = sum(2 * multiply_adds(self.pipeline.network(step.stage).decoder) for step in config.geometry.steps)
        return SamplingRow(
            side=self.name,
            batch=self.batch,
            tokens=self.pipeline.capacity,
            seconds=round(seconds, 4),
            passes=round(passes, 1),
            accepted_per_pass=round(pixels / passes, 2),
            ms_per_pass=round(seconds / passes * 1e3, 3),
            pictures_per_second=round(self.batch / seconds, 2),
            share_of_products=round(
                work * config.geometry.positions * self.batch / seconds / machine.flops_per_second, 3
            ),
            peak_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0),
        )


def multiply_adds(decoder: Decoder) -> int:
    """Return those of one accepted pixel: the linear layers, and attention over half a slice on average."""
    linear = sum(m.weight.numel() for m in decoder.modules() if isinstance(m, nn.Linear))
    once_per_slice = decoder.condition.weight.numel()
    return linear - once_per_slice + decoder.widths.blocks * decoder.slice_size**2 * decoder.widths.width


def side(name: str, model: tuple[nn.ModuleDict, ModelCard], batch: int) -> Side:
    """Return the pipeline of a name: its sampler and its backend."""
    sampler = SamplerName.PARALLEL if name == "parallel native" else SamplerName.CACHED
    if "native" in name:
        return Side(name, Pipeline(*model, capacity=batch, sampler=sampler, backend=Fastest(ARTEFACTS)), batch)
    backend = EagerBackend if name == "cached eager" else Inductor(ARTEFACTS)
    return Side(name, Pipeline(*model, capacity=max(batch, LEAST_TOKENS), sampler=sampler, backend=backend), batch)


def table_of(
    model: tuple[nn.ModuleDict, ModelCard], batches: list[int], repeats: int, machine: Machine
) -> list[SamplingRow]:
    """Measure all samplers, batch by batch."""
    rows = []
    for batch in batches:
        names = ("cached eager", "cached compiled", "cached native", "parallel native")
        sides = {name: side(name, model, batch) for name in names if batch <= 8 or name != "cached eager"}  # noqa: PLR2004 - minutes
        seconds = alternating({name: each.draw for name, each in sides.items()}, repeats=repeats)
        rows += [each.row(seconds[name], machine) for name, each in sides.items()]
    return rows


@torch.inference_mode()
def reference_seconds(model: tuple[nn.ModuleDict, ModelCard], pixels: int) -> float:
    """Return the seconds of an image by the reference sampler, extrapolated from `pixels` pixels of a slice of each stage."""
    card = model[1]
    pipeline, total = Pipeline(*model), 0.0
    blank = Progress(geometry=card.config.geometry)
    state = ImageState(seed=1, controls=(0,) * len(card.config.controls), progress=blank)
    seconds: dict[Stage, float] = {}
    while (step := state.progress.next) is not None:
        if step.stage not in seconds:
            begun = time.perf_counter()
            reference.sample(pipeline.network(step.stage), pipeline.candidates(state), positions=pixels)
            seconds[step.stage] = (time.perf_counter() - begun) / pixels * card.config.geometry.positions
        total += seconds[step.stage]
        (state,) = pipeline.advance([state])
    return total


def peers(parameters: int, size: int, batches: list[int], repeats: int) -> list[dict[str, object]]:
    """Return the rows of the peers, in the same form."""
    from benchmarks.peers import ddim, image_gpt  # noqa: PLC0415 - needs the benchmarks extra

    rows: list[dict[str, object]] = []
    for batch in batches:
        both = (image_gpt(parameters, size), ddim(parameters, size))
        actions = {peer.name: partial(peer.draw, batch) for peer in both}
        seconds = alternating(actions, repeats=repeats, warm=batch == batches[0])
        rows += [
            {"side": p.name, "batch": batch, "parameters": p.parameters, "seconds": round(seconds[p.name], 3)}
            for p in both
        ]
    return rows


def markdown(rows: list[SamplingRow], others: list[dict[str, object]]) -> str:
    """Return the table of docs/sampling.md."""
    lines = [
        "| batch | side | tokens | s per batch | passes | accepted per pass | ms per pass | images/s | share of products |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {r.batch} | {r.side} | {r.tokens} | {r.seconds:.3f} | {r.passes:.0f} | {r.accepted_per_pass:.1f} | "
        f"{r.ms_per_pass:.2f} | {r.pictures_per_second:.1f} | {r.share_of_products:.1%} |"
        for r in rows
    ]
    lines += [
        f"| {o['batch']} | {o['side']} ({o['parameters']:,} parameters) | - | {o['seconds']} | - | - | - | - | - |"
        for o in others
    ]
    return "\n".join(lines)


def plot(rows: list[SamplingRow], others: list[dict[str, object]], path: Path) -> None:
    """Plot seconds per image over batch, one line per side."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - needs the benchmarks extra

    figure, axes = plt.subplots(figsize=(7, 4))
    points = [(r.side, r.batch, r.seconds) for r in rows]
    points += [(str(o["side"]), int(str(o["batch"])), float(str(o["seconds"]))) for o in others]
    for name in dict.fromkeys(side for side, _, _ in points):
        batch, seconds = zip(*((b, s / b) for side, b, s in points if side == name), strict=True)
        axes.plot(batch, seconds, marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="images per batch", ylabel="seconds per image")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=110, bbox_inches="tight")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Seconds per image of every sampler.")
    parser.add_argument("--model", default="symbols-64")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reference-pixels", type=int, default=4)
    parser.add_argument(
        "--peers", type=int, nargs="*", default=[1, 8], help="batches of the peers; none: leave them out"
    )
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of the figures and their plot")
    args = parser.parse_args()
    needed = ["matplotlib", *(["diffusers", "transformers"] if args.peers else [])]
    if missing := [name for name in needed if find_spec(name) is None]:
        parser.error(f"install the benchmarks extra first: {', '.join(missing)} missing")
    torch.set_num_threads(args.threads)
    model = load_model(WEIGHTS / args.model)
    card = model[1]
    machine = measured(card.parameters * 4 // len(card.config.geometry.stages))
    rows = table_of(model, args.batches, args.repeats, machine)
    oracle = reference_seconds(model, args.reference_pixels)
    others = peers(card.parameters, card.config.geometry.size, args.peers, 3) if args.peers else []
    print(markdown(rows, others))
    print(f"reference: {oracle:.0f} s per image, from {args.reference_pixels} pixels of one slice per stage; {machine}")
    args.out.mkdir(parents=True, exist_ok=True)
    whole = {"model": card.name, "sha256": card.sha256, "parameters": card.parameters, "machine": asdict(machine)}
    whole |= {"reference_seconds": oracle, "rows": [asdict(row) for row in rows], "peers": others}
    (args.out / f"sampling-{args.model}.json").write_text(json.dumps(whole, indent=1) + "\n")
    plot(rows, others, args.out / f"sampling-{args.model}.png")


if __name__ == "__main__":
    main()
