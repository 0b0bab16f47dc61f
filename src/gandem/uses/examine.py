"""A quick judgement while a training goes on: a few numbers for the referee, from the same latents every time.

It looks at training samples, so that the held-out ones stay unseen until the verdict; only the discriminator's gap
needs those, and no weights are chosen by it.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gandem import latents
from gandem.domains.domain import Codec, Dataset, Features
from gandem.game.modes import looking
from gandem.game.noise_game import ask
from gandem.judge.distances import frechet_value
from gandem.judge.figure import Z
from gandem.training.loop import Loop

FEW = 500
"""Samples of the raw generator, and of each kind that the discriminator is asked about, but half of all at most."""
FEWEST = 50
"""Held-out samples by which the gap is measured at least; its AUC is then right to within 0.1, and on average right."""
MEASURED = 64
"""Samples that the machine is measured with."""
HOPELESS = 1e12
"""Distance of samples that are not finite."""


class Examiner:
    """Called as examiner(trainer) -> the numbers of `EXAMINED`, which the tables of the referee explain.

    gap: (E D(x) - E D(v)) / (E D(x) - E D(g)) for training x, held-out v, generated g: 0 if the discriminator knows
    nothing by heart, 1 if it takes held-out samples for generated ones (Karras et al. 2020, r_v). Where the players are
    even that divides noise by noise, so the divisor is at least twice the 1.96 standard errors of the dividend: what
    may be chance is never above 0.5. It needs no particular loss; NaN with fewer than FEWEST held-out samples.
    """

    def __init__(
        self, features: Features, training: Dataset, held_out: Dataset, latent: int, samples: int, seed: int
    ) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.features = features
        self.codec: Codec = training.codec
        self.training, self.held_out = training, held_out
        rows = torch.randperm(training.count, generator=rng)[:samples]
        decoded, labels = training.samples(rows)
        self.few = min(FEW, max(samples // 2, 100))
        self.known = torch.randperm(len(training), generator=rng)[: self.few]
        self.unseen = torch.randperm(len(held_out), generator=rng)[: self.few] if len(held_out) >= FEWEST else None
        self.real = features(decoded)
        self.labels = None if labels is None else torch.from_numpy(labels)
        self.latents = latents.draw(len(rows), latent, seed)

    def __call__(self, trainer: Loop) -> dict[str, float]:
        """Examine the averaged generator of a trainer."""
        drawn = self._drawn(trainer.averages["generator"], len(self.latents))
        drawn_raw = self._drawn(trainer.game.players["generator"], self.few)
        if not (drawn.isfinite().all() and drawn_raw.isfinite().all()):
            return {
                "distance": HOPELESS,
                "spread": 0.0,
                "sensitivity": 0.0,
                "raw_distance": HOPELESS,
                "gap": math.nan,
            }
        made, raw = (self.features(self.codec.decode(samples)) for samples in (drawn, drawn_raw))
        between = _pairs(self.real)
        return {
            "distance": frechet_value(made, self.real),
            "spread": float(made.var(0).sum() / self.real.var(0).sum().clamp_min(1e-12)),
            "sensitivity": _pairs(made) / between,
            "raw_distance": float((raw - made[: len(raw)]).norm(dim=1).mean()) / between,
            "gap": self._gap(trainer, drawn_raw),
        }

    def _drawn(self, generator: nn.Module, count: int) -> Tensor:
        """Return what a generator makes of the first latents."""
        labels = None if self.labels is None else self.labels[:count]
        with looking(generator):
            return latents.generate(generator, self.latents[:count], labels)

    def _gap(self, trainer: Loop, made: Tensor) -> float:
        if self.unseen is None:
            return math.nan
        x = _realness(trainer, self.training.batch(self.known))
        v = _realness(trainer, self.held_out.batch(self.unseen))
        g = _realness(trainer, {"real": made} | ({} if self.labels is None else {"label": self.labels[: self.few]}))
        whole, known = float(x.mean() - g.mean()), float(x.mean() - v.mean())
        chance = Z * math.sqrt(float(x.var() / len(x) + v.var() / len(v)))
        return known / max(whole, 2 * chance, 1e-12)


def cost(features: Features, training: Dataset, generator: nn.Module, latent: int) -> float:
    """Return the GFLOP that it takes to make one sample and look at it."""
    with FlopCounterMode(display=False) as counter:
        _look(features, training, generator, latent, 2)
    return counter.get_total_flops() / 2e9


def seconds(features: Features, training: Dataset, generator: nn.Module, latent: int) -> float:
    """Return the seconds that it takes here to make one sample and look at it, as one of many."""
    _look(features, training, generator, latent, 2)  # the first time is slower
    began = time.monotonic()
    _look(features, training, generator, latent, MEASURED)
    return (time.monotonic() - began) / MEASURED


def _look(features: Features, training: Dataset, generator: nn.Module, latent: int, count: int) -> None:
    _, labels = training.samples(torch.arange(count) % training.count)
    asked = None if labels is None else torch.from_numpy(labels)
    features(training.codec.decode(latents.generate(generator, latents.draw(count, latent, 0), asked)))


@torch.no_grad()
def _realness(trainer: Loop, batch: dict[str, Tensor]) -> Tensor:
    """Return what the discriminator says of n samples, float64, with all its features and no other effect.

    One logit a sample, or a pack: then what fills no pack at the end is passed over.
    """
    device, discriminator = trainer.engine.device, trainer.game.players["discriminator"]
    pack = trainer.game.packing
    whole = len(batch["real"]) // pack * pack
    parts = zip(*(tensor[:whole].split(latents.BATCH * pack) for tensor in batch.values()), strict=True)
    logits = []
    with looking(discriminator):
        for part in parts:
            given = dict(zip(batch, part, strict=True))
            label = given["label"].to(device) if "label" in given else None
            logits.append(ask(discriminator, given["real"].to(device), label).flatten().cpu().double())
    return torch.cat(logits)


def _pairs(rows: Tensor) -> float:
    """Mean distance between neighbours in a list of independent rows."""
    return max(float((rows[1:] - rows[:-1]).norm(dim=1).mean()), 1e-12)
