"""Few images: does augmentation that follows what the discriminator knows by heart beat none, and always the same?

    python benchmarks/small_data.py --minutes 4 --seeds 0 1
    python benchmarks/small_data.py --minutes 4 --seeds 0 1 --trained    # runs that lie in --work are not trained anew
    python benchmarks/tables.py

Three arms on the same 100 images (CIFAR-10: 500, a hundredth of it): no augmentation, always full (1.0, as in Zhao et
al. 2020), and adaptive. As many again are held out, by whose scores the adaptive one sees what is known by heart. They
and all other images of the set judge, of CIFAR-10 its test images. "cifar full" has all 10,000 images, to see what is
lost where nothing need be done; half of them taught the features, so copies are not looked for there.

The few sets are judged with features that learnt from none of them: the recipe and steps of the shipped ones without
cells and geese (11 minutes of one core, kept in --work); flowers and the CIFAR images here were never in it. The same
few real images judge all arms, so that of the difference between two arms most of their chance falls out: adaptive is
better or worse where the interval of that difference leaves out 0. Leaves
benchmarks/results/small-<set>-<arm>-seed<seed>.json.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measured import ROOT, race_options, save_result
from PIL import Image
from torch import Tensor

import gandem
from gandem.domains.given import opened
from gandem.judge.distances import _kernel, frechet_value, kernel_distance
from gandem.judge.figure import Figure, error_by_halves
from gandem.judge.memorisation import Memorisation
from gandem.run import Run, open_run
from gandem.training.checkpoint import write_atomic

ARMS: dict[str, float | str] = {"none": 0.0, "fixed": 1.0, "adaptive": "adaptive"}
FOLDERS = {"geese": "fewshot/goose_256", "flowers": "fewshot/flowers_227", "cells": "medical/bccd_wbc_128"}
FULL = "cifar full"
SETS = (*FOLDERS, "cifar", FULL)
SIDE, FEW, FEW_CIFAR, JUDGED = 32, 100, 500, 2_000


def parts_of(name: str, root: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return what is given to gandem, as the arrays of an .npz, and the images that it never sees."""
    rng = np.random.default_rng(0)
    if name in FOLDERS:
        files = sorted((root / "images" / FOLDERS[name]).rglob("*.jpg"))
        images = np.stack([small(file) for file in files])[rng.permutation(len(files))]
        return {"images": images[: 2 * FEW]}, images[2 * FEW :]
    with np.load(root / "images" / "cifar10" / "cifar10_subset.npz") as file:
        images, labels, others = file["train_images"], file["train_labels"].ravel(), file["test_images"]
    unseen = np.concatenate([np.flatnonzero(labels == label)[500:] for label in range(10)])
    chosen = np.arange(len(images)) if name == FULL else rng.permutation(unseen)[: 2 * FEW_CIFAR]
    return {"images": images[chosen], "labels": labels[chosen]}, others


def small(file: Path) -> np.ndarray:
    """Return the middle of a picture as uint8 (SIDE, SIDE, 3)."""
    picture = Image.open(file).convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def features_without(root: Path, work: Path) -> Path:
    """Return the weights of features that know neither cells nor geese."""
    path = work / "features-without-few.safetensors"
    if not path.exists():
        sys.path.append(str(ROOT / "tools"))
        from train_features import read_parts, weights_from

        parts, classes = read_parts(root)
        others = {told: part for told, part in parts.items() if not any(few in told for few in FOLDERS.values())}
        write_atomic(path, weights_from(others, classes, seed=0))
    return path


def figures_of(run: Run, others: np.ndarray, weights: Path, copies: bool) -> tuple[dict[str, Any], tuple[Tensor, ...]]:
    """Judge a run by its held-out images and others; return what the table needs, and made and real features."""
    data = run.domain.read(opened(run.data_report["path"]), run.recipe.data)
    training, held_out = data.split(float(run.recipe.data.held_out), run.codec)
    known, unseen = (part.samples(torch.arange(part.count))[0] for part in (training, held_out))
    features = run.domain.features(run.codec, weights)
    made = features(run.sample_array(JUDGED)[0])
    real = features(np.concatenate([unseen, others]) if copies else others)
    copied = Memorisation.of(made, features(known), real).copied_share() if copies else None
    figures = {
        "features": {"name": features.name, "fingerprint": features.fingerprint},
        "training": training.count,
        "judges": len(real),
        "kernel_distance": kernel_distance(made, real).to_dict(),
        "frechet_distance": frechet_value(made, real),
        "copied_share": copied and {"generated": copied.generated.to_dict(), "held_out": copied.held_out.to_dict()},
        "augmentation": augmentation_at_the_end(run),
        "images": run.report["images"],
    }
    return figures, (made, real)


def lead(ours: Tensor, theirs: Tensor, real: Tensor) -> dict[str, Any]:
    """Return how much lower the kernel distance of ours (n, d) is than that of theirs to the same real rows (m, d).

    Influence of every row to first order: what the real rows have in common falls out of the difference.
    """
    (own, *_), (other, *_) = (_kernel(rows, rows, same=True) for rows in (ours, theirs))
    (cross, crossed, _), (their_cross, their_crossed, _) = (_kernel(rows, real) for rows in (ours, theirs))
    value = float(other.mean() - 2 * their_cross.mean() - own.mean() + 2 * cross.mean())
    parts = (own - cross, other - their_cross, crossed - their_crossed)
    return Figure.around(value, 2 * sum(float(part.var()) / len(part) for part in parts) ** 0.5, len(ours)).to_dict()


def frechet_lead(ours: Tensor, theirs: Tensor, real: Tensor) -> dict[str, Any]:
    """Return how much lower the Frechet distance of ours is than that of theirs to the same real rows.

    The cubic kernel of the other distance weighs few far images most; here none counts more than by its square.
    """

    def lower(i: Tensor | slice, j: Tensor | slice, k: Tensor | slice) -> float:
        return frechet_value(theirs[j], real[k]) - frechet_value(ours[i], real[k])

    everything = slice(None)
    error = error_by_halves(lower, len(ours), len(theirs), len(real))
    return Figure.around(lower(everything, everything, everything), error, len(ours)).to_dict()


def augmentation_at_the_end(run: Run) -> float | None:
    """Return the strength that the training ended with; None if it was over before it told."""
    events = map(json.loads, (run.path / "events.jsonl").read_text(encoding="utf-8").splitlines())
    return next((event["augmentation"] for event in reversed(list(events)) if "augmentation" in event), None)


def main() -> None:
    """Train and judge every arm on every set, seed by seed, so that a change of the machine meets all alike."""
    options = race_options(__doc__, SETS, ARMS, trained="runs in --work that are finished are not trained anew")
    weights = features_without(options.data, options.work)
    for name in options.sets:
        given, others = parts_of(name, Path(options.data))
        source = options.work / f"small-{name.replace(' ', '-')}.npz"
        np.savez(source, **given)
        for seed in options.seeds:
            looked = {}
            for arm in options.arms:
                told = f"small-{name.replace(' ', '-')}-{arm}-seed{seed}"
                out, settings = options.work / told, {"data.held_out": 0.1 if name == FULL else 0.5}
                kept = options.trained and out.exists() and open_run(out).report["status"] == "finished"
                run = open_run(out) if kept else train(source, out, options.minutes, seed, arm, settings)
                figures = {"set": name, "arm": arm, "minutes": options.minutes}
                found, looked[arm] = figures_of(run, others, weights, name != FULL)
                figures |= found
                if arm == "adaptive":
                    ours, beside = looked[arm][0], {other: pair for other, pair in looked.items() if other != arm}
                    figures["lead"] = {other: lead(ours, *pair) for other, pair in beside.items()}
                    figures["frechet_lead"] = {other: frechet_lead(ours, *pair) for other, pair in beside.items()}
                said = {key: figures.get(key) for key in ("frechet_distance", "frechet_lead")}
                print(name, arm, seed, said, flush=True)
                save_result(told, figures, seed=seed, folder=options.results)


def train(source: Path, out: Path, minutes: float, seed: int, arm: str, settings: dict[str, Any]) -> Run:
    """Train an arm anew."""
    shutil.rmtree(out, ignore_errors=True)
    settings |= {"game.augment": ARMS[arm]}
    return gandem.train(source, out, budget=f"{minutes:g}m", seed=seed, settings=settings)


if __name__ == "__main__":
    main()
