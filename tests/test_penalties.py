"""|dD/dx|^2 where it is known in closed form, and its derivative against finite differences."""

import pytest
import torch
from torch import Tensor, nn

from gandem.game.augmentation import DRAWS, augment
from gandem.game.noise_game import NoiseGame
from gandem.game.penalties import (
    PENALTIES,
    STEP,
    LeCam,
    around,
    between,
    consistency,
    dragan,
    finite_r1,
    gradient_penalty,
    squared_gradient_norm,
    zero_centred,
)

SAMPLES = torch.randn(5, 2, 3, 3, generator=torch.Generator().manual_seed(0))
OTHERS = torch.randn(5, 2, 3, 3, generator=torch.Generator().manual_seed(1))
WEIGHT = torch.linspace(-1, 2, 18).view(2, 3, 3)


def linear(x: Tensor) -> Tensor:
    """Its gradient is WEIGHT everywhere."""
    return (WEIGHT * x).sum((1, 2, 3))


def quadratic(x: Tensor) -> Tensor:
    """Its gradient is 1.5 x."""
    return 0.75 * x.square().sum((1, 2, 3))


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


def test_points_between_and_around() -> None:
    torch.manual_seed(0)
    points = between(SAMPLES, OTHERS)
    parts = (points - OTHERS) / (SAMPLES - OTHERS)  # one number a sample, in [0, 1]
    assert parts.flatten(1).std(1).max() < 1e-4 and parts.min() >= 0 and parts.max() <= 1
    assert parts.flatten(1).mean(1).std() > 0.1
    many = SAMPLES.repeat(1000, 1, 1, 1)
    moves = around(many) - many
    assert moves.mean().abs() < 0.01 and moves.std() == pytest.approx(0.5 * SAMPLES.std().item(), rel=0.01)


@pytest.mark.parametrize(("term", "size"), [(gradient_penalty, 1), (dragan, 1), (zero_centred, 0)])
def test_a_constant_slope(term: object, size: int) -> None:
    """(|w| - size)^2, wherever it is taken."""
    result = term(linear, SAMPLES, OTHERS)
    torch.testing.assert_close(result, (WEIGHT.norm() - size).square().expand(5))


@pytest.mark.parametrize(
    ("term", "points", "size"),
    [
        (gradient_penalty, lambda: between(SAMPLES, OTHERS), 1),
        (zero_centred, lambda: between(SAMPLES, OTHERS), 0),
        (dragan, lambda: around(SAMPLES), 1),
    ],
)
def test_a_slope_that_grows_outwards(term: object, points: object, size: int) -> None:
    """(1.5 |x| - size)^2 at the points x that the same random numbers give."""
    torch.manual_seed(3)
    expected = (1.5 * points().flatten(1).norm(dim=1) - size).square()
    torch.manual_seed(3)
    torch.testing.assert_close(term(quadratic, SAMPLES, OTHERS), expected)


def test_a_discriminator_without_slope_learns_to_have_one() -> None:
    """The square root has no derivative at 0: the gradient must be finite there all the same."""
    weight = torch.zeros(2, 3, 3, requires_grad=True)
    penalty = gradient_penalty(lambda x: (weight * x).sum((1, 2, 3)), SAMPLES, OTHERS).mean()
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    assert torch.autograd.grad(penalty, weight)[0].isfinite().all()


def test_finite_differences_are_r1_in_the_mean() -> None:
    """E (v . g)^2 = |g|^2: over 20,000 moves, whose mean has a relative deviation of 1 %."""
    one = SAMPLES[:1].clamp(-1, 1)

    def curved(x: Tensor) -> Tensor:
        return torch.tanh(WEIGHT * x).sum((1, 2, 3))

    torch.manual_seed(0)
    estimate = finite_r1(curved, one.expand(20_000, -1, -1, -1), one).mean()
    assert estimate.item() == pytest.approx(penalty(curved, one).item(), rel=0.04)


def test_finite_differences_of_a_line_are_exact() -> None:
    torch.manual_seed(1)
    moves = torch.randn_like(SAMPLES)
    torch.manual_seed(1)
    torch.testing.assert_close(finite_r1(linear, SAMPLES, OTHERS), linear(moves).square(), rtol=1e-3, atol=1e-4)
    assert 0 < STEP < 0.1


def test_finite_differences_do_not_round_to_bf16() -> None:
    """Scores near 100 whose differences are far below what bf16 can tell apart."""
    layer = torch.nn.Linear(18, 1)
    torch.nn.init.constant_(layer.bias, 100.0)
    results = []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            results.append(finite_r1(lambda x: layer(x.flatten(1)).squeeze(1), SAMPLES, OTHERS))
    assert torch.equal(*results)


def test_consistency() -> None:
    """(D(T(x)) - D(x))^2 with the T that the same random numbers give; 0 for one that sees no difference."""
    torch.manual_seed(2)
    changed = augment(SAMPLES, torch.rand(5, DRAWS), 1.0)
    torch.manual_seed(2)
    torch.testing.assert_close(
        consistency(linear, SAMPLES, OTHERS), (linear(changed) - linear(SAMPLES)).square(), rtol=1e-4, atol=1e-5
    )
    assert not consistency(lambda x: 0 * linear(x) + 7, SAMPLES, OTHERS).any()


def test_lecam_by_hand() -> None:
    """Averages of 2 and -1: ((3 + 1)^2 + (0.5 + 1)^2 + 0) / 3 + (0 + (2 - 1)^2 + (2 + 3)^2) / 3."""
    lecam = LeCam(nn.Linear(1, 1))
    lecam.usual.copy_(torch.tensor([2.0, -1.0]))
    real, fake = torch.tensor([3.0, 0.5, -4.0]), torch.tensor([6.0, 1.0, -3.0])
    assert lecam(real, fake).item() == pytest.approx((16 + 2.25) / 3 + (1 + 25) / 3)


def test_lecam_s_averages() -> None:
    """0.9 of the old and 0.1 of the new, from 0; what is not finite is no score."""
    lecam = LeCam(nn.Linear(1, 1), decay=0.9)
    for real, fake in [(10.0, -20.0), (5.0, float("nan")), (float("inf"), 10.0)]:
        lecam.follow(torch.tensor(real), torch.tensor(fake))
    assert lecam.usual.tolist() == pytest.approx([0.9 * 1.0 + 0.1 * 5, 0.9 * -2.0 + 0.1 * 10])


def test_lecam_is_no_layer_of_the_discriminator() -> None:
    """Layers in a row, which would call it as their last one."""
    discriminator = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    game = NoiseGame(nn.Linear(4, 2), discriminator, 4, lecam=0.3)
    batch = {"real": torch.ones(8, 2)} | game.draw(8, torch.Generator().manual_seed(0))
    _, parts = game.discriminator_loss(batch, 0.0)
    game.after_critic(parts)
    assert discriminator.state_dict()["lecam"].all()


@pytest.mark.parametrize("name", PENALTIES)
def test_each_is_at_samples_or_at_points_of_its_own(name: str) -> None:
    one = PENALTIES[name]
    assert set(one.at) <= {"real", "fake"} and not (one.at and one.term)
    assert (one.cost > 0) == bool(one.at or one.term)
