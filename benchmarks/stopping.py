"""Does the referee stop at the right time? A training to its full length, and what it is where the referee ends it.

    python benchmarks/stopping.py fashion --minutes 6 --seeds 0 1
    python benchmarks/stopping.py adult --minutes 6 --seeds 0 1

The full training keeps a checkpoint of every quick judgement. Its oracle is the averaged generator among these with the
smallest kernel distance, found with features and real samples that no training has seen: of images as
benchmarks/images.py has them, of tables the ranks of numbers among the test rows and their categories. The stopped
training is the full one up to the judgement at which the referee says "settled": the referee is nothing but rules on
numbers, so the judgements are told to it again. From that checkpoint it goes on to its own end. Right is a stopped
training whose kernel distance is within 10 % of the oracle's, or that cannot be told from it at this count: the
interval of the difference holds 0. Leaves benchmarks/results/stopping-<task>-seed<seed>.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import rows
import torch
from images import make_judge
from judge import kernel_figure
from measured import RESULTS, save_result
from sources import TASKS, load_task, write_training_file

import gandem
from gandem import latents
from gandem.referee.referee import Referee, Ruling
from gandem.run import write_json
from gandem.training import checkpoint
from gandem.training.checkpoint import Checkpoint
from gandem.training.loop import Loop, Recorder

WITHIN = 1.1
COMMON = 0.005
"""Share of the test rows that a category must have to be a feature."""


@dataclass(frozen=True)
class Subject:
    """Real samples in a file, the settings they are trained with, and who judges `count` samples that a run made."""

    name: str
    source: Path
    settings: dict[str, Any]
    count: int
    kernel_distance: Callable[[gandem.Run, np.ndarray], dict[str, Any]]
    features: str


def of_images(name: str, data: Path, work: Path) -> Subject:
    """Return images and their judge."""
    task = load_task(name, data)
    judging = make_judge(task, work)
    source = write_training_file(task, work / f"{name}-training.npz")
    settings = {"data.mirror": task.mirror}
    return Subject(
        name, source, settings, task.count, lambda _, made: judging.kernel_distance(made), judging.fingerprint
    )


def of_rows(name: str, data: Path, work: Path) -> Subject:
    """Return four fifths of a table, and a judge who knows the last fifth."""
    train, test, _ = rows.load(name, data)
    source, aside = work / f"{name}-training.csv", work / f"{name}-made.csv"
    train.write_csv(source)

    def kernel_distance(run: gandem.Run, samples: np.ndarray) -> dict[str, Any]:
        run.codec.given(samples).write_csv(aside)
        made = pl.read_csv(aside, schema_overrides=train.schema).select(test.columns)
        (ours, theirs), categorical = rows.numbers([made, test])
        return kernel_figure(*seen([ours, theirs], theirs, categorical))

    return Subject(name, source, {}, min(len(train), 10_000), kernel_distance, "ranks and categories")


def seen(tables: list[np.ndarray], reference: np.ndarray, categorical: np.ndarray) -> list[torch.Tensor]:
    """Return features (n, d), mean 0 and deviation 1 over the reference: ranks, common categories, what is missing."""
    columns: list[list[np.ndarray]] = []
    for index, names in enumerate(categorical):
        known = reference[:, index]
        each = [table[:, index] for table in tables]
        if names:
            values, counts = np.unique(known, return_counts=True)
            columns += [[part == value for part in each] for value in values[counts >= COMMON * len(known)]]
            continue
        ordered = np.sort(known[~np.isnan(known)])
        ranks = [np.searchsorted(ordered, part, "left") + np.searchsorted(ordered, part, "right") for part in each]
        columns.append([np.where(np.isnan(part), len(ordered), rank) for part, rank in zip(each, ranks, strict=True)])
        if np.isnan(known).any():
            columns.append([np.isnan(part) for part in each])
    features = [torch.tensor(np.stack(part, 1), dtype=torch.float64) for part in zip(*columns, strict=True)]
    deviation, mean = torch.std_mean(features[-1], 0)
    return [(part - mean) / deviation.clamp(min=1e-6) for part in features]


@contextmanager
def keeping(folder: Path) -> Iterator[None]:
    """Save a checkpoint of every quick judgement under `folder`, each in a folder of its own."""
    judge = Loop._judge

    def judged(self: Loop, recorder: Recorder, progress: float) -> Ruling:
        ruling = judge(self, recorder, progress)
        tensors, numbers = self.state()
        numbers |= {"seed": self.options.seed, "events_bytes": 0, "grown": self.referee.grown}
        checkpoint.save(folder / f"{self.images:012d}", tensors, numbers)
        return ruling

    with patch.object(Loop, "_judge", judged):
        yield


def train(subject: Subject, out: Path, minutes: float, seed: int) -> gandem.Run:
    """Train to the full length; checkpoints of its judgements lie under out/judged."""
    aside = out.with_name(f"{out.name}-judged")
    for old in (out, aside):
        shutil.rmtree(old, ignore_errors=True)
    settings = subject.settings | {"referee.stop": False}
    with keeping(aside):
        run = gandem.train(subject.source, out, budget=f"{minutes:g}m", seed=seed, settings=settings)
    aside.rename(out / "judged")
    return run


def moments(run: gandem.Run) -> list[Checkpoint]:
    """Return the checkpoints of the judgements of a full training; of the tensors only the averaged generator."""
    folders = sorted((run.path / "judged").iterdir())
    return [checkpoint.load(checkpoint.paths(folder)[0], {"generator_ema"}) for folder in folders]


def progress(moment: Checkpoint) -> float:
    """Return the part of the budget that was spent at a judgement."""
    return float(moment.numbers["referee"]["judgements"][-1]["progress"])


def distance(run: gandem.Run, subject: Subject, moment: Checkpoint | None = None) -> dict[str, Any]:
    """Return the kernel distance of samples of a run, or of what it was at a judgement."""
    generator = run.generator()
    if moment is not None:
        checkpoint.load_weights(generator, moment.tensors["generator_ema"])
    noise = latents.draw(subject.count, run.recipe.network.latent, 0)
    made = latents.generate(generator, noise, run.told(subject.count).inputs)
    return subject.kernel_distance(run, run.codec.decode(made))


def judging_seconds(run: gandem.Run) -> dict[str, Any]:
    """Return what all quick judgements of a run took together, and the final one."""
    events = map(json.loads, (run.path / "events.jsonl").read_text(encoding="utf-8").splitlines())
    quick = [event["seconds"] for event in events if event["event"] == "judged"]
    return {"judgements": len(quick), "quick": sum(quick), "final": run.report["evaluation"].get("seconds", 0.0)}


def settles(moment: Checkpoint) -> bool:
    """Whether the referee, which was told not to stop, would have said "settled" at this judgement."""
    referee = Referee(1, stop=True, grown=moment.numbers["grown"])
    referee.load_state(moment.numbers["referee"])
    return referee.has_settled(progress(moment))


def ended_at(run: gandem.Run, moment: Checkpoint, out: Path) -> gandem.Run:
    """Let a copy of the full training settle at a judgement, and play to its own end."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(run.path, out, ignore=shutil.ignore_patterns("judged", "checkpoints"))
    referee = moment.numbers["referee"] | {"settled": progress(moment)}
    for images in {moment.numbers["images"], referee["best"]} - {None}:  # the best is the way back
        saved = checkpoint.load(checkpoint.paths(run.path / "judged" / f"{images:012d}")[0])
        checkpoint.save(out / "checkpoints", saved.tensors, saved.numbers | {"referee": referee}, keep=images)
    copy = gandem.open_run(out)
    write_json(out / "report.json", copy.report | {"status": "interrupted"})
    return gandem.resume(out)


def compare(subject: Subject, run: gandem.Run) -> dict[str, Any]:
    """Say how a full training went, and how it ends where the referee settles it."""
    kept = moments(run)
    if not kept:
        raise SystemExit("the training is too short for quick judgements: give it more --minutes")
    course = [(progress(each), distance(run, subject, each)) for each in kept]
    part, best = min(course, key=lambda each: each[1]["value"])
    settled = next((each for each in kept if settles(each)), None)
    stopped = run if settled is None else ended_at(run, settled, run.path.with_name(f"{run.path.name}-stopped"))
    found: dict[str, Any] = {"seed": run.recipe.training.seed, "minutes": run.report["budget"]["seconds"] / 60}
    for name, each in (("full", run), ("stopped", stopped)):
        report = each.report
        found[name] = {
            "judging": judging_seconds(each),
            "ended": report["referee"]["ended"],
            "images": report["images"],
            "part": min(report["seconds"] / report["budget"]["seconds"], 1.0),
            "kernel_distance": distance(each, subject),
        }
    found["settled"] = settled and progress(settled)
    found["course"] = [(at, each["value"]) for at, each in course]
    found["judged"] = [(each["progress"], each["distance"]) for each in kept[-1].numbers["referee"]["judgements"]]
    found["oracle"] = {"part": part, "kernel_distance": best}
    own = found["stopped"]["kernel_distance"]
    error = math.hypot(best["high"] - best["value"], own["high"] - own["value"])
    found["right"] = own["value"] <= max(WITHIN * best["value"], best["value"] + error)
    return found


def main() -> None:
    """Compare every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=(*TASKS, *rows.TABLES))
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--again", action="store_true", help="take the full trainings of the last time")
    parser.add_argument("--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"))
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()

    options.work.mkdir(parents=True, exist_ok=True)
    read = of_images if options.task in TASKS else of_rows
    subject = read(options.task, Path(options.data), options.work)
    for seed in options.seeds:
        out = options.work / f"{subject.name}-full-seed{seed}"
        run = gandem.open_run(out) if options.again else train(subject, out, options.minutes, seed)
        row = compare(subject, run)
        print({key: value for key, value in row.items() if key not in ("course", "judged")}, flush=True)
        figures = {"minutes": row["minutes"], "trainings": [row], "features": subject.features}
        save_result(f"stopping-{subject.name}-seed{seed}", figures, seed=seed, folder=options.results)


if __name__ == "__main__":
    main()
