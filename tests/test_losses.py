"""Every loss against numbers worked out by hand from the formula of its paper."""

import math

import pytest
import torch

from gandem.game.losses import LOSSES, win_rate

REAL, FAKE = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([0.0, 1.0, -3.0])


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


BY_HAND = {  # (discriminator, generator) at REAL and FAKE
    "relativistic": (
        (softplus(-2) + softplus(2) + softplus(-3.5)) / 3,
        (softplus(2) + softplus(-2) + softplus(3.5)) / 3,
    ),
    "non_saturating": (
        (softplus(-2) + softplus(1) + softplus(-0.5) + softplus(0) + softplus(1) + softplus(-3)) / 3,
        (softplus(0) + softplus(-1) + softplus(3)) / 3,
    ),
    "hinge": ((0 + 2 + 0.5 + 1 + 2 + 0) / 3, 2 / 3),
    "minimax": (
        (softplus(-2) + softplus(1) + softplus(-0.5) + softplus(0) + softplus(1) + softplus(-3)) / 3,
        -(softplus(0) + softplus(1) + softplus(-3)) / 3,
    ),
    "least_squares": ((1 + 4 + 0.25 + 0 + 1 + 9) / 6, (1 + 0 + 16) / 6),
    "wasserstein": (-2 / 3 - 0.5, 2 / 3),
    "relativistic_average": (  # the means are 0.5 and -2 / 3
        sum(map(softplus, (-8 / 3, 1 / 3, -7 / 6, -0.5, 0.5, -3.5))) / 6,
        sum(map(softplus, (8 / 3, -1 / 3, 7 / 6, 0.5, -0.5, 3.5))) / 6,
    ),
}
BOUNDED = [name for name in LOSSES if LOSSES[name].bounded]


@pytest.mark.parametrize("name", LOSSES)
def test_values(name: str) -> None:
    values = LOSSES[name].discriminator(REAL, FAKE), LOSSES[name].generator(REAL, FAKE)
    assert [float(value) for value in values] == pytest.approx(BY_HAND[name], rel=1e-6)
    assert all(value.shape == () and value.dtype == torch.float32 for value in values)


@pytest.mark.parametrize("name", LOSSES)
def test_each_player_pulls_its_way(name: str) -> None:
    """The discriminator wants real up and generated down; the generator wants generated up."""
    real, fake = (torch.full((4,), 0.5, requires_grad=True) for _ in range(2))
    on_real, on_fake = torch.autograd.grad(LOSSES[name].discriminator(real, fake), (real, fake))
    assert (on_real < 0).all() and (on_fake > 0).all()
    (on_fake,) = torch.autograd.grad(LOSSES[name].generator(real, fake), fake)
    assert (on_fake < 0).all()


@pytest.mark.parametrize("name", BOUNDED)
def test_a_perfect_discriminator_has_nothing_to_gain(name: str) -> None:
    scores = (1.0, 0.0) if name == "least_squares" else (50.0, -50.0)
    real, fake = (torch.full((4,), score, requires_grad=True) for score in scores)
    loss = LOSSES[name].discriminator(real, fake)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert torch.autograd.grad(loss, real)[0].abs().max() < 1e-6


def test_the_one_without_a_floor_always_gains() -> None:
    assert [name for name in LOSSES if name not in BOUNDED] == ["wasserstein"]
    far = torch.tensor([1e6], requires_grad=True)
    (slope,) = torch.autograd.grad(LOSSES["wasserstein"].discriminator(far, -far), far)
    assert slope == -2


def test_minimax_is_a_zero_sum_game_that_saturates() -> None:
    """What one gains by the generated samples the other loses; where D is sure, the generator's gradient is gone."""
    real, sure = torch.tensor([50.0]), torch.tensor([-20.0], requires_grad=True)
    assert LOSSES["minimax"].discriminator(real, sure) == -LOSSES["minimax"].generator(real, sure)
    slopes = [
        torch.autograd.grad(LOSSES[name].generator(real, sure), sure)[0] for name in ("minimax", "non_saturating")
    ]
    assert -1e-8 < slopes[0] < 0 and slopes[1] == pytest.approx(-1)


@pytest.mark.parametrize("name", LOSSES)
def test_paired_says_whether_the_generator_looks_at_real_samples(name: str) -> None:
    looks = LOSSES[name].generator(REAL, FAKE) != LOSSES[name].generator(REAL + 1, FAKE)
    assert bool(looks) == LOSSES[name].paired


@pytest.mark.parametrize("name", LOSSES)
def test_large_logits_stay_finite(name: str) -> None:
    far = torch.tensor([1e4], requires_grad=True)
    for loss in (LOSSES[name].discriminator(-far, far), LOSSES[name].generator(far, -far)):
        assert loss.isfinite() and torch.autograd.grad(loss, far)[0].isfinite()


@pytest.mark.parametrize(
    ("real", "fake", "rate"),
    [
        ([1.0, 2.0], [0.0, 1.0], 1.0),
        ([0.0, 0.0], [1.0, 2.0], 0.0),
        ([1.0, 1.0], [1.0, 1.0], 0.5),
        ([3.0, 1.0], [1.0, 1.0], 0.75),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_win_rate(real: list[float], fake: list[float], rate: float, dtype: torch.dtype) -> None:
    result = win_rate(torch.tensor(real, dtype=dtype), torch.tensor(fake, dtype=dtype))
    assert float(result) == rate and result.dtype == torch.float32
