import numpy as np
import pytest
import torch
import torch.nn.functional as F

from h2q.model.integer_linear import integer_product
from tests.conftest import run_python

SHAPES = {"readme": (256, 2048), "readme back": (2048, 256), "odd": (37, 24), "least": (1, 1)}


def random_integers(shape, least, most, seed) -> np.ndarray:
    return np.random.default_rng(seed).integers(least, most + 1, shape)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_integers_are_multiplied_exactly(shape, nonnegative, each_kernel):
    """Rounding does not change these numbers; they include the greatest in every place."""
    width, outputs = shape
    most = 127 if nonnegative else 63
    rows = random_integers((50, width), 0 if nonnegative else -most, most, seed=1)
    weights = random_integers((outputs, width), -127, 127, seed=2)
    rows[0], weights[0] = most, 127  # sums as great as can be
    rows[1], weights[-1] = most, -127
    rows[:, 0], weights[:, 0] = most, 127
    wanted = rows @ weights.T
    bias = torch.randn(outputs, generator=torch.Generator().manual_seed(0))
    product = integer_product(torch.tensor(weights / 64).float(), bias, nonnegative)
    got = product(torch.tensor(rows * 0.37).float())
    wanted = torch.tensor(wanted * 0.37 / 64) + bias
    assert (got - wanted).abs().max() <= 1e-6 * wanted.abs().max()


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_bit_of_a_row_is_its_own(shape, nonnegative, each_kernel):
    width, outputs = shape
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(200, width, generator=generator)
    rows = rows.relu_() if nonnegative else rows
    weight = torch.randn(outputs, width, generator=generator)
    product = integer_product(weight, torch.randn(outputs, generator=generator), nonnegative)
    wanted = product(rows)
    for first, last in ((0, 1), (1, 3), (3, 8), (8, 9), (9, 72), (72, 200)):
        assert torch.equal(product(rows[first:last]), wanted[first:last])


@pytest.mark.parametrize("nonnegative", [False, True])
def test_rounding_costs_a_hundredth(nonnegative, each_kernel):
    """For rows whose greatest number is about three times their standard deviation."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(100, 256, generator=generator)
    rows = rows.relu_() if nonnegative else rows
    weight = torch.randn(256, 256, generator=generator)
    wanted = F.linear(rows, weight)
    error = integer_product(weight, torch.zeros(256), nonnegative)(rows) - wanted
    assert 0 < error.norm() < (0.012 if nonnegative else 0.018) * wanted.norm()


@pytest.mark.parametrize("nonnegative", [False, True])
def test_zeros_give_the_bias(nonnegative, each_kernel):
    bias = torch.randn(8, generator=torch.Generator().manual_seed(0))
    rows = torch.zeros(3, 16)
    rows[1, 5] = 2.0
    weight = torch.randn(8, 16, generator=torch.Generator().manual_seed(1))
    weight[3] = 0.0
    got = integer_product(weight, bias, nonnegative)(rows)
    assert torch.equal(got[[0, 2]], bias.expand(2, -1))
    assert got[1, 3] == bias[3]
    assert got.isfinite().all()


def test_nothing_is_said_of_what_pytorch_will_give_up():
    """In a process of its own: PyTorch would say it once."""
    code = "import torch; from h2q.model.integer_linear import integer_product; "
    assert not run_python(code + "integer_product(torch.ones(4, 4), torch.zeros(4))").stderr
