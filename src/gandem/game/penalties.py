"""Penalties on the discriminator, most of them on its slope: what makes the game converge.

Each is two choices: at which points the gradient dD/dx is taken, and to which size it is pulled, 0 or 1. A loss gets
gamma / 2 times the mean over its points, so that a weight of lambda in a paper that writes no half is a gamma of twice
that; beside relativistic_average, a loss that is half of its paper's, it is lambda itself. What a penalty draws at
random comes from torch's own generator, which the trainer seeds for every batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gandem.game.augmentation import DRAWS, augment

Score = Callable[[Tensor], Tensor]
"""What the discriminator says of samples: (n, ...) or a multiple of those rows -> logits of as many, or of packs."""

Term = Callable[[Score, Tensor, Tensor], Tensor]
"""A penalty as function(score, real samples, fake samples), paired by index -> one number a logit, to be averaged."""

STEP = 0.01
"""Standard deviation of the moves that finite differences are taken over; samples lie in [-1, 1]."""


@dataclass(frozen=True)
class Penalty:
    """What a discriminator pays for.

    at: "real" and "fake", where |dD/dx|^2 is taken at the samples themselves, scored once for loss and penalty.
    term: a penalty that scores points of its own.
    cost: forward passes of the discriminator that take as long, for each pair of samples.
    """

    description: str
    at: tuple[str, ...] = ()
    term: Term | None = None
    cost: float = 0.0


def squared_gradient_norm(logits: Tensor, samples: Tensor) -> Tensor:
    """Return |dD(x)/dx|^2 per logit, shape (n,), itself differentiable.

    At real samples its mean is R1, at generated ones R2 (Mescheder et al. 2018, eq. 9 and 10; used together by
    Huang et al. 2024). `samples` (n, ...), or (m n, ...) in packs of m, must require gradients and have produced
    `logits` (n,).
    """
    (gradient,) = torch.autograd.grad(logits.sum(), samples, create_graph=True)
    return gradient.float().square().reshape(len(logits), -1).sum(1)


def gradient_penalty(score: Score, real: Tensor, fake: Tensor) -> Tensor:
    """(|dD/dx| - 1)^2 between real and generated samples (Gulrajani et al. 2017, eq. 3; lambda 10 is gamma 20)."""
    return (_squared_slope(score, between(real, fake)) + 1e-12).sqrt().sub(1).square()


def zero_centred(score: Score, real: Tensor, fake: Tensor) -> Tensor:
    """|dD/dx|^2 between real and generated samples (Thanh-Tung et al. 2019)."""
    return _squared_slope(score, between(real, fake))


def dragan(score: Score, real: Tensor, fake: Tensor) -> Tensor:
    """(|dD/dx| - 1)^2 around real samples (Kodali et al. 2017; lambda 10 is gamma 20), see `around`."""
    return (_squared_slope(score, around(real)) + 1e-12).sqrt().sub(1).square()


def finite_r1(score: Score, real: Tensor, fake: Tensor) -> Tensor:
    """((D(x + h v) - D(x)) / h)^2 with v from N(0, I): in the mean |dD/dx|^2, without second derivatives.

    After Lin et al. 2025, "Diffusion adversarial post-training", who do not divide by h: their lambda is a gamma of
    2 lambda h^2. It is for networks and devices without second derivatives, and not cheaper than the exact R1: it
    scores real samples twice more, takes about as long (docs/using.md), and is noisier. In single precision whatever
    the rest computes in: the difference is small.
    """
    moved = real + STEP * torch.randn_like(real)
    with torch.autocast(real.device.type, enabled=False):
        here, there = score(torch.cat([real, moved])).chunk(2)
    return ((there - here) / STEP).square()


def consistency(score: Score, real: Tensor, fake: Tensor) -> Tensor:
    """(D(T(x)) - D(x))^2 for a random augmentation T of real samples (Zhang et al. 2020; images only)."""
    changed = augment(real, torch.rand(len(real), DRAWS, device=real.device), 1.0)
    here, there = score(torch.cat([real, changed])).chunk(2)
    return (there - here).square()


class LeCam:
    """E max(0, D(x) - a_fake)^2 + E max(0, a_real - D(G(z)))^2, with moving averages a of D(x) and of D(G(z)).

    It holds the discriminator back where it tells the two kinds far apart, as it does when there are few data (Tseng et
    al. 2021, "Regularizing GANs under limited data", with the max(0, .) of their code). The averages begin at 0 and
    keep `decay` of themselves at each turn. They are a buffer of the discriminator, "lecam", and saved with it.
    """

    def __init__(self, discriminator: nn.Module, decay: float = 0.99) -> None:
        self.discriminator, self.decay = discriminator, decay
        discriminator.register_buffer("lecam", torch.zeros(2))

    @property
    def usual(self) -> Tensor:
        """The averages of D(x) and of D(G(z)), (2,)."""
        return self.discriminator.get_buffer("lecam")

    def __call__(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the penalty on the logits of real and of generated samples, (n,) each, as a scalar."""
        usual_real, usual_fake = self.usual
        return relu(real - usual_fake).square().mean() + relu(usual_real - fake).square().mean()

    @torch.no_grad()
    def follow(self, real: Tensor, fake: Tensor) -> None:
        """Take one more pair of means into the averages, where they are finite."""
        means = torch.stack([real, fake]).to(self.usual)
        self.usual.copy_(torch.where(means.isfinite(), self.usual.lerp(means, 1 - self.decay), self.usual))


def between(real: Tensor, fake: Tensor) -> Tensor:
    """Return a random point on the line between each pair, (n, ...)."""
    part = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=real.dtype, device=real.device)
    return torch.lerp(fake, real, part)


def around(real: Tensor) -> Tensor:
    """Return each real sample with noise from N(0, (std / 2)^2), std being the deviation of all values, (n, ...).

    The size is our choice: Kodali et al. 2017 write N(0, c I) and leave c open.
    """
    return real + 0.5 * real.std() * torch.randn_like(real)


def _squared_slope(score: Score, points: Tensor) -> Tensor:
    points = points.detach().requires_grad_()
    return squared_gradient_norm(score(points), points)


PENALTIES: dict[str, Penalty] = {
    "r1_r2": Penalty("R1 + R2 (Mescheder et al. 2018; Huang et al. 2024)", at=("real", "fake"), cost=6),
    "r1": Penalty("R1, zero-centred at real samples (Mescheder et al. 2018, eq. 9)", at=("real",), cost=3),
    "r2": Penalty("R2, zero-centred at generated samples (Mescheder et al. 2018, eq. 10)", at=("fake",), cost=3),
    "r1_finite": Penalty("R1 by finite differences (Lin et al. 2025)", term=finite_r1, cost=6),
    "gradient_penalty": Penalty("one-centred between both (Gulrajani et al. 2017)", term=gradient_penalty, cost=6),
    "zero_centred": Penalty("zero-centred between both (Thanh-Tung et al. 2019)", term=zero_centred, cost=6),
    "dragan": Penalty("one-centred around real samples (Kodali et al. 2017)", term=dragan, cost=6),
    "consistency": Penalty("equal scores for augmented samples (Zhang et al. 2020)", term=consistency, cost=6),
    "none": Penalty("nothing"),
}
