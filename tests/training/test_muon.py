"""Our Muon against PyTorch's, which orthogonalises one matrix at a time."""

import pytest
import torch

from h2q.training.muon import Muon, orthogonalize

SHAPES = [(32, 128), (128, 32), (32, 32), (32, 32), (32, 128)]


def weights(shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def run(optimizer, parameters, steps=5):
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()


def test_is_the_muon_of_pytorch():
    theirs, ours = weights(SHAPES), weights(SHAPES)
    reference = torch.optim.Muon(
        theirs, lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    run(reference, theirs)
    run(Muon([{"params": ours}], 0.02, 0.1), ours)
    for expected, got, start in zip(theirs, ours, weights(SHAPES)):
        change = (expected - start).norm()
        assert change > 0.1
        assert (got - expected).norm() < 0.04 * change  # PyTorch rounds to bfloat16


def test_blocks_are_matrices_of_their_own():
    """Queries, keys and values lie in one weight and are orthogonalised each by itself."""
    (whole,) = weights([(96, 32)])
    parts = [part.detach().clone().requires_grad_() for part in whole.chunk(3)]
    run(Muon([{"params": [whole], "blocks": 3}], 0.02, 0.1), [whole], steps=1)
    generator = torch.Generator().manual_seed(1)
    gradient = torch.randn(96, 32, generator=generator)
    for part, part_gradient in zip(parts, gradient.chunk(3)):
        part.grad = part_gradient
    Muon([{"params": parts}], 0.02, 0.1).step()
    torch.testing.assert_close(torch.cat(parts), whole)


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (16, 16)])
def test_is_the_iteration_of_the_source(shape):
    """Five times x ← a x + b (x xᵀ) x + c (x xᵀ)² x in float64, from x of norm 1."""
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(2))
    x = matrices.double() / matrices.double().norm(dim=(1, 2), keepdim=True)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    torch.testing.assert_close(orthogonalize(matrices).double(), x, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (16, 16), (256, 512)])
@pytest.mark.parametrize("decades", [0, 1, 3, 6])
def test_no_singular_value_ends_above_the_greatest(dtype, shape, decades):
    """Also of matrices whose singular values fall over decades, as those of gradients do, and of
    any magnitude."""
    generator = torch.Generator().manual_seed(3)
    left, _, right = torch.linalg.svd(torch.randn(4, *shape, generator=generator), False)
    values = torch.logspace(0, -decades, min(shape)) * torch.tensor([[1e-6], [1], [1e4], [1e-2]])
    matrices = left @ torch.diag_embed(values) @ right
    result = torch.linalg.svdvals(orthogonalize(matrices.to(dtype)).float())
    assert result.max() < 1.3
    assert (result[:, 0] > 0.6).all()
    if decades <= 1:
        assert result.min() > 0.6


def test_a_gradient_of_zeros_changes_nothing_but_decay():
    (weight,) = weights([(8, 16)])
    before = weight.detach().clone()
    weight.grad = torch.zeros_like(weight)
    Muon([{"params": [weight]}], 0.1, 0.5).step()
    torch.testing.assert_close(weight.detach(), before * 0.95)
