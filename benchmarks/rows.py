"""Tables: gandem beside CTGAN and TVAE at their own defaults, independent columns and real rows, on the same split.

    python benchmarks/rows.py adult --rows 600k --seeds 0 1 2
    python benchmarks/rows.py adult --arms ctgan tvae --seeds 0      # pip install ctgan, which is not free software
    python benchmarks/rows.py german --folds --arms gandem real      # how useful, with every row a test row once

A fifth of the rows is never shown to anybody and judges all: by a gradient-boosted classifier that tells made rows
from real ones (AUC, of equal counts, each row scored by a model that has not seen it), by a classifier that is trained
on made rows and tested on real ones, and by the total variation of all pairs of columns. Categories that are absent are
counted in as many made rows as there are test rows, and in these: rare ones are absent from real rows too. Time is that
of the processor in seconds, so that other programs beside it do not matter. Leaves benchmarks/results/rows-*.json.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import torch
from measured import RESULTS, save_result
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, train_test_split

import gandem
from gandem.judge.figure import Z
from gandem.judge.two_sample import delong

TABLES = {
    "adult": ("adult.csv", "income", "600k"),
    "credit": ("credit_default_uci.csv", "default.payment.next.month", "1200k"),
    "german": ("german_credit.csv", "credit_risk", "100k"),
    "mammography": ("mammography.csv", "class", "1200k"),
}
"""File, target, and the rows that gandem is shown."""
PARTS, MISSING = 10, "missing"
GAPS = (MISSING, "NaN")
"""What stands for a missing value, as text."""
Table = pl.DataFrame


def load(name: str, folder: Path, fold: int | None = None) -> tuple[Table, Table, str]:
    """Return (training rows, test rows, target): a fifth, stratified, is for the test; a random one, or one of five."""
    file, target, _ = TABLES[name]
    frame = pl.read_csv(folder / "tables" / file, infer_schema_length=None)
    texts = [column for column in frame.columns if frame[column].dtype == pl.String]
    frame = frame.with_columns(pl.col(texts).str.strip_chars().replace("?", None))
    classes = frame[target].cast(pl.String).to_numpy()
    train, test = train_test_split(np.arange(len(frame)), test_size=0.2, random_state=0, stratify=classes)
    if fold is not None:
        train, test = list(StratifiedKFold(5, shuffle=True, random_state=0).split(classes, classes))[fold]
    return frame[np.sort(train)], frame[np.sort(test)], target


def by_gandem(train: Table, target: str, work: Path, budget: str, seed: int) -> tuple[Callable[[int], Table], dict]:
    source, out = work / "rows-train.csv", work / "rows-run"
    train.write_csv(source)
    shutil.rmtree(out, ignore_errors=True)
    trained = [0.0]

    def watch(event: dict) -> None:
        if event["event"] == "finished":
            trained[0] = time.process_time()

    run = gandem.train(source, out, budget=budget, seed=seed, watch=watch)
    verdict = run.report.get("evaluation", {}).get("verdict", {}).get("verdict")
    facts = {"budget": budget, "verdict": verdict, "judging_cpu_seconds": time.process_time() - trained[0]}

    def sample(count: int) -> Table:
        run.codec.given(run.sample_array(count, seed=seed)[0]).write_csv(work / "rows-made.csv")
        return pl.read_csv(work / "rows-made.csv", schema_overrides=train.schema)

    return sample, facts


def by_library(name: str) -> Callable[..., tuple[Callable[[int], Table], dict]]:
    def fit(train: Table, target: str, work: Path, budget: str, seed: int) -> tuple[Callable[[int], Table], dict]:
        import ctgan

        np.random.seed(seed)
        torch.manual_seed(seed)
        frame = train.to_pandas()
        texts = [column for column in train.columns if train[column].dtype == pl.String or column == target]
        model = {"ctgan": ctgan.CTGAN, "tvae": ctgan.TVAE}[name]()
        frame[texts] = frame[texts].fillna(MISSING)  # they take no missing values
        model.fit(frame, discrete_columns=texts)
        return lambda count: pl.from_pandas(model.sample(count)), {"version": ctgan.__version__}

    return fit


def independent(train: Table, target: str, work: Path, budget: str, seed: int) -> tuple[Callable[[int], Table], dict]:
    rng = np.random.default_rng(seed)
    columns = [train[name].gather(rng.permutation(len(train))) for name in train.columns]
    return lambda count: pl.DataFrame(columns).head(count), {}


def real(train: Table, target: str, work: Path, budget: str, seed: int) -> tuple[Callable[[int], Table], dict]:
    """The training rows themselves: what no generator can be better than."""
    return lambda count: train.sample(min(count, len(train)), shuffle=True, seed=seed), {}


ARMS = {"gandem": by_gandem, "ctgan": by_library("ctgan"), "tvae": by_library("tvae")} | {
    "independent": independent,
    "real": real,
}


def numbers(tables: list[Table]) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the same columns as numbers, NaN for missing, and which of them are categories."""
    columns, categorical = [], []
    for name in tables[0].columns:
        parts = [table[name] for table in tables]
        texts = any(part.dtype == pl.String for part in parts)
        if texts:
            parts = [part.cast(pl.String).fill_null(MISSING) for part in parts]
            known = {text: place for place, text in enumerate(sorted({text for part in parts for text in part}))}
            columns.append([np.array([known[text] for text in part], float) for part in parts])
        else:
            columns.append([part.cast(pl.Float64).fill_null(float("nan")).to_numpy() for part in parts])
        categorical.append(texts and len(known) <= 255)
    return [np.stack(each, 1) for each in zip(*columns, strict=True)], np.array(categorical)


def told_apart(made: np.ndarray, test: np.ndarray, categorical: np.ndarray) -> dict[str, float]:
    """AUC of made against real rows, equally many, each scored by a model of the other folds."""
    count = min(len(made), len(test))
    rows = np.concatenate([made[:count], test[:count]])
    labels = np.repeat([1, 0], count)
    scores = np.zeros(2 * count)
    for learn, score in StratifiedKFold(3, shuffle=True, random_state=0).split(rows, labels):
        model = HistGradientBoostingClassifier(categorical_features=categorical, random_state=0)
        scores[score] = model.fit(rows[learn], labels[learn]).predict_proba(rows[score])[:, 1]
    area, variance = delong(torch.from_numpy(scores[:count]), torch.from_numpy(scores[count:]))
    error = Z * variance**0.5
    return {"value": area, "low": area - error, "high": area + error, "n": count}


def useful(made: np.ndarray, test: np.ndarray, categorical: np.ndarray, place: int) -> dict[str, float | None]:
    """AUC and average precision on real rows of a model that learnt the target from made rows."""
    others = np.arange(made.shape[1]) != place
    rare = min(np.unique(test[:, place]), key=lambda value: (test[:, place] == value).sum())
    learnt = made[:, place] == rare
    if learnt.all() or not learnt.any():
        return {"value": None, "average_precision": None}
    model = HistGradientBoostingClassifier(categorical_features=categorical[others], random_state=0)
    scores = model.fit(made[:, others], learnt).predict_proba(test[:, others])[:, 1]
    truth = test[:, place] == rare
    area, variance = delong(torch.from_numpy(scores[truth]), torch.from_numpy(scores[~truth]))
    error = Z * variance**0.5
    precision = float(average_precision_score(truth, scores))
    return {"value": area, "low": area - error, "high": area + error, "n": len(test), "average_precision": precision}


def pairs(made: np.ndarray, test: np.ndarray, categorical: np.ndarray) -> float:
    """Return 1 - the mean total variation of the joint frequencies of two columns; numbers in ten equal parts."""
    codes = []
    for column, names in enumerate(categorical):
        both = [np.nan_to_num(rows[:, column], nan=-1e18) for rows in (made, test)]
        known = np.unique(both[1])
        if not names and len(known) > 2 * PARTS:
            edges = np.unique(np.quantile(both[1], np.linspace(0, 1, PARTS + 1)))[1:-1]
            codes.append([np.searchsorted(edges, each, side="right") for each in both])
        else:
            every = np.unique(np.concatenate(both))
            codes.append([np.searchsorted(every, each) for each in both])
    shares = []
    for one, other in combinations(codes, 2):
        width = 1 + max(each.max() for each in other)
        joint = [a * width + b for a, b in zip(one, other, strict=True)]
        counts = [np.bincount(each, minlength=1 + max(map(np.max, joint))) / len(each) for each in joint]
        shares.append(1 - np.abs(counts[0] - counts[1]).sum() / 2)
    return float(np.mean(shares))


def absent(rows: Table, train: Table) -> int:
    """Count the categories of training rows that none of some other rows has."""
    lost = 0
    for column in train.columns:
        if train[column].dtype == pl.String:
            texts = [table[column].cast(pl.String).fill_null(MISSING) for table in (train, rows)]
            lost += len(set(texts[0]) - set(texts[1]))
    return lost


def gaps(made: Table, test: Table) -> dict[str, float]:
    """Return by how many points the shares of rows differ in which a column, or two together, are missing: the most."""
    together = [_missing_together(rows) for rows in (made, test)]
    differences = 100 * np.abs(together[0] - together[1])
    pairs_of = differences[np.triu_indices(len(differences), 1)]
    return {"column": float(differences.diagonal().max()), "pair": float(pairs_of.max(initial=0.0))}


def _missing_together(rows: Table) -> np.ndarray:
    """Return the share of rows (c, c) in which two columns are missing, on the diagonal that of one."""
    missing = np.stack(
        [(rows[name].cast(pl.String).fill_null(MISSING).is_in(GAPS)).to_numpy() for name in rows.columns]
    )
    return missing.astype(float) @ missing.T / len(rows)


def nonsense(name: str, made: Table, train: Table) -> dict[str, int]:
    """Count rows that cannot be."""
    found = {"categories lost": absent(made, train)}
    if name == "adult":
        right = dict(zip(train["education"], train["education-num"], strict=True))
        wrong = [right.get(a) != b for a, b in zip(made["education"], made["education-num"], strict=True)]
        found |= {"education violated": sum(wrong), "negative gains": int((made["capital-gain"] < 0).sum())}
    return found


def fold_by_fold(options: argparse.Namespace, arm: str, budget: str) -> None:
    """Save how useful an arm is on each fifth of a table; of folds the number is the seed."""
    found = []
    for fold in range(5):
        train, test, target = load(options.table, Path(options.data), fold)
        place = train.columns.index(target)
        began = time.process_time()
        sample, facts = ARMS[arm](train, target, options.work, budget, fold)
        seconds = time.process_time() - began
        (made, tested), categorical = numbers([sample(len(train)).select(train.columns), test])
        categorical[place] = False
        found.append({"useful": useful(made, tested, categorical, place), "cpu_seconds": seconds} | facts)
        print(arm, fold, found[-1], flush=True)
    save_result(f"folds-{options.table}-{arm}", {"folds": found}, folder=options.results)


def main() -> None:
    """Measure every arm with every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=sorted(TABLES))
    parser.add_argument("--arms", nargs="+", choices=sorted(ARMS), default=["gandem", "independent", "real"])
    parser.add_argument("--rows", help="rows that gandem is shown, or a time such as 1m")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folds", action="store_true", help="only how useful rows are, on each fifth of the table")
    parser.add_argument("--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"))
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()

    torch.set_num_threads(1)
    train, test, target = load(options.table, Path(options.data))
    options.work.mkdir(parents=True, exist_ok=True)
    budget = options.rows or TABLES[options.table][2]
    place = train.columns.index(target)
    for arm in options.arms if options.folds else []:
        fold_by_fold(options, arm, budget)
    for seed in [] if options.folds else options.seeds:
        for arm in options.arms:
            began = time.process_time()
            sample, facts = ARMS[arm](train, target, options.work, budget, seed)
            fitted = time.process_time()
            frame = sample(len(train)).select(train.columns)
            (made, tested), categorical = numbers([frame, test])
            names = categorical.copy()
            names[place] = False
            found = {
                "seed": seed,
                "cpu_seconds": fitted - began,
                "sampling_cpu_seconds": time.process_time() - fitted,
                "told_apart": told_apart(made, tested, categorical),
                "useful": useful(made, tested, categorical, place),
                "pairs": pairs(made, tested, categorical),
                "target_share": _share(frame[target], _rare(test[target])),
                "real_target_share": _share(test[target], _rare(test[target])),
                "nonsense": nonsense(options.table, frame, train),
                "absent": {
                    "made": absent(frame.head(len(test)), train),
                    "real": absent(test, train),
                    "rows": len(test),
                },
                "gaps": gaps(frame, test),
                **facts,
            }
            print(arm, found, flush=True)
            suffix = f"-{budget}" if arm == "gandem" and options.rows else ""
            save_result(f"rows-{options.table}-{arm}{suffix}-seed{seed}", found, seed=seed, folder=options.results)


def _share(values: pl.Series, text: str) -> float:
    return float((values.cast(pl.String) == text).mean() or 0.0)


def _rare(values: pl.Series) -> str:
    counts = values.cast(pl.String).value_counts()
    return str(counts.sort("count")[values.name][0])


if __name__ == "__main__":
    main()
