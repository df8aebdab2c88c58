"""The trainer learns, resumes exactly, and measures without bias."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.config import Control, Stage
from models.network import Network
from tests.harness.flat import GEOMETRY, Flat
from tests.harness.toy import toy_config, toy_networks
from training.evaluate import shares
from training.loop.checkpoints import matched_controls, parts, resume_from, save_state, warm_start
from training.loop.minibatches import ExampleSource, Minibatch
from training.loop.recipe import Recipe
from training.loop.trainer import Trainer
from training.scoring.bits import stage_share
from training.scoring.codecs import CODECS, bits_per_dim

RECIPE = Recipe(batch=16, learning_rate=1e-2, warmup_steps=5)


def trainer(stage: Stage, *, compiled: bool = False) -> Trainer:
    torch.manual_seed(0)
    return Trainer(Network(toy_config(GEOMETRY), stage), RECIPE, compiled=compiled)


def minibatch(stage: Stage, step: int) -> Minibatch:
    return ExampleSource(data=Flat(), stage=stage, geometry=GEOMETRY, recipe=RECIPE).minibatch(step, 0)


def halves(whole: Minibatch) -> Sequence[Minibatch]:
    """Split a minibatch in two."""
    return [Minibatch(*(part[rows] for part in whole)) for rows in (slice(8), slice(8, 16))]


@pytest.mark.parametrize("stage", Stage)
def test_training_lowers_bits_per_dim(stage: Stage) -> None:
    """Forty steps on flat images halve the stage's bits/dim."""
    t = trainer(stage)
    losses = [t.update([minibatch(stage, step)], 1.0) for step in range(40)]
    assert np.mean(losses[-5:]) < 0.5 * losses[0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_products_are_of_what_the_device_multiplies_fast(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    """Products take the number format that `fast` returns: without instructions bfloat16 took ninety times as long."""
    monkeypatch.setattr("training.loop.trainer.fast", lambda _: dtype)
    t, seen = trainer(Stage.BASE), set[torch.dtype]()
    assert isinstance(t.network, Network)
    t.network.decoder.condition.register_forward_hook(lambda _module, _given, out: seen.add(out.dtype))
    t.update([minibatch(Stage.BASE, 0)], 1.0)
    assert seen == {dtype}


def test_a_resumed_run_is_the_run(tmp_path: Path) -> None:
    """After a save and a resume in a new trainer the next step ends with the same weights, average and optimiser state."""
    whole = trainer(Stage.DEPTH)
    whole.update([minibatch(Stage.DEPTH, 0)], 1.0)
    save_state(whole, tmp_path / "depth.pt")
    resumed = trainer(Stage.DEPTH)
    resume_from(resumed, tmp_path / "depth.pt")
    assert whole.update([minibatch(Stage.DEPTH, 1)], 1.0) == resumed.update([minibatch(Stage.DEPTH, 1)], 1.0)
    assert resumed.step == whole.step == 2
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name])
        assert torch.equal(whole.average[name], resumed.average[name])


def test_minibatches_are_averaged_as_one_batch() -> None:
    """One update on a minibatch of 16 and one on its two halves: the same loss, and weights equal up to bfloat16's rounding."""
    one, two = trainer(Stage.SIZE), trainer(Stage.SIZE)
    whole = minibatch(Stage.SIZE, 0)
    start = {name: tensor.clone() for name, tensor in one.network.state_dict().items()}
    assert one.update([whole], 1.0) == pytest.approx(two.update(halves(whole), 1.0), rel=1e-4)
    moved = torch.cat([(t - start[name]).flatten() for name, t in one.network.state_dict().items()])
    apart = torch.cat([(t - one.network.state_dict()[name]).flatten() for name, t in two.network.state_dict().items()])
    assert apart.norm() < 0.1 * moved.norm()


def test_one_slice_estimates_the_stage_without_bias() -> None:
    """The mean of a stage's share over its slices, each scaled as in training, is the share that evaluation sums."""
    networks, images = toy_networks(GEOMETRY), Flat().held_out()
    exact = shares(networks, GEOMETRY, images)
    pixels, controls = torch.from_numpy(images.images).long(), torch.from_numpy(images.controls)
    for stage in Stage:
        ks = [s.slice for s in GEOMETRY.steps if s.stage is stage]
        nats = [networks[stage](pixels >> 5, pixels & 31, torch.full((16,), k), controls).mean() for k in ks]
        estimate = float(torch.stack(nats).mean()) * stage_share(stage, GEOMETRY)
        assert math.isclose(estimate, float(exact[stage].mean()), rel_tol=1e-5)


def test_every_parameter_learns() -> None:
    """Every parameter of every stage has a gradient: processes that exchange gradients would wait for a missing one."""
    for stage in Stage:
        t = trainer(stage)
        t.update([minibatch(stage, 0)], 1.0)
        assert [name for name, p in t.network.named_parameters() if p.grad is None] == []


def test_the_rate_falls_in_the_last_call_only() -> None:
    """The rate is the peak in every call but the last, where it falls along a straight line to the final fraction."""
    stable, ending = Recipe(), Recipe(final_rate=0.1, decay_share=0.5)
    assert [stable.rate(done) for done in (0, 0.5, 0.99, 1, 1.5)] == [1] * 5
    assert [ending.rate(done) for done in (0, 0.5, 0.75, 1, 1.5)] == pytest.approx([1, 1, 0.55, 0.1, 0.1])


def test_a_checkpoint_in_parts_is_the_checkpoint(tmp_path: Path) -> None:
    """After an interrupted save the previous checkpoint counts; a complete save removes older files."""
    t, path = trainer(Stage.DEPTH), tmp_path / "depth.pt"
    t.update([minibatch(Stage.DEPTH, 0)], 1.0)
    save_state(t, path, part_bytes=100_000)
    assert len(parts(path)) > 2
    assert all(part.stat().st_size <= 100_000 for part in parts(path))
    t.update([minibatch(Stage.DEPTH, 1)], 1.0)
    save_state(t, path, part_bytes=100_000)
    assert {part.name.split(".")[1] for part in parts(path)} == {"2"}
    (tmp_path / "depth.3.1-of-2.pt").write_bytes(b"half of a checkpoint")
    resumed = trainer(Stage.DEPTH)
    resume_from(resumed, path)
    assert resumed.step == 2
    assert all(torch.equal(tensor, resumed.average[name]) for name, tensor in t.average.items())


def test_a_start_from_another_vocabulary_goes_by_name() -> None:
    """Vectors and maps of values that both know are taken over, whatever their order; new values keep their random rows."""
    old_config = toy_config(GEOMETRY)
    label, hue, tile = old_config.controls
    controls = (replace(label, values=("B", "heart", "A")), Control(name="style", values=("solid",)), tile, hue)
    torch.manual_seed(0)
    old, new = Network(old_config, Stage.BASE), Network(replace(old_config, controls=controls), Stage.BASE)
    weights = matched_controls(old, old_config.controls, new, controls)
    fitted, left = warm_start(new, weights)
    assert (fitted, left) == (len(new.state_dict()), [])
    before, after = old.state_dict(), weights
    for kind in ("embedder.controls", "embedder.maps.tables"):
        assert torch.equal(after[f"{kind}.0.weight"][[0, 1, 3]], before[f"{kind}.0.weight"][[0, 2, 1]])
    assert torch.equal(after["embedder.controls.3.weight"], before["embedder.controls.1.weight"])
    assert torch.equal(after["embedder.maps.tables.1.weight"], before["embedder.maps.tables.1.weight"])
    assert torch.equal(after["embedder.controls.1.weight"], new.state_dict()["embedder.controls.1.weight"])


def test_a_warm_start_takes_what_fits() -> None:
    """From a network for another image size all tensors but the first layer and the meta-positions are taken over."""
    large = Network(toy_config(GEOMETRY), Stage.DEPTH)
    other = type(GEOMETRY)(size=16, slice_size=4)
    fitted, left = warm_start(large, Network(toy_config(other), Stage.DEPTH).state_dict())
    assert left == ["embedder.first.weight", "embedder.meta_position.weight"]
    assert fitted == len(large.state_dict()) - 2


def test_codecs_are_lossless_measures() -> None:
    """Flat images cost little, noise costs at least its entropy."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    for encode in CODECS.values():
        assert bits_per_dim(np.zeros_like(noise), encode) < 0.5
        assert bits_per_dim(noise, encode) >= 8
