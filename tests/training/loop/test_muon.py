"""Our Muon is torch's, in numbers that the device multiplies fast."""

import pytest
import torch

from training.loop.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(24, 24), (16, 40), (40, 16)])
def test_an_orthogonal_matrix_keeps_singular_vectors_alone(shape: tuple[int, int]) -> None:
    """Singular values from 0.01 to 1 come out near 1."""
    torch.manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    values = torch.logspace(-2, 0, min(shape))
    found = orthogonal((u @ torch.diag(values) @ v)[None])[0].float()
    within = u.T @ found @ v.T
    assert torch.diag(within).min() > 0.3
    assert torch.diag(within).max() < 1.3
    assert (within - torch.diag(torch.diag(within))).abs().max() < 0.05


def test_steps_are_those_of_torchs_own() -> None:
    """Ten of them, with momentum and decay, up to bfloat16's rounding in torch's."""
    torch.manual_seed(0)
    start, gradients = torch.randn(24, 16), torch.randn(10, 24, 16)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    optimizers = (
        Muon([ours], lr=0.01, weight_decay=0.1),
        torch.optim.Muon([theirs], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    )
    for gradient in gradients:
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    moved = (theirs - start).norm()
    assert moved > 0.1
    assert (ours - theirs).norm() < 0.02 * moved
