"""What a learner is worth on real rows that it has not seen: ranking, calibration, and decisions at a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

PRECISION = 0.8
"""Precision at which the recall is read."""


class Metric(NamedTuple):
    """A score in words; better: 1 if more is better, -1 if less is."""

    title: str
    caption: str
    better: int = 1


METRICS = {
    "auc": Metric("AUC", "How well it ranks: 0.5 guesses, 1 is perfect. The verdict is about this number."),
    "average_precision": Metric("Average precision", "The same, looking at the rare class."),
    "brier": Metric(
        "Brier score", "Squared error of the probabilities: less is better; imbalance tricks raise it.", -1
    ),
    "f1": Metric("F1, threshold tuned", "At the threshold that is best on real validation rows."),
    "recall": Metric("Recall at precision 0.8", "Share of the class that is found while 4 of 5 alarms are right."),
}
"""Every score by its key; the first is what the verdict is about."""
PRIMARY = "auc"


def primary(probabilities: np.ndarray, labels: np.ndarray, positives: Sequence[int]) -> float:
    """Return the AUC, for more than two classes the mean over one against the rest; probabilities (n, k)."""
    return float(np.mean([roc_auc_score(labels == one, probabilities[:, one]) for one in positives]))


def thresholds(probabilities: np.ndarray, labels: np.ndarray, positives: Sequence[int]) -> list[float]:
    """Return for each class of `positives` the least probability that counts as that class, by the best F1."""
    found = []
    for one in positives:
        precision, recall, steps = precision_recall_curve(labels == one, probabilities[:, one])
        total = np.maximum(precision + recall, 1e-12)
        found.append(float(steps[np.argmax((2 * precision * recall / total)[:-1])]))
    return found


def scores(
    probabilities: np.ndarray, labels: np.ndarray, positives: Sequence[int], decided: Sequence[float]
) -> dict[str, float]:
    """Return every metric on test rows. decided: the thresholds, found elsewhere."""
    ranked = [probabilities[:, one] for one in positives]
    is_one = [labels == one for one in positives]
    truth = np.eye(probabilities.shape[1])[labels]
    squares = (probabilities - truth) ** 2
    return {
        "auc": primary(probabilities, labels, positives),
        "average_precision": _mean(average_precision_score(is_, by) for is_, by in zip(is_one, ranked, strict=True)),
        "brier": float(squares[:, positives[0]].mean() if len(positives) == 1 else squares.sum(1).mean()),
        "f1": _mean(_f1(is_, by >= least) for is_, by, least in zip(is_one, ranked, decided, strict=True)),
        "recall": _mean(_recall(is_, by) for is_, by in zip(is_one, ranked, strict=True)),
    }


def _f1(is_one: np.ndarray, said: np.ndarray) -> float:
    """Return 2 TP / (2 TP + FP + FN), 0 where nothing is found."""
    return 2 * int((is_one & said).sum()) / max(int(is_one.sum() + said.sum()), 1)


def _recall(is_one: np.ndarray, by: np.ndarray) -> float:
    """Return the largest recall at which the precision still is PRECISION, a property of the ranking alone."""
    precision, recall, _ = precision_recall_curve(is_one, by)
    return float(recall[precision >= PRECISION].max())


def _mean(values: object) -> float:
    return float(np.mean(list(values)))  # type: ignore[call-overload]
