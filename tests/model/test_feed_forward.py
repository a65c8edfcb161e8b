"""Feed-forward and dropout against the modules of PyTorch that they stand for."""

import pytest
import torch
from torch import nn

from h2q.model.feed_forward import dropout, feed_forward

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1.5e-2}
each_dtype = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "bfloat16"])


def layers(width=32, hidden=80):
    torch.manual_seed(0)
    up, down = nn.Linear(width, hidden), nn.Linear(hidden, width)
    with torch.no_grad():  # weights that are the same in every precision
        for parameter in (*up.parameters(), *down.parameters()):
            parameter.copy_(parameter.bfloat16())
    return up, down


@each_dtype
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2, 33)])
def test_feed_forward_and_its_gradients(dtype, shape):
    up, down = layers()
    x = torch.randn(*shape, 32).to(dtype)
    gradient = torch.randn(*shape, 32).to(dtype)
    results = []
    for compute in ("float64", "ours"):
        wanted = torch.float64 if compute == "float64" else torch.float32
        up, down = up.to(wanted), down.to(wanted)
        for parameter in (*up.parameters(), *down.parameters()):
            parameter.grad = None
        point = x.to(wanted if compute == "float64" else dtype).requires_grad_()
        if compute == "float64":
            output = down(up(point).relu())
        else:
            output = feed_forward(point, up, down)
            assert output.dtype == dtype
        output.backward(gradient.to(output.dtype))
        parameters = (up.weight, up.bias, down.weight, down.bias)
        results.append([output.detach(), point.grad, *(p.grad for p in parameters)])
    for expected, got in zip(*results):
        assert (got - expected).norm() <= TOLERANCE[dtype] * expected.norm()


def test_a_positive_number_that_rounds_to_zero_bits_is_none():
    """The gradient passes where the activation is positive, however small, and nowhere else."""
    up, down = layers(4, 4)
    with torch.no_grad():
        up.weight.copy_(torch.eye(4))
        up.bias.zero_()
        down.weight.copy_(torch.eye(4))
    x = torch.tensor([[1e-30, -1e-30, 0.0, 5.0]], requires_grad=True)
    feed_forward(x, up, down).sum().backward()
    assert x.grad.tolist() == [[1.0, 0.0, 0.0, 1.0]]


@each_dtype
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_zeroes_a_share_and_scales_the_rest(dtype, p):
    torch.manual_seed(1)
    x = torch.ones(400, 256, dtype=dtype, requires_grad=True)
    y = dropout(x, p, training=True)
    kept = y != 0
    assert 1 - kept.float().mean() == pytest.approx(p, abs=0.006)  # 4 standard errors at p = 0.5
    torch.testing.assert_close(y[kept].float().mean(), torch.tensor(1 / (1 - p)), rtol=4e-3, atol=0)
    y.backward(torch.ones_like(y))
    assert torch.equal(x.grad, y)


def test_rows_and_columns_drop_independently():
    torch.manual_seed(2)
    dropped = (dropout(torch.ones(512, 512), 0.5, training=True) == 0).float() - 0.5
    for shift in ((1, 0), (0, 1), (0, 4), (4, 4)):
        product = dropped * dropped.roll(shift, (0, 1))
        assert abs(product.mean()) < 4 * 0.25 / 512


def test_dropout_follows_the_default_generator():
    x = torch.randn(64, 64)
    masks = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        masks.append(dropout(x, 0.3, training=True))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    assert not torch.equal(dropout(x, 0.3, training=True), masks[2])  # each call draws anew


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False)])
def test_dropout_that_is_off_returns_what_it_got(p, training):
    x = torch.randn(5)
    assert dropout(x, p, training) is x


@pytest.mark.parametrize("shape", [(1,), (3,), (7, 5), (2, 3, 5)])
def test_dropout_of_any_shape(shape):
    """A random word holds four numbers; the number of elements need not be a multiple of four."""
    y = dropout(torch.ones(shape), 0.25, training=True)
    assert y.shape == shape
    assert ((y == 0) | torch.isclose(y, torch.tensor(4 / 3))).all()


def test_dropout_of_a_view():
    torch.manual_seed(5)
    x = torch.randn(8, 6).t().requires_grad_()
    y = dropout(x, 0.5, training=True)
    kept = y != 0
    torch.testing.assert_close(y[kept], 2 * x[kept])


@each_dtype
@pytest.mark.parametrize("p", [0.0, 0.25])
def test_dropout_adds_what_it_keeps_to_the_residual(dtype, p):
    x = torch.randn(64, 32).to(dtype).requires_grad_()
    residual = torch.randn(64, 32).requires_grad_()
    torch.manual_seed(6)
    alone = dropout(x, p, training=True)
    torch.manual_seed(6)
    added = dropout(x, p, training=True, residual=residual)
    assert added.dtype == torch.float32
    torch.testing.assert_close(added, residual + alone, rtol=1e-2, atol=1e-2)
    gradient = torch.randn(64, 32)
    expected = torch.autograd.grad(alone, x, gradient.to(dtype))[0]
    got, passed_on = torch.autograd.grad(added, (x, residual), gradient)
    torch.testing.assert_close(got, expected, rtol=1e-2, atol=1e-2)
    assert torch.equal(passed_on, gradient)


def test_elsewhere_pytorch_computes_the_same_shapes():
    """On the device ``meta``, which has no numbers; a graphics card takes the same path."""
    up, down = (layer.to("meta") for layer in layers())
    x = torch.randn(2, 5, 32, device="meta")
    assert feed_forward(x, up, down).shape == x.shape
    assert dropout(x, 0.5, training=True).shape == x.shape
    assert dropout(x, 0.5, training=True, residual=x).shape == x.shape
