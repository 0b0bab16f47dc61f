"""Can the verdict of `gandem augment` be trusted? Trials whose answer is known, and then real tables.

    python -m benchmarks.augmentation trials nulls --count 100
    python -m benchmarks.augmentation trials planted --count 100
    python -m benchmarks.augmentation tables --data FOLDER german_credit:credit_risk mammography:class
    python -m benchmarks.augmentation images --data FOLDER pneumonia fashion-1 fashion-5 cifar-1 cifar-5

A trial draws a problem of its own: 8,000 rows of mixed columns with gaps, of which 800 are shown (`tangled`: eight
clumps a class; `wide`: 80 columns that all matter a little). Learners: a small tree and logistic regression.
Nulls, on `tangled`:

- copies: the training rows again, drawn with replacement. Nothing that the learner did not have.
- shuffled: every column drawn by itself within the class. Not quite a null: if columns happen to be independent given
  the class, that is what naive Bayes assumes, and may help. Every HELPS counts as a false alarm nevertheless.
- chance: labels without any relation to the rows, and fresh rows of the same kind. Nothing can help, exactly.

Of images fashion-1 is one in a hundred of the 60,000 that Fashion-MNIST has to learn from, cifar-5 five in a hundred of
50,000, evenly of all classes.

The planted gain (fresh), on `wide`: the other 7,200 real rows are given back, as many as an amount asks for, "x9" about
all of them. The mean gain stands beside the share found.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.base import BaseEstimator
from sklearn.datasets import make_classification
from sklearn.tree import DecisionTreeClassifier

import gandem
from benchmarks.measured import RESULTS, commit, load_results, save_result
from benchmarks.sources import read_idx
from gandem.augmentation.arms import AMOUNTS, FREE, Generator
from gandem.augmentation.controls import Copies, Fresh, Shuffled
from gandem.augmentation.experiment import Experiment
from gandem.augmentation.folder import FOLDS as LOG
from gandem.augmentation.learners import Learner
from gandem.augmentation.problem import Problem
from gandem.augmentation.splits import splits
from gandem.augmentation.statistics import HELPS
from gandem.augmentation.verdict import verdict
from gandem.judge.figure import Figure

ROWS, SHOWN, COLUMNS, WIDE = 8000, 800, 8, 80
FOLDS = 5

LOGISTIC = Learner("logistic regression", lambda categorical, seed: QuickLogistic(categorical))
TREE = Learner(
    "tree",
    lambda categorical, seed: DecisionTreeClassifier(
        max_depth=5, min_samples_leaf=10, max_features="sqrt", random_state=0
    ),
)
LEARNERS = (TREE, LOGISTIC)
"""Quick enough for hundreds of trials; in every fold the better one is asked."""


class QuickLogistic(BaseEstimator):
    """Logistic regression with weight decay, by Newton's method; checks are most of scikit-learn's time here."""

    def __init__(self, categorical: np.ndarray) -> None:
        self.categorical = categorical

    def fit(self, rows: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None = None) -> QuickLogistic:
        self.classes_ = np.array([0, 1])
        self.known_ = [np.unique(rows[:, at][~np.isnan(rows[:, at])]) for at in np.flatnonzero(self.categorical)]
        numbers = rows[:, ~self.categorical]
        self.mean_, self.deviation_ = np.nanmean(numbers, 0), np.nanstd(numbers, 0)
        inputs = self._inputs(rows)
        weight = np.ones(len(rows)) if sample_weight is None else sample_weight
        self.slope_ = np.zeros(inputs.shape[1])
        for _ in range(6):
            p = self._positive(inputs)
            gradient = inputs.T @ (weight * (p - labels)) + self.slope_
            self.slope_ -= np.linalg.solve(
                (inputs * (weight * p * (1 - p))[:, None]).T @ inputs + np.eye(len(self.slope_)), gradient
            )
        return self

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        p = self._positive(self._inputs(rows))
        return np.stack([1 - p, p], 1)

    def _positive(self, inputs: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-np.clip(inputs @ self.slope_, -30, 30)))

    def _inputs(self, rows: np.ndarray) -> np.ndarray:
        numbers = np.nan_to_num((rows[:, ~self.categorical] - self.mean_) / self.deviation_)
        columns = zip(np.flatnonzero(self.categorical), self.known_, strict=True)
        one_hot = [rows[:, [at]] == known for at, known in columns]
        return np.hstack([np.ones((len(rows), 1)), numbers, *one_hot])


def wide(seed: int) -> tuple[Problem, Fresh]:
    """Return the shown rows of a drawn problem of many columns that all matter a little, and the others."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(ROWS, WIDE))
    rows[:, 0] = rng.integers(0, 4, ROWS)
    direction = rng.normal(size=WIDE)
    score = 3 * rows @ direction / np.linalg.norm(direction)
    labels = (score + rng.logistic(size=ROWS) > 2.4).astype(np.int64)
    shown = Problem(rows[:SHOWN], labels[:SHOWN], ("common", "rare"), np.arange(WIDE) == 0)
    return shown, Fresh(rows[SHOWN:], labels[SHOWN:])


def tangled(seed: int, by_chance: bool = False) -> tuple[Problem, Fresh]:
    """Return the shown rows of a drawn problem of clumps, and the others."""
    rng = np.random.default_rng(seed)
    rows, labels = make_classification(
        ROWS, COLUMNS, n_informative=6, n_redundant=0, n_clusters_per_class=8, class_sep=1.5, flip_y=0.02,
        weights=[0.7], random_state=seed,
    )  # fmt: skip
    rows[:, 0] = np.digitize(rows[:, 0], [-1, 0, 1])
    rows[rng.random(rows.shape) < 0.02] = np.nan
    if by_chance:
        labels = rng.permutation(labels)
    shown = Problem(rows[:SHOWN], labels[:SHOWN].astype(np.int64), ("common", "rare"), np.arange(COLUMNS) == 0)
    return shown, Fresh(rows[SHOWN:], labels[SHOWN:].astype(np.int64))


Generators = dict[str, tuple[Generator, tuple[str, ...]]]


def played(shown: Problem, generators: Generators, seed: int, repeats: int) -> dict[str, Any]:
    """Return the verdict about each generator, all on the same splits with the same free arms."""
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in generators}
    for split in splits(shown, FOLDS, repeats, seed):
        known = None
        for name, (generator, amounts) in generators.items():
            known = Experiment(shown, generator, LEARNERS, FREE, amounts).play(split, known=known)
            records[name].append(known)
    return {name: brief(verdict(found)) for name, found in records.items()}


def brief(facts: dict[str, Any]) -> dict[str, Any]:
    kept = ("verdict", "because", "baseline", "difference", "smallest", "worth")
    return {key: facts[key] for key in kept} | {"answers": {arm: each["answer"] for arm, each in facts["arms"].items()}}


def null_trial(seed: int, repeats: int) -> dict[str, Any]:
    shown, _ = tangled(seed)
    by_chance, more = tangled(seed, by_chance=True)
    generators: Generators = {"copies": (Copies(), AMOUNTS), "shuffled": (Shuffled(), AMOUNTS)}
    by_chance_found = played(by_chance, {"chance": (more, AMOUNTS)}, seed, repeats)
    return played(shown, generators, seed, repeats) | by_chance_found


def planted_trial(seed: int, repeats: int) -> dict[str, Any]:
    shown, others = wide(seed)
    return played(shown, {"fresh": (others, (*AMOUNTS, "x9"))}, seed, repeats)


TRIALS = {"nulls": null_trial, "planted": planted_trial}


def summary(trials: list[dict[str, Any]], repeats: int) -> dict[str, Any]:
    found: dict[str, Any] = {"trials": len(trials), "shown": SHOWN, "rows": ROWS, "folds": FOLDS}
    found["repeats"] = repeats
    for kind in trials[0]:
        words = Counter(each[kind]["verdict"] for each in trials)
        gains = [each[kind]["difference"]["value"] for each in trials]
        found[kind] = {
            "verdicts": dict(words.most_common()),
            "helps": Figure.of_share(words[HELPS], len(trials)).to_dict(),
            "gain": {"mean": float(np.mean(gains)), "lowest": min(gains), "highest": max(gains)},
            "smallest": float(np.mean([each[kind]["smallest"] for each in trials])),
            "arms that help, alone": dict(
                Counter(arm for each in trials for arm, said in each[kind]["answers"].items() if said == HELPS)
            ),
        }
    return found


def run_trials(kind: str, count: int, repeats: int, work: Path, folder: Path) -> None:
    """Play trials that are not in the log yet; the result is written anew after every tenth."""
    work.mkdir(parents=True, exist_ok=True)
    told = f"{kind}-repeats{repeats}"
    log = work / f"{told}.jsonl"
    known = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    for seed in range(len(known), count):
        began = time.process_time()
        known.append(TRIALS[kind](seed, repeats))
        with log.open("a") as file:
            file.write(json.dumps(known[-1]) + "\n")
        said = {name: each["verdict"] for name, each in known[-1].items()}
        print(seed, f"{time.process_time() - began:.1f} s", said, flush=True)
        if len(known) % 10 == 0:
            save_result(f"augmentation-{told}", summary(known, repeats), folder=folder)
    save_result(f"augmentation-{told}", summary(known, repeats), folder=folder)


def of_tables(sources: list[str], data: Path, work: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield name, file and target of every table."""
    for source in sources:
        name, _, target = source.partition(":")
        yield source, data / "tables" / f"{name}.csv", target


IMAGES = {"pneumonia": "medical/pneumoniamnist.npz", "fashion": "fashion_mnist", "cifar": "cifar10/cifar10_subset.npz"}
WHOLE = {"fashion": 60_000, "cifar": 50_000}


def of_images(sources: list[str], data: Path, work: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield name, file and target of every set of images; the file is made of the images that are set aside."""
    for source in sources:
        name, _, percent = source.partition("-")
        path = data / "images" / IMAGES[name]
        if path.is_dir():
            images, labels = read_idx(path, "train")
        else:
            with np.load(path) as file:
                images, labels = file["train_images"], file["train_labels"].ravel()
        if percent:
            each = WHOLE[name] * int(percent) // 1000
            rows = np.concatenate([np.flatnonzero(labels == label)[:each] for label in range(10)])
            images, labels = images[rows], labels[rows]
        made = work / f"{source}.npz"
        made.parent.mkdir(parents=True, exist_ok=True)
        np.savez(made, images=images, labels=labels)
        yield source, made, "labels"


def ask(what: str, sources: Iterable[tuple[str, Path, str]], work: Path, folder: Path, **asked: Any) -> None:
    """Ask of every source whether gandem's own generator helps, whatever the answer is; what was stopped goes on.

    Answers for other sources that the result has already stay, each with its commit, if they were asked for alike.
    """
    record = load_results(folder).get(f"augmentation-{what}")
    answers: dict[str, Any] = {}
    if record is not None and all(record["figures"][key] == value for key, value in asked.items()):
        answers = {name: {"commit": record["commit"]} | each for name, each in record["figures"][what].items()}
    for source, path, target in sources:
        name = path.stem
        facts = gandem.augment(path, target, out=work / name, watch=tell, **asked)
        kept = ("verdict", "sentence", "baseline", "difference", "smallest", "calibration", "worth", "arms", "beside")
        kept += ("amounts", "learner", "curve", "table", "counts", "folds", "margin")
        answers[source] = {"commit": commit()} | {key: facts[key] for key in kept}
        answers[source]["seconds"] = sum(json.loads(line)["seconds"] for line in (work / name / LOG).open())
        save_result(f"augmentation-{what}", asked | {what: answers}, folder=folder)


def tell(event: dict[str, Any]) -> None:
    for line in event.get("text", []):
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    trials = commands.add_parser("trials")
    trials.add_argument("kind", choices=TRIALS)
    trials.add_argument("--count", type=int, default=100)
    trials.add_argument("--repeats", type=int, default=4, help="how often five folds are dealt; gandem's default is 4")
    tables, images = commands.add_parser("tables"), commands.add_parser("images")
    tables.add_argument("sources", nargs="+", help="NAME:TARGET of a .csv file in the folder of tables")
    images.add_argument("sources", nargs="+", help="pneumonia, or fashion-N, cifar-N: N in a hundred of it")
    for each in (tables, images):
        each.add_argument("--data", type=Path, required=True)
        each.add_argument("--budget", default="1m")
        each.add_argument("--folds", type=int, default=5)
        each.add_argument("--repeats", type=int, default=4)
    for each in (trials, tables, images):
        each.add_argument("--work", type=Path, default=Path("runs/benchmarks/augmentation"))
        each.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.what == "trials":
        sklearn.set_config(skip_parameter_validation=True)  # a good part of the time of scores on a hundred rows
        run_trials(options.kind, options.count, options.repeats, options.work, options.results)
    else:
        asked = {key: getattr(options, key) for key in ("budget", "folds", "repeats")}
        read = {"tables": of_tables, "images": of_images}[options.what]
        sources = read(options.sources, options.data, options.work)
        ask(options.what, sources, options.work, options.results, **asked)


if __name__ == "__main__":
    main()
