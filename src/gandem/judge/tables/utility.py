"""What is learnt from a table: train on generated rows, test on held-out real ones; one target, or every column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from gandem.errors import JudgeError
from gandem.judge.figure import Figure, Z
from gandem.judge.tables.boosted import classifier, learnable, regressor
from gandem.judge.tables.rows import Columns, checked, codes, some
from gandem.judge.two_sample import auc

CLASSES, ROUNDS = 8, 100
"""Most classes of a target: the frequent ones, and the others together; resamples of the tested rows."""
LEARNT, TESTED, TREES, FEW = 2_000, 2_000, 20, 20
"""Of the utility of every column: rows that are learnt from and tested, boosting rounds, resamples."""
TARGETS, WORK = (5, 40), 1_000
"""Fewest and most columns in turn; in between as many as make, times all columns, so many."""

Measure = Callable[[np.ndarray, np.ndarray], float]
"""Called as measure(truth, said) with the tested rows, or a resample of them."""


@dataclass(frozen=True)
class Utility:
    """What boosted trees that learnt from each set say of held-out real rows.

    target: the column. figures: by the name of the set, then of the measure: AUC, average precision and Brier score of
    the rarer of two classes; of more classes the AUC of one against the rest, by frequency, and the Brier score; of a
    number R2. None for a set in which the target never varies.
    """

    target: str
    figures: dict[str, dict[str, Figure] | None]


def utility(
    sets: dict[str, np.ndarray], held_out: np.ndarray, columns: Columns, target: int, *, seed: int = 0
) -> Utility:
    """Learn a column from the others in each set of rows (n, c), and test on held-out rows (m, c).

    Rows whose target is missing are passed over. Raises JudgeError when the held-out target never varies.
    """
    names = list(sets)
    *learnt, tested = codes(columns, *checked(columns, 2, **sets, held_out=held_out))
    tested = _with(tested, target)
    if len(tested) < 2 or len(np.unique(tested[:, target])) < 2:
        raise JudgeError(f"{columns.names[target]!r} never varies among the held-out rows; choose another target")
    categorical = bool(columns.categorical[target])
    classes = _classes(tested[:, target]) if categorical else None
    truth = tested[:, target] if classes is None else _grouped(tested[:, target], classes)
    found: dict[str, dict[str, Figure] | None] = {}
    for name, rows in zip(names, learnt, strict=True):
        said = _learn(_with(rows, target), tested, columns, target, classes, seed)
        if said is None:
            found[name] = None
        elif classes is None:
            found[name] = {"R2": _resampled(r_squared, truth, said, seed, len(rows))}
        else:
            found[name] = {key: each.against(len(rows)) for key, each in _scores(truth, said, seed).items()}
    return Utility(columns.names[target], found)


@dataclass(frozen=True)
class GlobalUtility:
    """How much of what real rows teach of every column from the others is learnt from another set (TabStruct's idea).

    ratio: by the name of the set, the skill summed over columns beside that of the real rows: 1 as useful, 0 useless.
    columns: which were in turn. skills: by the name of the set, of each of those: 2 AUC - 1 of a category, one class
    against the rest; the rank correlation with the truth of a number. 0 knows nothing, 1 knows all.
    """

    ratio: dict[str, Figure]
    columns: tuple[int, ...]
    skills: dict[str, tuple[float, ...]]


def global_utility(
    sets: dict[str, np.ndarray], held_out: np.ndarray, columns: Columns, *, real: str = "real", seed: int = 0
) -> GlobalUtility | None:
    """Learn every column from the others in each set of rows (n, c), on at most LEARNT of them.

    real: the name of the set that the others are measured by. Intervals are of the tested held-out rows. None when
    real rows teach nothing of any column that could not be chance.
    """
    *rows, tested = codes(columns, *checked(columns, 2, **sets, held_out=held_out))
    learnt = {name: some(those, LEARNT, seed) for name, those in zip(sets, rows, strict=True)}
    tested = some(tested, TESTED, seed)
    most = int(np.clip(WORK // len(columns), *TARGETS))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(columns))[:most])
    rounds: dict[str, list[np.ndarray]] = {name: [] for name in learnt}
    kept = []
    for target in chosen.tolist():
        there = _with(tested, target)
        if len(there) < 2 or len(np.unique(there[:, target])) < 2:
            continue
        kept.append(target)
        for name, those in learnt.items():
            rounds[name].append(_skills(those, there, columns, target, seed))
    if not kept:
        return None
    skill = {name: np.array(parts) for name, parts in rounds.items()}  # (columns, 1 + FEW), the first of all rows
    whole = skill[real].sum(0)
    if whole[0] <= Z * whole[1:].std():
        return None
    ratio = {}
    for name, parts in skill.items():
        ratios = parts.sum(0) / whole.clip(min=1e-9)
        ratio[name] = Figure.around(float(ratios[0]), float(ratios[1:].std()), len(tested), len(learnt[name]))
    return GlobalUtility(ratio, tuple(kept), {name: tuple(parts[:, 0].tolist()) for name, parts in skill.items()})


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """Mean precision at each positive, tied scores taken together; truth bool (n,), score (n,)."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    steps = np.diff(hits[ends], prepend=0)
    return float((steps * hits[ends] / (ends + 1)).sum() / max(hits[-1], 1))


def r_squared(truth: np.ndarray, said: np.ndarray) -> float:
    """Share of the variance of truth (n,) that is said; below 0 when the mean would say more."""
    spread = ((truth - truth.mean()) ** 2).sum()
    return float(1 - ((truth - said) ** 2).sum() / spread) if spread > 0 else 0.0


def _with(rows: np.ndarray, target: int) -> np.ndarray:
    return rows[~np.isnan(rows[:, target])]


def _classes(truth: np.ndarray) -> np.ndarray:
    """Return the frequent classes, the rarest last."""
    known, counts = np.unique(truth, return_counts=True)
    order = known[np.argsort(-counts, kind="stable")]
    return order if len(order) <= CLASSES else order[: CLASSES - 1]


def _grouped(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the place of each value among the classes; len(classes) for all others."""
    same = values[:, None] == classes
    return np.where(same.any(1), same.argmax(1), len(classes))


def _learn(
    rows: np.ndarray,
    tested: np.ndarray,
    columns: Columns,
    target: int,
    classes: np.ndarray | None,
    seed: int,
    trees: int = 100,
) -> np.ndarray | None:
    """Return what trees that learnt from rows say of the tested: numbers (m,), or chances (m, classes + others)."""
    others = np.arange(len(columns)) != target
    inputs, truth = learnable(rows[:, others]), rows[:, target]
    if classes is None:
        if len(truth) < 2 or (truth == truth[0]).all():
            return None
        said: np.ndarray = (
            regressor(columns.categorical[others], seed, trees).fit(inputs, truth).predict(tested[:, others])
        )
        return said
    truth = _grouped(truth, classes)
    if len(np.unique(truth)) < 2:
        return None
    model = classifier(columns.categorical[others], seed, trees).fit(inputs, truth)
    chances = np.zeros((len(tested), len(classes) + 1))
    chances[:, model.classes_] = model.predict_proba(tested[:, others])
    return chances


def _scores(truth: np.ndarray, chances: np.ndarray, seed: int) -> dict[str, Figure]:
    """Return the measures of a classifier of places (m,) in 0 .. k, from chances (m, k + 1)."""
    wrong = ((chances - np.eye(chances.shape[1])[truth]) ** 2).sum(1)
    present = np.unique(truth)
    if set(present) <= {0, 1}:  # the second is the rarer one
        positive, score = truth == 1, chances[:, 1]
        area = (
            auc(torch.from_numpy(score[positive]), torch.from_numpy(score[~positive])) if positive.sum() > 1 else None
        )
        return ({} if area is None else {"AUC": area}) | {
            "average precision": _resampled(average_precision, positive, score, seed),
            "Brier score": _mean(wrong / 2),
        }
    return {"AUC": _resampled(_one_against_rest, truth, chances, seed), "Brier score": _mean(wrong)}


def _one_against_rest(truth: np.ndarray, chances: np.ndarray) -> float:
    """AUC of each class against the others, averaged by frequency; 0.5 where there is only one."""
    areas, weights = [], []
    for label in np.unique(truth):
        positive = truth == label
        if 0 < positive.sum() < len(truth):
            areas.append(_area(positive, chances[:, label]))
            weights.append(positive.sum())
    return float(np.average(areas, weights=weights)) if areas else 0.5


def _area(positive: np.ndarray, score: np.ndarray) -> float:
    """AUC by ranks, ties as one half."""
    ones = int(positive.sum())
    return float((_ranks(score)[positive].mean() - (ones + 1) / 2) / (len(score) - ones))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, tied values at the middle of theirs."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") + 1) / 2


def _rank_correlation(truth: np.ndarray, said: np.ndarray) -> float:
    """Spearman's; 0 where one of the two never varies."""
    one, other = _ranks(truth), _ranks(said)
    spread = one.std() * other.std()
    return float(((one - one.mean()) * (other - other.mean())).mean() / spread) if spread > 0 else 0.0


def _skills(rows: np.ndarray, tested: np.ndarray, columns: Columns, target: int, seed: int) -> np.ndarray:
    """Return the skill on all tested rows, then on FEW resamples of them."""
    classes = _classes(tested[:, target]) if columns.categorical[target] else None
    truth = tested[:, target] if classes is None else _grouped(tested[:, target], classes)
    rows = _with(rows, target)
    if classes is None and len(rows):  # ranks: one huge value must not be all that is learnt
        rows = rows.copy()
        rows[:, target] = _ranks(rows[:, target]) / len(rows)
    said = _learn(rows, tested, columns, target, classes, seed, TREES)
    if said is None:
        return np.zeros(1 + FEW)
    measure: Measure = _rank_correlation if classes is None else lambda t, s: 2 * _one_against_rest(t, s) - 1
    resamples = _resamples(len(truth), seed)[:FEW]
    return np.array([measure(truth, said), *(measure(truth[drawn], said[drawn]) for drawn in resamples)])


def _resampled(measure: Measure, truth: np.ndarray, said: np.ndarray, seed: int, learnt: int | None = None) -> Figure:
    """Return a measure with the interval of its bootstrap over the tested rows."""
    error = np.std([measure(truth[rows], said[rows]) for rows in _resamples(len(truth), seed)])
    return Figure.around(measure(truth, said), float(error), len(truth), learnt)


def _resamples(count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(count, size=count) for _ in range(ROUNDS)]


def _mean(values: np.ndarray) -> Figure:
    return Figure.around(float(values.mean()), float(values.std() / np.sqrt(len(values))), len(values), floor=0.0)
