"""Never lose a run: trainings with one thing wrong each. Does the referee see it, how soon, and does the run recover?

    python benchmarks/faults.py fashion --seeds 0 1 2 3
    python benchmarks/tables.py

Beside every faulty training stands a healthy one of the same data, seed and budget: a ruling there is a false alarm.
The budget counts images, about as many as a quiet core sees in a minute, so that other programs change nothing. A fault
counts as seen at the first warning about the data, ruling, or trouble in the referee's words; where the data are wrong
the training is given up at that warning. The score is the Frechet distance of the final judgement, on held-out samples.
Leaves benchmarks/results/faults-<task>-seed<seed>.json; with --faults the others stay as they are in it.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from measured import RESULTS, load_results, save_result
from sources import Task, load_task

import gandem
from gandem import api
from gandem.errors import GandemError
from gandem.game.noise_game import NoiseGame

Images = np.ndarray
INJECTED_AT = 0.5
SCORE = "frechet_distance"
BUDGETS = {"fashion": 30_000, "mnist": 30_000, "faces": 12_000}
"""Images, by task."""


class Seen(Exception):
    """What is wrong with the data was told; nobody wants to know what becomes of the training."""


@contextmanager
def nothing() -> Iterator[None]:
    """Leave the game as it is."""
    yield


@contextmanager
def changed_game(change: Callable[[NoiseGame], None]) -> Iterator[None]:
    """Change every game that is built."""
    build = api.build_game

    def faulty(*arguments: Any) -> NoiseGame:
        game = build(*arguments)
        change(game)
        return game

    with patch.object(api, "build_game", faulty):
        yield


def inject_nan(game: NoiseGame) -> None:
    """Put a NaN into one weight of the discriminator at half of the budget, once."""
    loss, done = game.discriminator_loss, [False]

    def faulty(batch: dict[str, torch.Tensor], progress: float) -> Any:
        if progress >= INJECTED_AT and not done[0]:
            done[0] = True
            next(game.discriminator.parameters()).data[0] = float("nan")
        return loss(batch, progress)

    game.discriminator_loss = faulty  # type: ignore[method-assign]


def freeze_generator(game: NoiseGame) -> None:
    """Let the generator learn at the rate 0."""
    game.rates["generator"] = 0.0


def one_image(images: Images, labels: np.ndarray | None) -> tuple[Images, np.ndarray | None]:
    """Repeat one image."""
    return images[:1].repeat(len(images), 0), labels


def scaled_twice(images: Images, labels: np.ndarray | None) -> tuple[Images, np.ndarray | None]:
    """Divide by 255 once too often."""
    return (images / 255).round().astype(np.uint8), labels


def wrong_labels(images: Images, labels: np.ndarray | None) -> tuple[Images, np.ndarray | None]:
    """Give the images of one class random labels."""
    if labels is None:
        return images, None
    random = np.random.default_rng(0).integers(0, labels.max() + 1, len(labels))
    return images, np.where(labels == 0, random, labels)


FAULTS: dict[str, dict[str, Any]] = {
    "healthy": {},
    "rate x 10": {"settings": {"optimizer.lr": 1e-2, "optimizer.lr_end": 1e-3}, "recoverable": True},
    "gamma / 100": {"settings": {"game.gamma": 0.01, "game.gamma_end": 0.001}, "recoverable": True},
    "NaN in a weight": {"game": inject_nan, "recoverable": True},
    "one image only": {"data": one_image},
    "frozen generator": {"game": freeze_generator},
    "one class mislabelled": {"data": wrong_labels},
    "scaled twice": {"data": scaled_twice},
}
"""What is wrong, by name: other settings, a changed game, or changed data."""


def train(task: Task, fault: str, seed: int, work: Path) -> dict[str, Any]:
    """Train once and say what the referee said."""
    wrong = FAULTS[fault]
    images, labels = wrong.get("data", lambda *both: both)(task.training, task.labels)
    source, out = work / f"{task.name}-faulty.npz", work / f"{task.name}-faulty"
    np.savez(source, images=images, **({} if labels is None else {"labels": labels}))
    shutil.rmtree(out, ignore_errors=True)
    events: list[dict[str, Any]] = []

    def watch(event: dict[str, Any]) -> None:
        events.append(event)
        if "data" in wrong and warnings_of(event):
            raise Seen

    change = wrong.get("game")
    with changed_game(change) if change else nothing():
        try:
            gandem.train(
                source,
                out,
                budget=str(BUDGETS[task.name]),
                seed=seed,
                settings={"data.mirror": task.mirror, **wrong.get("settings", {})},
                watch=watch,
            )
        except Seen:
            return {"fault": fault, "seed": seed, **seen(events), **dict.fromkeys(("ended", "verdict", SCORE))}
        except GandemError as error:
            print(error)
    report = gandem.open_run(out).report
    judged = report.get("evaluation", {})
    found = {
        "ended": report["referee"]["ended"],
        "verdict": judged.get("verdict", {}).get("verdict"),
        SCORE: judged["judgement"]["rows"]["generated"][SCORE] if "judgement" in judged else None,
    }
    return {"fault": fault, "seed": seed, **seen(events), **found}


def warnings_of(event: dict[str, Any]) -> list[str]:
    """Return what a data report warns of."""
    return [line for line in event["text"] if "WARNING" in line] if event["event"] == "data" else []


def seen(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how far after the first step the first trouble was told, in which words, and all rulings."""
    rulings = [event for event in events if event["event"] == "ruling"]
    troubles: list[tuple[float, str]] = []
    for event in events:
        troubles += [(0.0, line) for line in warnings_of(event)]
    progress = began = 0.0
    for event in events:
        if event["event"] == "progress":
            began = began or event["progress"]
            progress = event["progress"] - began
            if event["state"].split(":")[0] not in ("learning", "settled"):
                troubles.append((progress, event["state"]))
        if event["event"] == "ruling" and event["action"] != "settle":
            troubles.append((progress, event["reason"]))
    first = min(troubles, default=(None, None))
    acted = [event for event in rulings if event["action"] != "settle"]
    kept = [{key: event[key] for key in ("action", "reason", "images")} for event in rulings]
    return {"seen_at": first[0], "said": first[1], "acted": bool(acted), "rulings": kept}


def main() -> None:
    """Train every fault with every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("fashion", "mnist", "faces"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--faults", nargs="+", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"))
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()

    task = load_task(options.task, options.data)
    options.work.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        name = f"faults-{task.name}-seed{seed}"
        known = load_results(options.results).get(name, {"figures": {"trainings": []}})["figures"]["trainings"]
        rows = [row for row in known if row["fault"] not in options.faults]
        for fault in options.faults:
            if fault == "one class mislabelled" and task.labels is None:
                continue
            rows.append(train(task, fault, seed, options.work))
            print(rows[-1], flush=True)
            figures = {"images": BUDGETS[task.name], "trainings": rows}
            save_result(name, figures, seed=seed, folder=options.results)


if __name__ == "__main__":
    main()
