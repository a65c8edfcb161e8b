"""Attention against its definition in float64: what PyTorch computes for it, and what we compute."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from h2q.model.attention import causal_attention, rotary_table, rotate, split_heads

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
each_dtype = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "bfloat16"])


def definition(qkv, n_heads, rotary_base):
    """softmax(QKᵀ/√D)V without later keys; queries and keys are rotated by their positions."""
    query, key, value = split_heads(qkv, n_heads)
    length, head_dim = query.shape[-2:]
    table = rotary_table(length, head_dim, rotary_base, dtype=torch.float64)
    query, key = rotate(query, table), rotate(key, table)
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    scores = (query @ key.mT / math.sqrt(head_dim)).masked_fill(later, -math.inf)
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)


def relative_errors(qkv, n_heads, rotary_base=None, seed=0):
    """Relative errors, in the norm, of the output, of the whole gradient, and of the gradients of
    queries, keys and values."""
    batch, length, width = qkv.shape
    generator = torch.Generator().manual_seed(seed)
    gradient = torch.randn(batch, length, width // 3, generator=generator).to(qkv.dtype)
    qkv = qkv.detach().requires_grad_()
    exact = qkv.detach().double().requires_grad_()
    output = causal_attention(qkv, n_heads, rotary_base)
    expected = definition(exact, n_heads, rotary_base)
    output.backward(gradient)
    expected.backward(gradient.double())
    assert output.dtype == qkv.dtype
    pairs = [
        (output.detach(), expected.detach()),
        (qkv.grad, exact.grad),
        *zip(qkv.grad.chunk(3, -1), exact.grad.chunk(3, -1)),
    ]
    return [((got - true).norm() / true.norm().clamp_min(1e-30)).item() for got, true in pairs]


def random_qkv(batch, length, n_heads, head_dim, dtype, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    width = n_heads * head_dim
    qkv = torch.randn(batch, length, 3 * width, generator=generator)
    qkv[..., : 2 * width] *= scale
    return qkv.to(dtype)


@each_dtype
@pytest.mark.parametrize("length", [2, 31, 127, 128, 129, 255, 300, 512])
def test_of_any_length(dtype, length):
    """Some lengths are no multiple of a block."""
    errors = relative_errors(random_qkv(2, length, 4, 32, dtype), 4)
    assert max(errors) < TOLERANCE[dtype]


@each_dtype
@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 5),
    length=st.integers(2, 400),
    n_heads=st.integers(1, 6),
    half=st.integers(1, 40),
    seed=st.integers(0, 1000),
)
def test_of_random_shapes(dtype, batch, length, n_heads, half, seed):
    """The smallest shapes come in larger batches: of four numbers rounding alone may be a hundredth."""
    batch = max(batch, -(-32 // (length * n_heads * half)))
    qkv = random_qkv(batch, length, n_heads, 2 * half, dtype, seed=seed)
    assert max(relative_errors(qkv, n_heads, seed=seed)[:2]) < TOLERANCE[dtype]


@each_dtype
def test_with_rotation(dtype):
    assert max(relative_errors(random_qkv(2, 512, 8, 32, dtype), 8, 10_000.0)) < TOLERANCE[dtype]


@each_dtype
def test_of_large_logits(dtype):
    """Scores up to about 80."""
    qkv = random_qkv(2, 200, 2, 32, dtype, scale=4.0)
    assert max(relative_errors(qkv, 2)[:2]) < TOLERANCE[dtype]


@each_dtype
@pytest.mark.parametrize("scale", [30.0, 1000.0])
def test_of_extreme_logits(dtype, scale):
    """Scores of thousands and millions: nothing overflows, weights still sum to one. (An exact
    softmax of such scores is beyond float32, whoever computes it.)"""
    qkv = random_qkv(2, 200, 2, 32, dtype, scale)
    qkv[..., 128:] = 3.0
    qkv.requires_grad_()
    output = causal_attention(qkv, 2, None)
    output.sum().backward()
    torch.testing.assert_close(output, torch.full_like(output, 3.0), rtol=1e-2, atol=0)
    assert torch.isfinite(qkv.grad).all()


@each_dtype
def test_of_equal_scores_far_from_zero(dtype):
    """Every score is 3200 / √32: exp of it overflows, the weights are all alike."""
    qkv = random_qkv(1, 200, 1, 32, dtype)
    qkv[..., :64] = 10.0
    assert relative_errors(qkv, 1)[0] < TOLERANCE[dtype]


@each_dtype
def test_padded_rows_of_a_batch(dtype):
    """Windows may end in padding: it changes neither the output nor the gradient of the text."""
    qkv = random_qkv(3, 150, 4, 16, dtype)
    short = qkv[:, :90].clone().requires_grad_()
    padded = qkv.clone().requires_grad_()
    gradient = torch.randn(3, 150, 64, generator=torch.Generator().manual_seed(3)).to(dtype)
    gradient[:, 90:] = 0  # the loss leaves padding out
    causal_attention(short, 4, 10_000.0).backward(gradient[:, :90])
    causal_attention(padded, 4, 10_000.0).backward(gradient)
    assert (padded.grad[:, 90:] == 0).all()
    torch.testing.assert_close(
        padded.grad[:, :90], short.grad, rtol=TOLERANCE[dtype], atol=2 * TOLERANCE[dtype]
    )


@each_dtype
def test_is_the_same_with_and_without_gradient(dtype):
    qkv = random_qkv(2, 200, 4, 32, dtype)
    plain = causal_attention(qkv, 4, 10_000.0)
    tracked = causal_attention(qkv.requires_grad_(), 4, 10_000.0)
    torch.testing.assert_close(plain, tracked.detach(), rtol=1e-2, atol=1e-2)


@each_dtype
def test_is_deterministic(dtype):
    gradients = []
    for _ in range(2):
        qkv = random_qkv(2, 200, 4, 32, dtype).requires_grad_()
        causal_attention(qkv, 4, 10_000.0).square().sum().backward()
        gradients.append(qkv.grad)
    assert torch.equal(*gradients)


def test_rotation_depends_on_distance_only():
    table = rotary_table(64, 16, 10_000.0)
    query, key = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(1))

    def product(i, j):
        return (rotate(query, table[:, i : i + 1]) * rotate(key, table[:, j : j + 1])).sum()

    torch.testing.assert_close(product(5, 2), product(50, 47), rtol=1e-4, atol=1e-5)
    assert not torch.isclose(product(5, 2), product(5, 3), rtol=1e-3)
