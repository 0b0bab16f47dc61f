"""Does the referee stop at the right time? The same training twice: to its full length, and until it says "converged".

    python benchmarks/stopping.py fashion --minutes 6 --seeds 0 1

The full training keeps the averaged generator of every quick judgement. Its oracle is the one of these with the
smallest kernel distance, found with features and real images that neither training has seen (as benchmarks/images.py).
Right is a stopped training whose kernel distance is within 10 % of the oracle's, or that cannot be told from it at this
count: the interval of the difference holds 0. Leaves benchmarks/results/stopping-<task>-seed<seed>.json.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

from images import make_judge
from judge import Judge
from measured import RESULTS, save_result
from sources import Task, load_task, write_training_file
from torch import nn

import gandem
from gandem import latents
from gandem.training.loop import Loop
from gandem.uses.examine import Examiner

WITHIN = 1.1


Kept = list[tuple[float, nn.Module]]
"""Progress and averaged generator of every quick judgement."""


def train(task: Task, source: Path, out: Path, minutes: float, seed: int, *, stop: bool) -> tuple[gandem.Run, Kept]:
    """Train, and return the run and the generators on its way."""
    kept: Kept = []
    examine = Examiner.__call__

    def keeping(self: Examiner, trainer: Loop) -> dict[str, float]:
        kept.append((trainer.progress, copy.deepcopy(trainer.averages["generator"]).cpu()))
        return examine(self, trainer)

    shutil.rmtree(out, ignore_errors=True)
    settings = {"data.mirror": task.mirror, "referee.stop": stop}
    with patch.object(Examiner, "__call__", keeping):
        run = gandem.train(source, out, budget=f"{minutes:g}m", seed=seed, settings=settings)
    return run, kept


def distance(run: gandem.Run, generator: nn.Module, count: int, judging: Judge) -> dict[str, Any]:
    """Return the kernel distance of `count` samples of a generator of this run."""
    labels = run.told(count).inputs
    made = latents.generate(generator, latents.draw(count, run.recipe.network.latent, 0), labels)
    return judging.kernel_distance(run.codec.decode(made))


def compare(task: Task, source: Path, work: Path, minutes: float, seed: int, judging: Judge) -> dict[str, Any]:
    """Train both ways and say how they ended."""
    found: dict[str, Any] = {"seed": seed, "minutes": minutes}
    for name, stop in (("full", False), ("stopped", True)):
        run, kept = train(task, source, work / f"{task.name}-{name}", minutes, seed, stop=stop)
        report = run.report
        found[name] = {
            "ended": report["referee"]["ended"],
            "images": report["images"],
            "part": report["seconds"] / (60 * minutes),
            "kernel_distance": distance(run, run.generator(), task.count, judging),
        }
        if name == "full" and kept:
            course = [(part, distance(run, each, task.count, judging)) for part, each in kept]
            part, oracle = min(course, key=lambda each: each[1]["value"])
            found["course"] = [(part, each["value"]) for part, each in course]
            found["oracle"] = {"part": part, "kernel_distance": oracle}
    if "oracle" not in found:
        raise SystemExit(f"{minutes:g} minutes are too short for quick judgements: give it more --minutes")
    best, own = found["oracle"]["kernel_distance"], found["stopped"]["kernel_distance"]
    error = math.hypot(best["high"] - best["value"], own["high"] - own["value"])
    found["right"] = own["value"] <= max(WITHIN * best["value"], best["value"] + error)
    return found


def main() -> None:
    """Compare every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("fashion", "mnist", "faces"))
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"))
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()

    task = load_task(options.task, options.data)
    source = write_training_file(task, options.work / f"{task.name}-training.npz")
    judging = make_judge(task, options.work)
    for seed in options.seeds:
        row = compare(task, source, options.work, options.minutes, seed, judging)
        print({key: value for key, value in row.items() if key != "course"}, flush=True)
        figures = {"minutes": options.minutes, "trainings": [row], "features": judging.fingerprint}
        save_result(f"stopping-{task.name}-seed{seed}", figures, seed=seed, folder=options.results)


if __name__ == "__main__":
    main()
