"""Equal minutes: gandem and the textbook DCGAN learn from the same images, and the same judge looks at both.

    python benchmarks/images.py fashion --minutes 15 --seeds 0 1 2
    python benchmarks/images.py mnist --minutes 5 --seeds 0
    python benchmarks/images.py faces --minutes 30 --seeds 0 --arms gandem dcgan

The arm "real" puts real images in the place of generated ones: the best that any generator can hope for. Every arm and
seed leaves benchmarks/results/<task>-<arm>-seed<seed>.json and a grid of samples beside it; grids of faces go to the
--work folder, because the faces are of real people.
"""

from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import judge
import numpy as np
import torch
from judge import Judge
from measured import RESULTS, load_results, save_result
from PIL import Image
from sources import Task, load_task, write_training_file
from textbook_dcgan import train_dcgan

import gandem

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ARMS = ("real", "gandem", "dcgan")


@dataclass(frozen=True)
class Generated:
    """What an arm made: uint8 (n, H, W, C), its labels int64 (n,) if any, and how the training went."""

    images: np.ndarray
    labels: np.ndarray | None
    training: dict[str, Any]


def balanced_labels(task: Task) -> np.ndarray | None:
    """Return task.count labels, each class as often as the others, or None without classes."""
    return np.arange(task.count) % task.classes if task.classes else None


def train_gandem(task: Task, training_file: Path, work: Path, minutes: float, seed: int) -> Generated:
    """Train through the public API and sample through it."""
    out = work / f"{task.name}-gandem-seed{seed}"
    shutil.rmtree(out, ignore_errors=True)
    seen: dict[str, dict[str, Any]] = {}
    run = gandem.train(
        training_file,
        out,
        budget=f"{minutes:g}m",
        seed=seed,
        settings={"data.mirror": task.mirror},
        watch=lambda event: seen.update({event["event"]: event}),
    )
    plan, finished = seen.get("plan", {}), seen.get("finished", {})
    kept = (
        "width",
        "parameters_generator",
        "parameters_discriminator",
        "gflops_per_image",
        "precision",
        "device",
        "batch",
        "growth",
    )
    training = {key: plan[key] for key in kept if key in plan}
    training |= {key: finished[key] for key in ("images", "seconds") if key in finished}
    labels = balanced_labels(task)
    if labels is None:
        return Generated(run.sample_array(task.count, seed=seed)[0], None, training)
    images, told = run.sample_array(task.count, seed=seed)  # classes in turn
    assert told is not None and (told == labels).all()
    assert [int(name) for name in run.spec.labels] == list(range(task.classes))
    return Generated(images, labels, training)


def train_textbook(task: Task, minutes: float, seed: int) -> Generated:
    """Train the baseline on the same images for the same time."""
    dcgan = train_dcgan(task.training, task.labels, seconds=60 * minutes, seed=seed, device=DEVICE, mirror=task.mirror)
    labels = balanced_labels(task)
    training = {
        "images": dcgan.images,
        "seconds": dcgan.seconds,
        "parameters_generator": sum(weight.numel() for weight in dcgan.generator.parameters()),
        "precision": "fp32",
        "device": str(DEVICE),
    }
    return Generated(dcgan.sample(task.count, labels, seed), labels, training)


def take_real(task: Task, seed: int) -> Generated:
    """Draw real training images that the judge's features have not seen."""
    rows = np.sort(np.random.default_rng(seed).choice(task.other_rows, task.count, replace=False))
    return Generated(task.training[rows], None if task.labels is None else task.labels[rows], {})


def make_judge(task: Task, work: Path) -> Judge:
    """Train the features, or take those of the last time from the work folder."""
    path = work / f"{task.name}-features.safetensors"
    images, channels, size = task.training[task.feature_rows], task.training.shape[3], task.training.shape[1]
    encoder = judge.cached(path, judge.Encoder(channels, size, task.classes or judge.FEATURES), DEVICE)
    if encoder is None:
        print("training the judge's features on real images", flush=True)
        if task.labels is not None:
            labels = task.labels[task.feature_rows]
            encoder = judge.fit_classifier(
                images, labels, task.classes, epochs=judge.FEATURE_EPOCHS, seed=0, device=DEVICE
            )
        else:
            assert task.identities is not None
            people = task.identities[task.feature_rows]
            encoder = judge.fit_contrastive(images, people, epochs=judge.CONTRASTIVE_EPOCHS, seed=0, device=DEVICE)
        judge.keep(path, encoder)
    return Judge.of(encoder, task.reference, DEVICE)


def figures_of(task: Task, arm: str, made: Generated, judging: Judge) -> dict[str, Any]:
    """Judge what an arm made."""
    figures = {"task": task.name, "arm": arm, "training": made.training, "features": judging.fingerprint}
    figures |= judging.distances(made.images)
    if made.labels is None or task.labels is None or task.reference_labels is None:
        return figures
    test = (task.reference, task.reference_labels)
    sample = judge.accuracy_figure(made.images, made.labels, *test, DEVICE)
    figures["accuracy_trained_on_it"] = sample
    if arm == "real":
        whole = judge.accuracy_figure(task.training, task.labels, *test, DEVICE)
        figures["accuracy_trained_on_all_real"] = whole
    return figures


def save_grid(made: Generated, path: Path, columns: int = 10, rows: int = 8) -> None:
    """Write the first images as one PNG; with ten classes every column is a class."""
    shown = made.images[: rows * columns]
    if made.labels is not None:
        shown = np.concatenate([made.images[made.labels == label][:rows, None] for label in range(columns)], axis=1)
    count, height, width, channels = rows * columns, *made.images.shape[1:]
    tiles = shown.reshape(count, height, width, channels).reshape(rows, columns, height, width, channels)
    grid = tiles.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)
    Image.fromarray(grid.squeeze()).resize((2 * columns * width, 2 * rows * height), Image.Resampling.NEAREST).save(
        path
    )


def print_table(task: str, folder: Path) -> None:
    """Print every result of a task, and how much nearer to the real images gandem comes than the baseline."""
    found = {name: result for name, result in load_results(folder).items() if name.startswith(f"{task}-")}
    keys = {"frechet_distance": 1, "kernel_distance": 100, "accuracy_trained_on_it": 100}
    print(f"\n{'':28}{'images':>10}{'Frechet':>20}{'kernel x100':>20}{'accuracy %':>20}")
    for name, result in found.items():
        figures = result["figures"]
        cells = [_interval(figures.get(key), scale) for key, scale in keys.items()]
        images = figures["training"].get("images", "")
        print(f"{name:28}{images:>10}" + "".join(f"{cell:>20}" for cell in cells))
    for name, result in found.items():
        other = found.get(name.replace("-gandem-", "-dcgan-"))
        if "-gandem-" in name and other:
            ratios = [
                f"{key.replace('_', ' ')} {other['figures'][key]['value'] / result['figures'][key]['value']:.2f}x lower"
                for key in ("frechet_distance", "kernel_distance")
            ]
            print(f"{name}: {', '.join(ratios)} than the textbook DCGAN")


def _interval(figure: dict[str, Any] | None, scale: float) -> str:
    if figure is None:
        return "-"
    return f"{figure['value'] * scale:.2f} ({figure['low'] * scale:.2f}-{figure['high'] * scale:.2f})"


def main() -> None:
    """Run the arms of every seed one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("fashion", "mnist", "faces"))
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"), help="default: $GANDEM_DATA"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"), help="where runs and features go")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()

    task = load_task(options.task, options.data)
    training_file = write_training_file(task, options.work / f"{task.name}-training.npz")
    judging = make_judge(task, options.work)
    grids = options.work if task.name == "faces" else options.results
    for seed in options.seeds:
        for arm in options.arms:
            if arm == "real" and seed != options.seeds[0]:
                continue  # one draw of real images is enough
            print(f"{task.name}, {arm}, seed {seed}", flush=True)
            if arm == "real":
                made = take_real(task, seed)
            elif arm == "gandem":
                made = train_gandem(task, training_file, options.work, options.minutes, seed)
            else:
                made = train_textbook(task, options.minutes, seed)
            figures = {"minutes": options.minutes} | figures_of(task, arm, made, judging)
            name = f"{task.name}-{arm}" + ("" if arm == "real" else f"-seed{seed}")
            save_result(name, figures, seed=seed, folder=options.results)
            save_grid(made, grids / f"{name}.png")
    print_table(task.name, options.results)


if __name__ == "__main__":
    main()
