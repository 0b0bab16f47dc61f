"""From the scores of all folds to one answer, and to everything that stands behind it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from gandem.augmentation.arms import GENERATOR, NOTHING
from gandem.augmentation.problem import MARGIN
from gandem.augmentation.scores import METRICS, PRIMARY
from gandem.augmentation.statistics import (
    HELPS,
    HURTS,
    LEVEL,
    SAME,
    UNKNOWN,
    Difference,
    answer,
    corrected,
    holm,
    ratio_interval,
    smallest,
)

MOST_TIMES = 10
"""A learning curve is not followed further than to so many times the rows."""

Records = Sequence[dict[str, Any]]


def verdict(records: Records, margin: float = MARGIN) -> dict[str, Any]:
    """Return the answer and the numbers behind it, in plain JSON types; records: of `Experiment.play`, a fold each.

    In every fold, arms are compared with the learner that was best on the validation rows of that fold without any
    augmentation: what one would use anyway. The generator against doing nothing is the one planned comparison, at 5 %.
    The free arms against doing nothing are a family of their own, with Holm's procedure.
    HELPS asks, besides, that the generator beat every free arm, each by an uncorrected test: all must be passed, so
    that their number makes a false alarm rarer, not likelier (intersection-union).
    """
    share = float(np.mean([record["rows"]["test"] / record["rows"]["train"] for record in records]))
    learners = list(records[0]["scores"])
    chosen = [max(learners, key=lambda name: record["validation"][name]) for record in records]
    arms = [name for name in records[0]["scores"][chosen[0]] if all(
        name in record["scores"][learner] for record, learner in zip(records, chosen, strict=True))]  # fmt: skip

    def of(arm: str, metric: str = PRIMARY) -> np.ndarray:
        return np.array(
            [record["scores"][learner][arm][metric] for record, learner in zip(records, chosen, strict=True)]
        )

    others = [arm for arm in arms if arm != NOTHING]
    gains = {arm: corrected(of(arm) - of(NOTHING), share) for arm in others}
    adjusted = {GENERATOR: gains[GENERATOR].p} | holm({arm: gain.p for arm, gain in gains.items() if arm != GENERATOR})
    answers = {arm: answer(gain, adjusted[arm], margin) for arm, gain in gains.items()}
    beside = {arm: corrected(of(GENERATOR) - of(arm), share) for arm in others if arm != GENERATOR}
    word, because = _beyond_what_is_free(answers[GENERATOR], beside, margin)
    gain = gains[GENERATOR]
    brier = corrected(of(GENERATOR, "brier") - of(NOTHING, "brier"), share)
    curve = _curve(records, chosen)
    return {
        "verdict": word,
        "because": because,
        "metric": PRIMARY,
        "margin": margin,
        "folds": len(records),
        "baseline": float(of(NOTHING).mean()),
        "difference": gain.to_dict(),
        "smallest": smallest(gain.error, gain.n, margin),
        "calibration": {**brier.to_dict(), "baseline": float(of(NOTHING, "brier").mean())},
        "worth": _worth(curve, _slopes(records, chosen), of(GENERATOR) - of(NOTHING), share),
        "curve": curve,
        "arms": {
            arm: {"answer": answers[arm], **gains[arm].to_dict(), "p_adjusted": adjusted[arm]} for arm in others
        },
        "beside": {arm: each.to_dict() for arm, each in beside.items()},
        "learner": dict(Counter(chosen).most_common()),
        "amounts": {name: dict(Counter(record["chosen"][name] for record in records)) for name in learners},
        "rows": {kind: round(float(np.mean([r["rows"][kind] for r in records]))) for kind in ("train", "test")},
        "table": {name: _table(records, name, share) for name in learners},
    }  # fmt: skip


def _beyond_what_is_free(alone: str, beside: dict[str, Difference], margin: float) -> tuple[str, str]:
    """Return the answer, given the one against doing nothing and the generator's lead over every free arm, and why."""
    if alone == SAME:
        return SAME, "the whole interval lies within the margin around doing nothing"
    if alone == HURTS:
        return HURTS, "it is worse than doing nothing, beyond chance and beyond the margin"
    if alone == UNKNOWN:
        return UNKNOWN, "the interval is too wide, or reaches across a limit"
    unbeaten = {arm: lead for arm, lead in beside.items() if not (lead.p < LEVEL and lead.value > 0)}
    if not unbeaten:
        return HELPS, "it is better than doing nothing and than everything that is free"
    free = min(unbeaten, key=lambda arm: unbeaten[arm].value)
    if unbeaten[free].high < margin:
        return SAME, f"it is better than doing nothing, but {free}, which is free, does as much"
    return UNKNOWN, f"it is better than doing nothing, but not clearly better than {free}, which is free"


def _curve(records: Records, chosen: Sequence[str]) -> list[list[float]]:
    """Return [rows, mean AUC] from a quarter of the training rows to all; points that every fold has."""
    folds = [_points(record, learner) for record, learner in zip(records, chosen, strict=True)]
    longest = min(len(points) for points in folds)
    return [
        [float(np.mean([points[-at][part] for points in folds])) for part in (0, 1)] for at in range(longest, 0, -1)
    ]


def _points(record: dict[str, Any], learner: str) -> list[list[float]]:
    return [*record["curve"][learner], [record["rows"]["train"], record["scores"][learner][NOTHING][PRIMARY]]]


def _slopes(records: Records, chosen: Sequence[str]) -> list[float]:
    """Return what a doubling of the real rows gives in every fold, by least squares over the logarithm of the rows."""
    slopes = []
    for record, learner in zip(records, chosen, strict=True):
        points = np.array(_points(record, learner))
        if len(points) < 3:
            return []
        slopes.append(float(np.polyfit(np.log2(points[:, 0]), points[:, 1], 1)[0]))
    return slopes


def _worth(curve: list[list[float]], slopes: list[float], gains: np.ndarray, share: float) -> dict[str, Any]:
    """Return how many real rows more would have moved the score as far; None where the curve does not say."""
    slope = corrected(slopes, share) if slopes else None
    doublings = ratio_interval(gains.tolist(), slopes, share) if slopes else None
    found: dict[str, Any] = {"rows": None, "low": None, "high": None, "doubling": slope and slope.to_dict()}
    if slope is None or slope.low <= 0 or doublings is None:
        return found
    rows, (low, high) = curve[-1][0], doublings
    ends = {"rows": float(gains.mean()) / slope.value, "low": low, "high": high}
    return found | {end: _more(rows, doubled) for end, doubled in ends.items()}


def _more(rows: float, doublings: float) -> float:
    """Return how many rows more so many doublings are, cut off at MOST_TIMES the rows."""
    return round(rows * (2 ** min(doublings, math.log2(1 + MOST_TIMES)) - 1))


def _table(records: Records, learner: str, share: float) -> dict[str, dict[str, Any]]:
    """Return mean and difference to nothing of every arm and metric of one learner; intervals are of each alone."""

    def values(arm: str, metric: str) -> np.ndarray:
        return np.array([record["scores"][learner][arm][metric] for record in records])

    return {
        arm: {
            metric: {
                "mean": float(values(arm, metric).mean()),
                **({} if arm == NOTHING else corrected(values(arm, metric) - values(NOTHING, metric), share).to_dict()),
            }
            for metric in METRICS
        }
        for arm in records[0]["scores"][learner]
    }  # fmt: skip


def sentence(facts: dict[str, Any]) -> str:
    """Say the verdict in one line."""
    gain, margin, made = facts["difference"], facts["margin"], f"synthetic {facts['noun']}"
    said = f"AUC {gain['value']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f}) against doing nothing"
    meaning = {
        HELPS: f"{made} help here, and nothing that is free explains it",
        SAME: f"no, {made} make no difference that matters here",
        HURTS: f"no, {made} do harm here",
        UNKNOWN: f"this data cannot tell whether {made} help",
    }[facts["verdict"]]
    return f"{facts['verdict']}: {meaning}. {said}; margin {margin:g}: {facts['because']}."


def worth(facts: dict[str, Any]) -> str:
    """Say the gain in real rows, or pictures."""
    found, noun = facts["worth"], facts["noun"]
    if found["rows"] is None:
        return "not said: the learning curve does not rise clearly, so that more would not show a gain either"
    most = MOST_TIMES * facts["curve"][-1][0]
    low, high = (f"{found[end]:+,.0f}" for end in ("low", "high"))
    interval = f"{low} to {f'more than +{most:,.0f}' if found['high'] >= most else high}"
    if found["low"] <= 0 <= found["high"]:
        return f"not to be told from none at all ({interval} real {noun})"
    if found["rows"] < 0:
        return f"as much as losing {-found['rows']:,.0f} of the real {noun} ({interval})"
    rows = f"more than {most:,.0f}" if found["rows"] >= most else f"{found['rows']:,.0f}"
    return f"{rows} more real {noun} ({interval})"
