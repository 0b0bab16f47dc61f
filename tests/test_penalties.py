"""|dD/dx|^2 where it is known in closed form, and its derivative against finite differences."""

import pytest
import torch
from torch import Tensor

from gandem.game.penalties import squared_gradient_norm

SAMPLES = torch.randn(5, 2, 3, 3, generator=torch.Generator().manual_seed(0))


def penalty(discriminator: object, samples: Tensor) -> Tensor:
    samples = samples.clone().requires_grad_()
    return squared_gradient_norm(discriminator(samples), samples)


def test_linear() -> None:
    """D(x) = <w, x> has the gradient w everywhere."""
    weight = torch.linspace(-1, 2, 18).view(2, 3, 3)
    result = penalty(lambda x: (weight * x).sum((1, 2, 3)), SAMPLES)
    torch.testing.assert_close(result, weight.square().sum().expand(5))


def test_quadratic() -> None:
    """D(x) = a |x|^2 / 2 has the gradient a x."""
    result = penalty(lambda x: 1.5 * x.square().sum((1, 2, 3)) / 2, SAMPLES)
    torch.testing.assert_close(result, 2.25 * SAMPLES.square().sum((1, 2, 3)))


def test_derivative_by_the_weights() -> None:
    """D(x) = sum tanh(w x): the derivative of the penalty by w, against central differences in double precision."""
    samples = SAMPLES.double()

    def mean_penalty(weight: Tensor) -> Tensor:
        return penalty(lambda x: torch.tanh(weight * x).sum((1, 2, 3)), samples).mean()

    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    (derivative,) = torch.autograd.grad(mean_penalty(weight), weight)
    step = 1e-2  # the penalty itself is rounded to single precision
    difference = (mean_penalty(weight + step) - mean_penalty(weight - step)) / (2 * step)
    assert derivative.item() == pytest.approx(difference.item(), rel=1e-3)


def test_every_sample_counts_for_itself() -> None:
    changed = SAMPLES.clone()
    changed[2] += 1
    before, after = (penalty(lambda x: x.pow(3).sum((1, 2, 3)), samples) for samples in (SAMPLES, changed))
    assert before.shape == (5,)
    assert (before != after).tolist() == [False, False, True, False, False]
