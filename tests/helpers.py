"""Small things that tests, and the processes which tests start, are built from."""

from importlib import resources

import torch
from torch import nn

from gandem.domains.images import IMAGES
from gandem.domains.images.networks import build_networks
from gandem.domains.images.store import ImageData
from gandem.game.noise_game import NoiseGame
from gandem.recipe import DataOptions, NetworkOptions, OptimizerOptions, TrainingOptions
from gandem.spec import SampleSpec
from gandem.training.budget import Budget
from gandem.training.engine import Engine
from gandem.training.loop import Loop

LATENT = 16


def shipped() -> ImageData:
    """The pictures that ship with gandem."""
    with resources.as_file(resources.files("gandem") / "data" / "fashion_4000.npz") as path:
        return IMAGES.read(path, DataOptions(), None, None)


def first(data: ImageData, count: int) -> ImageData:
    """The first `count` of some pictures."""
    return ImageData(data.images[:count], data.labels[:count], data.spec)


def perturb(*modules: nn.Module) -> None:
    """Move every weight off its initial value: the layers that start at zero hide what stands behind them."""
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=rng).to(parameter.device))


def tiny_game(spec: SampleSpec, **options: object) -> NoiseGame:
    """A game of the narrowest networks, the same every time."""
    torch.manual_seed(0)
    generator, discriminator = build_networks(spec, NetworkOptions(width=16, latent=LATENT))
    perturb(generator, discriminator)
    return NoiseGame(generator, discriminator, LATENT, **options)


def tiny_trainer(data: ImageData, budget: Budget, seed: int = 0, precision: str = "fp32", **options: float) -> Loop:
    """A trainer of that game with batches of 16, augmentation on and no warm-up."""
    return Loop(
        tiny_game(data.spec, augmentation=0.5),
        data,
        Engine("cpu", precision),
        budget=budget,
        optimizer=OptimizerOptions(warmup=0),
        training=TrainingOptions(batch=16, seed=seed, **options),
    )
