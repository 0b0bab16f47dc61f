"""One recipe for everything: the default, tuned to none of five sets of images, beside four classic recipes.

    python benchmarks/classics.py --minutes 4 --seeds 0 1
    python benchmarks/tables.py

Every arm gets the same minutes and the same training images, and all are judged by the same held-out ones with the
features that ship with gandem. The classics have the settings of their papers: DCGAN with its own networks, batch
normalisation and non-saturating loss (Radford et al. 2016); on gandem's networks spectral norms with hinge loss (Miyato
et al. 2018), WGAN-GP (Gulrajani et al. 2017) and R1 alone with non-saturating loss (Mescheder et al. 2018). They had no
referee either: it watches them and does not step in. Leaves
benchmarks/results/classics-<set>-<arm>-seed<seed>.json.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import textbook_dcgan
import torch
from measured import race_options, save_result
from torch import Tensor, nn

import gandem
from gandem.run import Run

ALONE = {"referee.act": False, "referee.stop": False}
COUNT = 5_000
"""Images that are judged at most."""
CONSTANT = ALONE | {"optimizer.warmup": 0, "game.growth": 0.0, "game.augment": 0.0, "game.discriminator_rate": 1.0}
ARMS: dict[str, dict[str, Any] | None] = {
    "default": {},
    "dcgan": None,
    "sn_hinge": CONSTANT
    | {"game.loss": "hinge", "game.penalty": "none", "network.spectral_norm": True, "game.critic_steps": 5}
    | {"optimizer.lr": 2e-4, "optimizer.lr_end": 2e-4, "training.batch": 64}
    | {"optimizer.beta1": 0.0, "optimizer.beta2": 0.9, "optimizer.beta2_end": 0.9},
    "wgan_gp": CONSTANT
    | {"game.loss": "wasserstein", "game.penalty": "gradient_penalty", "game.gamma": 20.0, "game.gamma_end": 20.0}
    | {"game.penalty_fraction": 1.0, "game.critic_steps": 5, "training.batch": 64}
    | {"optimizer.lr": 1e-4, "optimizer.lr_end": 1e-4}
    | {"optimizer.beta1": 0.0, "optimizer.beta2": 0.9, "optimizer.beta2_end": 0.9},
    "r1": CONSTANT
    | {"game.loss": "non_saturating", "game.penalty": "r1", "game.gamma": 10.0, "game.gamma_end": 10.0}
    | {"game.penalty_fraction": 1.0, "training.batch": 64}
    | {"optimizer.lr": 1e-4, "optimizer.lr_end": 1e-4}
    | {"optimizer.beta1": 0.0, "optimizer.beta2": 0.99, "optimizer.beta2_end": 0.99},
}
"""Settings of each, by name; None for the one that brings its own networks."""
SETS: dict[str, tuple[str, dict[str, Any]]] = {
    "mnist": ("images/mnist", {}),
    "fashion": ("images/fashion_mnist", {}),
    "pneumonia": ("images/medical/pneumoniamnist.npz", {"data.held_out": 0.3}),
    "cifar": ("images/cifar10/cifar10_subset.npz", {}),
    "faces": ("faces/lfwcrop_64.zip", {}),
}
"""Where each lies, and how it is read: of a few thousand images a tenth is too little to judge by."""
NORMAL = ALONE | {"optimizer.lr": 2e-4, "optimizer.lr_end": 2e-4, "optimizer.warmup": 0, "training.batch": 64}
NORMAL |= {"optimizer.beta1": 0.5, "optimizer.beta2": 0.999, "optimizer.beta2_end": 0.999}
"""Adam as Radford et al. have it."""


class Asked(nn.Module):
    """A textbook network, which wants labels even where there are no classes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor, label: Tensor | None = None) -> Tensor:
        """Pass both on."""
        label = torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device) if label is None else label
        return self.network(inputs, label)


def source_of(name: str, root: Path, work: Path) -> Path:
    """Return what gandem reads for a set; arrays under other names are written anew."""
    path = root / SETS[name][0]
    if path.suffix != ".npz":
        return path
    with np.load(path) as file:
        images, labels = file["train_images"], file["train_labels"].ravel()
    again = work / f"classics-{name}.npz"
    np.savez(again, images=images, labels=labels)
    return again


def train(arm: str, source: Path, out: Path, minutes: float, seed: int, settings: dict[str, Any]) -> Run:
    """Train one arm through the public API."""
    shutil.rmtree(out, ignore_errors=True)
    changes = ARMS[arm]
    if changes is not None:
        return gandem.train(source, out, budget=f"{minutes:g}m", seed=seed, settings=settings | changes)
    found = gandem.inspect_source(source, settings=settings)
    side, channels, classes = found["size"]["height"], found["channels"]["count"], len(found["classes"])
    torch.manual_seed(seed)
    players = (make(side, channels, classes) for make in (textbook_dcgan.Generator, textbook_dcgan.Discriminator))
    generator, discriminator = (Asked(player) for player in players)
    game = gandem.NoiseGame(
        generator, discriminator, textbook_dcgan.LATENT, loss="non_saturating", penalty="none", gamma=0.0
    )
    trainer = gandem.Trainer(game, source, out, settings=settings | NORMAL, seed=seed, precision="auto")
    return trainer.fit(f"{minutes:g}m")


def figures_of(run: Run, count: int) -> dict[str, Any]:
    """Judge a run by its held-out images and return what the table needs."""
    facts = gandem.evaluate(run, count=count)
    rows = facts["judgement"]["rows"]
    report = run.report
    return {
        "verdict": facts["verdict"]["verdict"],
        "features": facts["features"],
        "kernel_distance": rows["generated"]["kernel_distance"],
        "frechet_distance": rows["generated"]["frechet_distance"],
        "real": {name: rows["real"][name] for name in ("kernel_distance", "frechet_distance")},
        "images": report["images"],
        "seconds": report["seconds"],
        "width": report["plan"]["width"],
        "ended": report["referee"]["ended"],
    }


def main() -> None:
    """Train and judge every arm on every set, seed by seed, so that a change of the machine meets all alike."""
    options = race_options(__doc__, SETS, ARMS)
    for name in options.sets:
        source = source_of(name, Path(options.data), options.work)
        for seed in options.seeds:
            for arm in options.arms:
                out = options.work / f"classics-{name}-{arm}-seed{seed}"
                figures: dict[str, Any] = {"set": name, "arm": arm, "minutes": options.minutes}
                try:
                    run = train(arm, source, out, options.minutes, seed, dict(SETS[name][1]))
                    figures |= figures_of(run, COUNT)
                except gandem.GandemError as error:
                    figures["failed"] = str(error)
                print(name, arm, seed, {key: figures.get(key) for key in ("kernel_distance", "failed")}, flush=True)
                save_result(f"classics-{name}-{arm}-seed{seed}", figures, seed=seed, folder=options.results)


if __name__ == "__main__":
    main()
