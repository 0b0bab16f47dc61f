"""Stacked MNIST: three random digits as the colours of one picture, 1,000 modes. How many come out, and how evenly?

    python benchmarks/stacked_mnist.py --minutes 45 --seeds 0 1 --arms real gandem dcgan
    python benchmarks/tables.py

The protocol of Srivastava et al. 2017 (VEEGAN) and Lin et al. 2018 (PacGAN): 128,000 stacks of training digits without
labels, 26,000 samples, each colour named by a classifier of real digits. KL is that from the distribution over modes to
the uniform one; 26,000 perfect samples have about 999 / 52,000 = 0.019, since they are counted. The arm "real" stacks
test digits: what classifier and counting alone do. Leaves benchmarks/results/stacked-<arm>-seed<seed>.json and a grid.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

import judge
import numpy as np
import torch
import unrolled_dcgan
from images import DEVICE
from measured import RESULTS, save_result
from PIL import Image
from sources import read_idx
from textbook_dcgan import train_dcgan

import gandem

STACKS, SAMPLES, MODES, EPOCHS = 128_000, 26_000, 1000, 8
ARMS = ("real", "gandem", "dcgan", "unrolled", "unrolled_gandem")
"""The last two are tiny networks that are known to collapse, in the game of their paper and in gandem's."""
Digits = tuple[np.ndarray, np.ndarray]


def stack(digits: np.ndarray, count: int, seed: int | np.random.Generator) -> np.ndarray:
    """Draw three digits for each of `count` pictures; uint8 (count, 28, 28, 3)."""
    rows = np.random.default_rng(seed).integers(0, len(digits), (count, 3))
    return np.concatenate([digits[rows[:, place]] for place in range(3)], axis=3)


def classifier(training: Digits, test: Digits, work: Path) -> tuple[judge.Encoder, float]:
    """Return a network that names single digits, and its accuracy on the test digits."""
    path = work / "digits.safetensors"
    encoder = judge.cached(path, judge.Encoder(1, 28, 10), DEVICE)
    if encoder is None:
        print("training the classifier of digits", flush=True)
        encoder = judge.fit_classifier(*training, 10, epochs=EPOCHS, seed=0, device=DEVICE)
        judge.keep(path, encoder)
    return encoder, judge.correct(encoder, *test, DEVICE) / len(test[1])


@torch.no_grad()
def modes(encoder: judge.Encoder, images: np.ndarray) -> np.ndarray:
    """Return the mode 0..999 of every picture, by the digit of each colour."""
    named = [
        torch.cat(
            [
                encoder(judge.to_tensor(part, DEVICE)).argmax(1).cpu()
                for part in np.array_split(images[..., [place]], 52)
            ]
        )
        for place in range(3)
    ]
    return (100 * named[0] + 10 * named[1] + named[2]).numpy()


def counted(found: np.ndarray) -> dict[str, Any]:
    """Return the modes that occur, and sum p log(1000 p) over them in nats, with a bootstrap interval."""

    def divergence(rows: np.ndarray) -> float:
        shares = np.bincount(rows, minlength=MODES) / len(rows)
        shares = shares[shares > 0]
        return float((shares * np.log(MODES * shares)).sum())

    rng = np.random.default_rng(0)
    error = float(np.std([divergence(found[rng.integers(0, len(found), len(found))]) for _ in range(200)]))
    value = divergence(found)
    kl = {"value": value, "low": value - 1.96 * error, "high": value + 1.96 * error, "n": len(found)}
    return {"modes": len(np.unique(found)), "kl": kl}


def make(arm: str, training: np.ndarray, test: np.ndarray, minutes: float, seed: int, work: Path) -> Any:
    """Return (samples, facts of the training) of one arm."""
    if arm == "real":
        return stack(test, SAMPLES, seed), {}
    if arm == "dcgan":
        made = train_dcgan(stack(training, STACKS, seed), None, seconds=60 * minutes, seed=seed, device=DEVICE)
        return made.sample(SAMPLES, None, seed), {"images": made.images, "seconds": made.seconds}
    if arm == "unrolled":
        sample, images = unrolled_dcgan.train(
            lambda rng: stack(training, unrolled_dcgan.BATCH, rng), seconds=60 * minutes, seed=seed
        )
        return sample(SAMPLES), {"images": images, "seconds": 60 * minutes}
    file, out = work / "stacked.npz", work / f"stacked-{arm}-seed{seed}"
    np.savez(file, images=stack(training, STACKS, seed))
    shutil.rmtree(out, ignore_errors=True)
    if arm == "unrolled_gandem":
        torch.manual_seed(seed)
        networks = unrolled_dcgan.generator(), unrolled_dcgan.discriminator()
        game = gandem.NoiseGame(*networks, unrolled_dcgan.LATENT)
        run = gandem.Trainer(game, file, out, seed=seed).fit(f"{minutes:g}m")
    else:
        run = gandem.train(file, out, budget=f"{minutes:g}m", seed=seed)
    report = run.report
    facts = {key: report["plan"][key] for key in ("width", "batch", "precision", "parameters_generator")}
    facts |= {"images": report["images"], "seconds": report["seconds"]}
    facts["verdict"] = report["evaluation"]["verdict"]["verdict"]
    return run.sample_array(SAMPLES, seed=seed)[0], facts


def main() -> None:
    """Train, sample, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"))
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()

    options.work.mkdir(parents=True, exist_ok=True)
    folder = Path(options.data) / "images" / "mnist"
    training, test = read_idx(folder, "train"), read_idx(folder, "t10k")
    encoder, accuracy = classifier(training, test, options.work)
    print(f"the classifier names {accuracy:.2%} of the test digits", flush=True)
    for seed in options.seeds:
        for arm in options.arms:
            made, facts = make(arm, training[0], test[0], options.minutes, seed, options.work)
            figures = {"arm": arm, "minutes": options.minutes, "classifier_accuracy": accuracy, "training": facts}
            figures |= counted(modes(encoder, made))
            print(arm, seed, {key: figures[key] for key in ("modes", "kl")}, flush=True)
            save_result(f"stacked-{arm}-seed{seed}", figures, seed=seed, folder=options.results)
            grid = np.concatenate([np.concatenate(list(row), 1) for row in made[:80].reshape(8, 10, 28, 28, 3)])
            Image.fromarray(grid).save(options.results / f"stacked-{arm}-seed{seed}.png")


if __name__ == "__main__":
    main()
