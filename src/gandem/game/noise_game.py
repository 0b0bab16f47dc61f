"""The game of noise against data: a generator turns latents into samples, a discriminator tells them from real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.utils.flop_counter import FlopCounterMode

from gandem.errors import RecipeError, known
from gandem.game.augmentation import DRAWS, augment
from gandem.game.growth import FULL_SIZE, Growth, Stage, enlarge, halve
from gandem.game.losses import LOSSES, Loss, win_rate
from gandem.game.modes import looking
from gandem.game.penalties import PENALTIES, LeCam, Penalty, Term, finite_r1, squared_gradient_norm
from gandem.game.regularisation import force_norms
from gandem.game.schedules import Schedule

Batch = dict[str, Tensor]
"""Tensors with one row per sample: "real", "latent", "augment" and, when conditional, "label"."""

KINDS = ("real", "fake")
"""Samples that the discriminator tells apart, in the order in which they are scored."""

MIXING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
"""Layers by which the scores of a batch depend on one another."""

Parts = dict[str, Tensor]
"""Detached scalars that a loss is made of, for the log."""


@dataclass(frozen=True)
class Turn:
    """One player's move: the loss that its parameters are to lower, and what is done after the step.

    after: is given the parts of the loss, averaged over all processes, so that it does the same in each.
    """

    player: str
    loss: Callable[[Batch, float], tuple[Tensor, Parts]]
    after: Callable[[Parts], None] = lambda parts: None


def ask(player: nn.Module, inputs: Tensor, label: Tensor | None, **more: int) -> Tensor:
    """Call a player, with labels only where there are classes: networks without need not know of any."""
    answer: Tensor = player(inputs, **more) if label is None else player(inputs, label, **more)
    return answer


class NoiseGame:
    """Noise -> data with relativistic pairing, R1 and R2 as the default (Huang et al. 2024, "R3GAN").

    Losses are pure functions of a batch and of the progress of the budget in [0, 1]. Nothing here touches optimisers,
    devices, files or the clock.

    generator: module called as generator(latent (n, latent)) -> samples (n, ...) in [-1, 1]; where there are classes as
    generator(latent, label int64 (n,)), and the discriminator likewise.
    discriminator: module called as discriminator(samples) -> logits (n,) or (n, 1). With batch normalisation that is
    not in eval mode real and generated samples are scored in passes of their own; else no layer may mix samples. One
    with an attribute `packing` = m gives a logit for every m neighbours, and batches must divide into those.
    growth: at what size the game is played; unless always at the full one, the generator takes halvings=k as well, and
    the discriminator takes samples of every size.
    loss, penalty: names in LOSSES and PENALTIES, or others of that kind. gamma: twice the weight of the penalty, a
    number or a function of progress.
    penalty_fraction: part of the batch that it is computed on; with batch normalisation it is all of it.
    augmentation: strength in [0, 1].
    discriminator_rate: how many times faster than the generator the discriminator learns.
    critic_steps: turns of the discriminator for one of the generator (Goodfellow et al. 2014, algorithm 1).
    clip: largest absolute weight that the discriminator may have after its turn (Arjovsky et al. 2017); 0 for any.
    lecam: weight of `LeCam`, beside the penalty; 0 for none.
    likelihood: weight of -log p(x) in the generator's loss, for generators with log_likelihood(samples) -> (n,), which
    learn from the real samples themselves as well; 0 for none. opening: part of the budget, from its beginning, in
    which they learn from nothing else (as Yu et al. 2017, "SeqGAN", begin).

    dials: what may be turned while the game is played: factors on the learning rate and on gamma, the strength of
    augmentation, and the most halvings of a sample. They belong to the state of a training.
    """

    averaged = ("generator",)
    """Players of which the trainer keeps a moving average."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        latent: int = 64,
        *,
        loss: str | Loss = "relativistic",
        gamma: float | Schedule = 0.5,
        penalty: str | Penalty = "r1_r2",
        penalty_fraction: float = 0.25,
        augmentation: float = 0.0,
        discriminator_rate: float = 1.0,
        critic_steps: int = 1,
        clip: float = 0.0,
        lecam: float = 0.0,
        likelihood: float = 0.0,
        opening: float = 0.0,
        growth: Growth = FULL_SIZE,
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator
        self.packing = int(getattr(discriminator, "packing", 1))
        self.latent = latent
        self.loss = known("game.loss", loss, LOSSES) if isinstance(loss, str) else loss
        self.penalty = known("game.penalty", penalty, PENALTIES) if isinstance(penalty, str) else penalty
        if self.penalty.term is finite_r1 and any(map(_drops, discriminator.modules())):
            raise RecipeError(
                "game.penalty = 'r1_finite' would measure the dropout of the discriminator: use penalty r1, or no "
                "dropout (network.dropout = 0)"
            )
        self.schedule = gamma if callable(gamma) else lambda progress: gamma
        self.penalty_fraction = penalty_fraction
        self.critic_steps = critic_steps
        self.clip = clip
        self.lecam = lecam
        if likelihood and not hasattr(generator, "log_likelihood"):
            raise RecipeError(
                f"game.likelihood = {likelihood:g}: this generator cannot say how probable a sample is, only those "
                "of tables do; leave it out"
            )
        if opening and not likelihood:
            raise RecipeError(f"game.opening = {opening:g}: there is nothing to learn in it without game.likelihood")
        self.likelihood = likelihood
        self.opening = opening
        self.usual = LeCam(discriminator) if lecam else None
        self.growth = growth
        self.dials = {"learning rate": 1.0, "augmentation": augmentation, "halvings": growth.halvings}
        if self.schedule(0.0) > 0 and (self.penalty.at or self.penalty.term):
            self.dials["gamma"] = 1.0  # else there is nothing to turn
        self.rates = {"generator": 1.0, "discriminator": discriminator_rate}

    @property
    def players(self) -> dict[str, nn.Module]:
        """The networks that learn, by name."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Who moves in one step, in order."""
        critic = Turn("discriminator", self.discriminator_loss, self.after_critic)
        return *(critic for _ in range(self.critic_steps)), Turn("generator", self.generator_loss, self.after_generator)

    def turns_at(self, progress: float) -> tuple[Turn, ...]:
        """Who moves in one step at some progress of the budget: in the opening the generator alone."""
        alone = Turn("generator", self.opening_loss, self.after_generator)
        return (alone,) if progress < self.opening else self.turns

    @property
    def stages(self) -> list[Stage]:
        """The parts of the budget in which a step costs the same."""
        ends = {stage.end for stage in self.growth.stages} | ({self.opening} if self.opening else set())
        return [Stage(begin, end, self.growth.at(begin)) for begin, end in pairwise([0.0, *sorted(ends)])]

    @torch.no_grad()
    def after_critic(self, parts: Parts) -> None:
        """Bring what the discriminator learns into [-clip, clip], or to its norm; remember its usual scores."""
        if self.clip > 0:
            for weight in self.discriminator.parameters():
                if weight.requires_grad:
                    weight.clamp_(-self.clip, self.clip)
        force_norms(self.discriminator)
        if self.usual:
            self.usual.follow(parts["real_score"], parts["fake_score"])

    def after_generator(self, parts: Parts) -> None:
        """Bring every weight of the generator to its norm."""
        force_norms(self.generator)

    def gamma(self, progress: float) -> float:
        """Return the weight of the penalties."""
        return self.schedule(progress) * self.dials.get("gamma", 1.0)

    def halvings(self, progress: float) -> int:
        """Return how often the samples are halved now: a size that was reached is kept when the budget is extended."""
        return min(self.growth.at(progress), int(self.dials["halvings"]))

    @property
    def mixes(self) -> bool:
        """Whether the scores of a batch depend on one another: not by layers in eval mode, if they keep statistics."""
        layers = [layer for layer in self.discriminator.modules() if isinstance(layer, MIXING)]
        return any(layer.training or layer.running_mean is None for layer in layers)

    @property
    def every(self) -> int:
        """Of how many rows one is penalised: all where layers mix samples, since a part would be normalised apart."""
        return 1 if self.mixes else max(round(1 / self.penalty_fraction), 1)

    @property
    def guessing(self) -> float | None:
        """Loss of a discriminator that scores every sample 0; None where the size of the losses says nothing."""
        return None if not self.loss.bounded else float(self.loss.discriminator(torch.zeros(1), torch.zeros(1)))

    def draw(self, count: int, rng: torch.Generator) -> Batch:
        """Draw the random part of a batch."""
        return {
            "latent": torch.randn(count, self.latent, generator=rng),
            "augment": torch.rand(count, DRAWS, generator=rng),
        }

    def discriminator_loss(self, batch: Batch, progress: float) -> tuple[Tensor, Parts]:
        """Adversarial loss + gamma / 2 * penalty + lecam * LeCam.

        Penalties are taken at the samples before augmentation and on every k-th row only (`every`); where samples are
        halved they are those of samples at full size.
        """
        halvings = self.halvings(progress)
        batch = batch | {"real": halve(batch["real"], halvings)}
        with torch.no_grad():
            fake = self._generate(batch, halvings)
        # To the end with every k-th row; indices are made where they are used, so that no GPU is waited for.
        order = (torch.arange(len(fake), device=fake.device) % self.every == 0).byte().argsort(stable=True)
        batch = {name: tensor[order] for name, tensor in (batch | {"fake": fake.to(batch["real"].dtype)}).items()}
        gamma, last = self.gamma(progress), len(range(0, len(fake), self.every))
        logits, penalties = self._scores(batch, last, gamma > 0)
        # A mean of 4 values spreads the slope over them: |dD/dx|^2 is a quarter.
        penalties = {name: norm / 4**halvings for name, norm in penalties.items()}
        if (term := self.penalty.term) is not None:
            penalties["penalty"] = (
                self._penalty(term, batch, last, halvings) if gamma > 0 else torch.zeros_like(logits[0])
            )
        real_logits, fake_logits = logits.chunk(2)
        adversarial = self.loss.discriminator(real_logits, fake_logits)
        regularisation = gamma / 2 * sum(penalties.values(), torch.zeros_like(adversarial))
        parts = {"adversarial": adversarial, **penalties, "regularisation": regularisation}
        parts["win_rate"] = win_rate(real_logits, fake_logits)
        loss = adversarial + regularisation
        if self.usual:
            parts |= {"real_score": real_logits.mean(), "fake_score": fake_logits.mean()}
            parts["lecam"] = self.usual(real_logits, fake_logits)
            loss = loss + self.lecam * parts["lecam"]
        return loss, {name: part.detach() for name, part in parts.items()}

    def generator_loss(self, batch: Batch, progress: float) -> tuple[Tensor, Parts]:
        """Adversarial loss of the generator against fresh real samples + likelihood * -log p(real)."""
        label, halvings = batch.get("label"), self.halvings(progress)
        fake = self._generate(batch, halvings).to(batch["real"].dtype)
        fake_logits = self._score(fake, batch["augment"], label)
        real_logits = fake_logits.detach()
        if self.loss.paired:
            with torch.no_grad():
                real_logits = self._score(halve(batch["real"], halvings), batch["augment"], label)
        adversarial = self.loss.generator(real_logits, fake_logits)
        if not self.likelihood:
            return adversarial, {"adversarial": adversarial.detach()}
        surprise, parts = self.opening_loss(batch, progress)
        return adversarial + surprise, parts | {"adversarial": adversarial.detach()}

    def opening_loss(self, batch: Batch, progress: float) -> tuple[Tensor, Parts]:
        """Likelihood * -log p(real)."""
        surprise = -self.generator.log_likelihood(batch["real"]).mean()  # type: ignore[operator]
        return self.likelihood * surprise, {"surprise": surprise.detach()}

    def flops_per_sample(self, batch: Batch, stage: Stage | None = None) -> float:
        """Floating-point operations that one step of a stage spends on each sample of its batch (2 per multiply-add).

        With G and D the operations of one forward pass: G + 6 D for a turn of the discriminator, and what its penalty
        costs on the part of the batch that it is taken on; 3 G + 2 D for the generator's, and D for the real samples
        that a paired loss looks at.
        """
        forward = {}
        device = next(self.generator.parameters()).device  # of one's own networks it may be any
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        count, halvings = len(batch["real"]), stage.halvings if stage else 0
        calls: dict[str, Callable[[], Tensor]] = {
            "generator": lambda: self._generate(batch, halvings),
            "discriminator": lambda: ask(self.discriminator, halve(batch["real"], halvings), batch.get("label")),
        }
        for player, call in calls.items():
            with looking(self.players[player]), FlopCounterMode(display=False) as counter, torch.no_grad():
                call()
            forward[player] = counter.get_total_flops() / count
        critic = 6 + self.penalty.cost / self.every
        scored = self.critic_steps * critic + 2 + self.loss.paired
        if stage and stage.begin < self.opening:
            return 3 * forward["generator"]
        made = self.critic_steps + 3 + 3 * (self.likelihood > 0)
        return made * forward["generator"] + scored * forward["discriminator"]

    def effort(self, batch: Batch) -> Callable[[float], float]:
        """Return the work up to some progress of a budget that counts samples, in FLOP for each sample of it."""
        parts = [(stage, self.flops_per_sample(batch, stage)) for stage in self.stages]
        return lambda progress: sum(flops * max(min(progress, stage.end) - stage.begin, 0.0) for stage, flops in parts)

    def _generate(self, batch: Batch, halvings: int) -> Tensor:
        """Return what the generator makes; modules that always make the full size need not know of any other."""
        smaller = {"halvings": halvings} if halvings else {}
        return ask(self.generator, batch["latent"], batch.get("label"), **smaller)

    def _scores(self, batch: Batch, last: int, sloped: bool) -> tuple[Tensor, Parts]:
        """Return the logits of all real, then of all fake packs, (2 n,), and the penalties at the samples themselves.

        Those are taken at the last rows, which are scored in a pass of their own, once for loss and penalty.
        """
        at, count = self.penalty.at, len(batch["fake"])
        first = {kind: count - last if kind in at else count for kind in KINDS}
        logits: dict[str, list[Tensor]] = {kind: [] for kind in KINDS}
        means = {kind: torch.zeros((), device=batch["fake"].device) for kind in at}
        groups = [(kind,) for kind in KINDS] if self.mixes else [KINDS]
        for kinds, penalised in product(groups, (False, True)):
            ends = {kind: (first[kind], count) if penalised else (0, first[kind]) for kind in kinds}
            rows = {kind: slice(begin, end) for kind, (begin, end) in ends.items() if begin < end}
            if not rows:
                continue
            slopes = penalised and sloped
            points = torch.cat([batch[kind][part] for kind, part in rows.items()]).requires_grad_(slopes)
            drawn = {
                key: torch.cat([batch[key][part] for part in rows.values()])
                for key in ("augment", "label")
                if key in batch
            }
            scores = self._score(points, drawn["augment"], drawn.get("label"))
            sizes = [len(batch["fake"][part]) // self.packing for part in rows.values()]
            for kind, some in zip(rows, scores.split(sizes), strict=True):
                logits[kind].append(some)
            if slopes:
                norms = squared_gradient_norm(scores, points).split(sizes)
                means |= {kind: some.mean() for kind, some in zip(rows, norms, strict=True)}
        names = {"real": "r1", "fake": "r2"}
        return torch.cat([*logits["real"], *logits["fake"]]), {names[kind]: means[kind] for kind in at}

    def _penalty(self, term: Term, batch: Batch, last: int, halvings: int) -> Tensor:
        """Return the mean of a penalty that scores points of its own, which are made from the last rows."""
        rows = {name: tensor[-last:] for name, tensor in batch.items()}

        def score(points: Tensor) -> Tensor:
            return self._score(halve(points, halvings), rows["augment"], rows.get("label"))

        return term(score, enlarge(rows["real"], halvings), enlarge(rows["fake"], halvings)).mean()

    def _score(self, samples: Tensor, draws: Tensor, label: Tensor | None) -> Tensor:
        """Return the logits of augmented samples, of which there may be several for each row of draws and labels."""
        times = len(samples) // len(draws)
        label = None if label is None else label.repeat(times)
        seen = augment(samples, draws.repeat(times, 1), self.dials["augmentation"])
        return ask(self.discriminator, seen, label).float().flatten()


def _drops(layer: nn.Module) -> bool:
    """Whether a layer drops anything."""
    return isinstance(layer, _DropoutNd) and layer.training and layer.p > 0
