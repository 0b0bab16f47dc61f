"""The game of noise against data: a generator turns latents into samples, a discriminator tells them from real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gandem.game.augmentation import DRAWS, augment
from gandem.game.losses import LOSSES, win_rate
from gandem.game.penalties import squared_gradient_norm
from gandem.game.schedules import Schedule

Batch = dict[str, Tensor]
"""Tensors with one row per sample: "real", "latent", "augment" and, when conditional, "label"."""

Parts = dict[str, Tensor]
"""Detached scalars that a loss is made of, for the log."""


@dataclass(frozen=True)
class Turn:
    """One player's move: the loss that its parameters are to lower."""

    player: str
    loss: Callable[[Batch, float], tuple[Tensor, Parts]]


class NoiseGame:
    """Noise -> data with relativistic pairing, R1 and R2 as the default (Huang et al. 2024, "R3GAN").

    Losses are pure functions of a batch and of the progress of the budget in [0, 1]. Nothing here touches optimisers,
    devices, files or the clock.

    generator: module called as generator(latent (n, latent), label (n,) or None) -> samples (n, ...) in [-1, 1].
    discriminator: module called as discriminator(samples, label) -> logits (n,); no layer may mix samples.
    gamma: weight of both penalties, by progress. penalty_fraction: part of the batch that they are computed on.
    augmentation: strength in [0, 1].
    discriminator_rate: how many times faster than the generator the discriminator learns.

    dials: what may be turned while the game is played: factors on the learning rate and on gamma, and the strength of
    augmentation. They belong to the state of a training.
    """

    averaged = ("generator",)
    """Players of which the trainer keeps a moving average."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        latent: int,
        *,
        loss: str = "relativistic",
        gamma: Schedule = lambda progress: 0.5,
        penalty_fraction: float = 0.25,
        augmentation: float = 0.0,
        discriminator_rate: float = 1.0,
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator
        self.latent = latent
        self.loss = LOSSES[loss]
        self.schedule = gamma
        self.penalty_fraction = penalty_fraction
        self.dials = {"learning rate": 1.0, "gamma": 1.0, "augmentation": augmentation}
        self.rates = {"generator": 1.0, "discriminator": discriminator_rate}

    @property
    def players(self) -> dict[str, nn.Module]:
        """The networks that learn, by name."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Who moves in one step, in order."""
        return Turn("discriminator", self.discriminator_loss), Turn("generator", self.generator_loss)

    def gamma(self, progress: float) -> float:
        """Return the weight of the penalties."""
        return self.schedule(progress) * self.dials["gamma"]

    @property
    def guessing(self) -> float:
        """Loss of a discriminator that gives every sample the same score."""
        return float(self.loss.discriminator(torch.zeros(1), torch.zeros(1)))

    def draw(self, count: int, rng: torch.Generator) -> Batch:
        """Draw the random part of a batch."""
        return {
            "latent": torch.randn(count, self.latent, generator=rng),
            "augment": torch.rand(count, DRAWS, generator=rng),
        }

    def discriminator_loss(self, batch: Batch, progress: float) -> tuple[Tensor, Parts]:
        """Adversarial loss + gamma / 2 * (R1 + R2).

        The penalties are taken at the samples before augmentation and on every k-th row only; those rows are scored
        once for both purposes.
        """
        with torch.no_grad():
            fake = self.generator(batch["latent"], batch.get("label"))
        fake = fake.to(batch["real"].dtype)
        gamma = self.gamma(progress)
        rows = torch.arange(len(fake), device=fake.device) % max(round(1 / self.penalty_fraction), 1) == 0
        scored = [self._scores(batch, fake, ~rows)] if not rows.all() else []
        scored.append(self._scores(batch, fake, rows, penalised=gamma > 0))
        real_logits = torch.cat([score.real for score in scored])
        fake_logits = torch.cat([score.fake for score in scored])
        adversarial = self.loss.discriminator(real_logits, fake_logits)
        r1, r2 = scored[-1].r1.mean(), scored[-1].r2.mean()
        parts = {"adversarial": adversarial, "r1": r1, "r2": r2, "win_rate": win_rate(real_logits, fake_logits)}
        return adversarial + gamma / 2 * (r1 + r2), {name: part.detach() for name, part in parts.items()}

    def generator_loss(self, batch: Batch, progress: float) -> tuple[Tensor, Parts]:
        """Adversarial loss of the generator against fresh real samples."""
        label, strength = batch.get("label"), self.dials["augmentation"]
        fake = self.generator(batch["latent"], label).to(batch["real"].dtype)
        fake_logits = self.discriminator(augment(fake, batch["augment"], strength), label).float()
        real_logits = fake_logits.detach()
        if self.loss.paired:
            with torch.no_grad():
                real = augment(batch["real"], batch["augment"], strength)
                real_logits = self.discriminator(real, label).float()
        adversarial = self.loss.generator(real_logits, fake_logits)
        return adversarial, {"adversarial": adversarial.detach()}

    def flops_per_sample(self, batch: Batch) -> float:
        """Floating-point operations that one step spends on each sample of its batch (2 per multiply-add).

        With G and D the operations of one forward pass: 4 G + 9 D for the two turns, and 6 D for penalties on the
        whole batch.
        """
        forward = {}
        count = len(batch["real"])
        for player, inputs in (("generator", batch["latent"]), ("discriminator", batch["real"])):
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                self.players[player](inputs, batch.get("label"))
            forward[player] = counter.get_total_flops() / count
        return 4 * forward["generator"] + (9 + 6 * self.penalty_fraction) * forward["discriminator"]

    def _scores(self, batch: Batch, fake: Tensor, rows: Tensor, *, penalised: bool = False) -> _Scores:
        """Score the chosen rows of a batch, real and fake in one forward pass."""
        real, fake = batch["real"][rows], fake[rows]
        samples = torch.cat([real, fake]).requires_grad_(penalised)
        draws = batch["augment"][rows].repeat(2, 1)
        label = batch["label"][rows].repeat(2) if "label" in batch else None
        logits = self.discriminator(augment(samples, draws, self.dials["augmentation"]), label).float()
        norms = squared_gradient_norm(logits, samples) if penalised else torch.zeros_like(logits)
        return _Scores(*logits.chunk(2), *norms.chunk(2))


@dataclass(frozen=True)
class _Scores:
    """Logits and squared gradient norms of paired samples, each (n,)."""

    real: Tensor
    fake: Tensor
    r1: Tensor
    r2: Tensor
