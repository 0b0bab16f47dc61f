"""Two small networks play on a shape in the plane, with the same game, penalties and trainer as everything else."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from gandem import latents
from gandem.game.noise_game import NoiseGame
from gandem.game.schedules import geometric
from gandem.judge.coverage import Neighbourhood, coverage, precision
from gandem.judge.figure import Figure
from gandem.recipe import OptimizerOptions, TrainingOptions
from gandem.spec import SampleSpec
from gandem.training.budget import Budget
from gandem.training.engine import Engine
from gandem.training.loop import Loop
from gandem.uses.play.shapes import Shape

WIDTH, LAYERS, LATENT, BATCH = {"generator": 256, "discriminator": 128}, 3, 2, 128
GAMMA = (1.0, 0.001)
"""Twice the weight of the penalty at the start and at the end: a gentle slope finds every mode, a steep one sharpens
them."""
ONE_CENTRED = (2.0, 2.0)
"""The same where the slope is pulled to 1: it stays. With it WGAN-GP brought 79 % of its points near the modes of the
ring, with 20 (the lambda of 10 that both papers have for pictures) 1 %, with 0.2 27 % (100,000 points, one seed)."""
GAMMAS = {"gradient_penalty": ONE_CENTRED, "dragan": ONE_CENTRED}
AVERAGED = 0.01
"""Half-life of the generator's average, as a part of the points shown: in longer ones modes shrink to their means."""
UNIT, WAVES, TURNS = 0.25, 64, (0.5, 16.0)
"""What the discriminator sees of a point: its place in units of this, and so many waves from long to short ones; how
often these turn between 0 and 1."""
SHOWN, JUDGED, MOMENTS = 500, 2_500, 60
FIELD, EXTENT = 40, 1.3
"""Places on each axis where the discriminator is asked, and how far the axes go."""
FAR = 1e6
NEAR = 3.0
"""Deviations from a mode's centre within which a sample belongs to it."""


class Points:
    """Points of a shape, drawn once."""

    def __init__(self, shape: Shape, count: int, seed: int) -> None:
        self.spec = SampleSpec((2,))
        self.points = shape.draw(count, torch.Generator().manual_seed(seed))

    def __len__(self) -> int:
        return len(self.points)

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Return {"real": float32 (n, 2)}."""
        return {"real": self.points[indices]}


class Waves(nn.Module):
    """A point, and sines and cosines of it from coarse to fine ("Fourier features", Tancik et al. 2020).

    A plain network learns what varies slowly first, and would not see a mode of a hundredth of the plane for long. The
    point itself says where "far away" is: waves alone are the same everywhere, and the generator runs off.
    """

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        angles = 2 * math.pi * torch.rand(WAVES)
        turns = torch.logspace(math.log10(TURNS[0]), math.log10(TURNS[1]), WAVES)
        self.register_buffer("frequencies", 2 * math.pi * turns * torch.stack([angles.cos(), angles.sin()]))

    def forward(self, points: Tensor) -> Tensor:
        """Map (n, 2) to (n, 2 + 2 * WAVES)."""
        phases = points @ self.frequencies
        return torch.cat([points / UNIT, phases.sin(), phases.cos()], 1)


def layers(inputs: int, outputs: int, width: int, activation: nn.Module) -> nn.Sequential:
    """Return a plain network of three hidden layers."""
    sizes = [inputs, *[width] * LAYERS]
    hidden = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), activation)]
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


class PointGenerator(nn.Module):
    """Latent to point. Modes want it flat, with jumps between them: plain ReLUs can be that, leaky ones cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = layers(LATENT, 2, WIDTH["generator"], nn.ReLU())

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Map (n, LATENT) to points (n, 2)."""
        points: Tensor = self.layers(latent)
        return points


class PointDiscriminator(nn.Module):
    """Point to logit."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(Waves(), layers(2 + 2 * WAVES, 1, WIDTH["discriminator"], nn.LeakyReLU(0.2)))

    def forward(self, points: Tensor, label: Tensor | None = None) -> Tensor:
        """Map (n, 2) to logits (n,)."""
        logits: Tensor = self.layers(points)
        return logits.squeeze(1)


@dataclass(frozen=True)
class Moment:
    """What is to be seen after some steps.

    made: generated points (SHOWN, 2). field: logits (FIELD, FIELD), rows from the bottom. slope: their gradient
    (FIELD, FIELD, 2), the direction in which the generator is pulled. losses: of both players, means since the last
    moment.
    """

    step: int
    progress: float
    made: Tensor
    field: Tensor
    slope: Tensor
    losses: dict[str, float]


@dataclass(frozen=True)
class Played:
    """A game that is over: its moments, and how well the shape was learnt, by name."""

    shape: Shape
    moments: list[Moment]
    real: Tensor
    figures: dict[str, Figure]
    steps: int
    seconds: float


def learn_shape(
    shape: Shape,
    budget: Budget,
    *,
    loss: str = "relativistic",
    penalty: str = "r1_r2",
    gamma: float | None = None,
    clip: float = 0.0,
    seed: int = 0,
    tell: Callable[[float, Moment], None] = lambda progress, moment: None,
) -> Played:
    """Play until the budget is spent, and judge the averaged generator by points that nobody has seen.

    loss, penalty: names in LOSSES and PENALTIES. gamma: where it starts, instead of what suits the penalty; its end
    keeps the proportion. clip: largest absolute weight of the discriminator, 0 for any. tell: called at every moment.
    """
    torch.manual_seed(seed)
    real = Points(shape, 100_000, seed)
    start, end = GAMMAS.get(penalty, GAMMA)
    first = start if gamma is None else gamma
    game = NoiseGame(
        PointGenerator(),
        PointDiscriminator(),
        LATENT,
        loss=loss,
        penalty=penalty,
        gamma=geometric(first, first * end / start),
        penalty_fraction=1.0,
        clip=clip,
    )
    trainer = Loop(
        game,
        real,
        Engine("cpu", "fp32"),
        budget=budget,
        optimizer=OptimizerOptions(lr=2e-3, lr_end=2e-5),
        training=TrainingOptions(batch=BATCH, ema=AVERAGED, seed=seed),
    )
    moments: list[Moment] = []
    began, sums, since = time.monotonic(), dict[str, float](), 0
    while (progress := trainer.progress) < 1:
        parts = trainer.play_step(progress)
        trainer.seconds = time.monotonic() - began
        since += 1
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + float(value)
        if progress * MOMENTS >= len(moments) or trainer.progress >= 1:
            losses = {name: value / since for name, value in sums.items()}
            moments.append(_moment(trainer, losses))
            sums, since = {}, 0
            tell(trainer.progress, moments[-1])
    made = latents.generate(trainer.averages["generator"], latents.draw(JUDGED, LATENT, seed), None)
    unseen = Points(shape, JUDGED, seed + 1).points
    return Played(shape, moments, real.points[:SHOWN], judged(shape, made, unseen), trainer.step, trainer.seconds)


def judged(shape: Shape, made: Tensor, unseen: Tensor) -> dict[str, Figure]:
    """Say how well a shape was learnt: of points that belong to it, and of it that is reached; modes, if it has any."""
    made = made.nan_to_num(FAR, FAR, -FAR)  # who has run off is nowhere near
    ours, theirs = Neighbourhood.of(made.double()), Neighbourhood.of(unseen.double())
    figures: dict[str, Figure] = {"precision": precision(ours, theirs), "coverage": coverage(ours, theirs)}
    if shape.centres is None:
        return figures
    distances = torch.cdist(made, shape.centres)
    near, mode = distances.min(1)
    good = near <= NEAR * shape.deviation
    counts = torch.bincount(mode[good], minlength=len(shape.centres)).double()
    found, n = int((counts > 0).sum()), len(made)
    figures["high quality"] = Figure.of_share(int(good.sum()), n)
    figures["modes"] = Figure(found, found, found, n)
    figures["reverse KL"] = reverse_kl(counts)
    return figures


def reverse_kl(counts: Tensor) -> Figure:
    """Return sum p log(k p), p being the shares of k equally frequent modes: KL(generated, real) over modes.

    counts (k,): samples near each mode, the high-quality ones alone (Lin et al. 2018, "PacGAN", whose code takes log k
    minus the entropy of just these). It is between 0 and log k, infinite if there are none, and (k - 1) / 2n in the
    mean for n samples of the right distribution: 0.005 for 2,500 over 25 modes.
    """
    n, k = counts.sum(), len(counts)
    if n == 0:
        return Figure(math.inf, math.inf, math.inf, 0)
    shares = counts.double() / n
    surprise = (k * shares).clamp(min=1e-300).log()
    value = float(shares @ surprise)
    # First order: how much the surprise varies; it vanishes at equal shares, where 2 n KL is chi-squared (k - 1).
    first, second = float(shares @ surprise.square()) - value**2, (k - 1) / 2 / float(n)
    return Figure.around(value, math.sqrt(max(first + second, 0) / float(n)), int(n), floor=0.0)


def _moment(trainer: Loop, losses: dict[str, float]) -> Moment:
    made = latents.generate(trainer.averages["generator"], latents.draw(SHOWN, LATENT, 0), None)
    axis = torch.linspace(-EXTENT, EXTENT, FIELD)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    places = torch.stack([x, y], 2).view(-1, 2).requires_grad_()
    logits = trainer.game.discriminator(places)
    (slope,) = torch.autograd.grad(logits.sum(), places)
    return Moment(
        trainer.step,
        trainer.progress,
        made,
        logits.detach().view(FIELD, FIELD),
        slope.view(FIELD, FIELD, 2),
        losses,
    )
