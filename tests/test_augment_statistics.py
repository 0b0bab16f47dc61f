"""The statistics of `gandem augment` against independent formulas, and whether they keep their word."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")
pytest.importorskip("scipy")

from sklearn import metrics

from gandem.augmentation.scores import scores, thresholds
from gandem.augmentation.statistics import (
    HELPS,
    HURTS,
    SAME,
    UNKNOWN,
    answer,
    corrected,
    holm,
    ratio_interval,
    smallest,
)
from gandem.judge.figure import quantile

numbers = st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=20)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(numbers, st.floats(0.05, 1))
def test_the_interval_is_that_of_nadeau_and_bengio(values: list[float], share: float) -> None:
    count = len(values)
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    half = quantile(count - 1) * math.sqrt(variance * (1 / count + share))
    found = corrected(values, share)
    assert found.value == pytest.approx(mean, abs=1e-9)
    assert found.high - found.value == pytest.approx(half, rel=1e-3, abs=1e-9)
    assert found.value - found.low == pytest.approx(half, rel=1e-3, abs=1e-9)


def test_p_is_that_of_the_printed_tables() -> None:
    """t = 2.262 of 9 degrees of freedom is 5 %."""
    values = np.array([1.0, -1.0] * 5)
    error = math.sqrt(values.var(ddof=1) * (1 / 10 + 0.25))
    assert corrected(values + 2.262 * error, 0.25).p == pytest.approx(0.05, abs=1e-4)


def test_one_fold_and_equal_folds_have_an_answer() -> None:
    assert corrected([0.3], 0.25).low == -math.inf and corrected([0.3], 0.25).p == 1
    assert (corrected([0.0] * 5, 0.25).p, corrected([0.1] * 5, 0.25).p) == (1, 0)


def test_holm_by_hand() -> None:
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(values: list[float]) -> None:
    p_values = {str(place): value for place, value in enumerate(values)}
    left, rejected = sorted(p_values.values()), 0
    for step, p in enumerate(left):
        if not p * (len(left) - step) < 0.05:
            break
        rejected += 1
    found = holm(p_values)
    assert sum(p < 0.05 for p in found.values()) == rejected
    assert all(found[name] >= p_values[name] for name in p_values)


def test_the_error_of_a_true_null_is_not_above_its_level() -> None:
    """Scores of folds that share training rows: correlated by the share of test rows, as the correction assumes."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((4000, 1)) * math.sqrt(0.2)
    draws = shared + rng.standard_normal((4000, 10)) * math.sqrt(0.8)
    alarms = np.mean([corrected(row, 0.25).p < 0.05 for row in draws])
    assert 0.03 < alarms < 0.065


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [(0.0, 0.002, SAME), (0.006, 0.001, SAME), (0.05, 0.01, HELPS), (-0.05, 0.01, HURTS), (0.05, 0.04, UNKNOWN)],
)
def test_the_four_answers(value: float, error: float, said: str) -> None:
    spread = error / math.sqrt(1 / 10 + 0.25) * math.sqrt(9 / 10)
    difference = corrected(value + np.array([spread, -spread] * 5), 0.25)
    assert difference.error == pytest.approx(error)
    assert answer(difference, difference.p, 0.01) == said


def test_the_smallest_effect_is_found_in_four_of_five() -> None:
    rng = np.random.default_rng(0)
    effect = smallest(1 / math.sqrt(10), 10, 0.01)
    found = np.mean([corrected(rng.standard_normal(10) + effect, 0.0).p < 0.05 for _ in range(3000)])
    assert found == pytest.approx(0.8, abs=0.03)


def test_scores_by_hand() -> None:
    """Two classes, the second is the rare one; its ranking is 1, 0, 1, 0, 0."""
    rare = np.array([0.9, 0.6, 0.5, 0.2, 0.1])
    labels = np.array([1, 0, 1, 0, 0])
    guess = np.stack([1 - rare, rare], 1)
    assert thresholds(guess, labels, (1,)) == [0.5]
    found = scores(guess, labels, (1,), [0.5])
    assert found["auc"] == pytest.approx(5 / 6)
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["brier"] == pytest.approx(np.mean((rare - labels) ** 2))
    assert found["f1"] == pytest.approx(2 * (2 / 3) / (2 / 3 + 1))
    assert found["recall"] == 0.5


def test_of_three_classes_every_score_is_a_mean() -> None:
    guess = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    found = scores(guess, np.arange(3), (0, 1, 2), [0.5] * 3)
    assert (found["auc"], found["f1"], found["recall"]) == (1, 1, 1)
    assert found["brier"] == pytest.approx((0.06 + 0.06 + 0.24) / 3)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.integers(4, 40))
def test_scores_are_those_of_scikit_learn(seed: int, count: int) -> None:
    """Probabilities of one decimal, so that there are ties."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 3 == 0).astype(np.int64)
    rare = rng.integers(0, 11, count) / 10
    guess = np.stack([1 - rare, rare], 1)
    decided = thresholds(guess, labels, (1,))
    found = scores(guess, labels, (1,), decided)
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(labels, rare))
    assert found["average_precision"] == pytest.approx(metrics.average_precision_score(labels, rare))
    assert found["f1"] == pytest.approx(metrics.f1_score(labels, rare >= decided[0]))
    assert found["f1"] == pytest.approx(max(metrics.f1_score(labels, rare >= least) for least in np.unique(rare)))
    precision, recall, _ = metrics.precision_recall_curve(labels, rare)
    assert found["recall"] == pytest.approx(recall[precision >= 0.8].max())


def test_the_interval_of_a_ratio_is_fieller_s() -> None:
    """Ends are the ratios for which the corrected test of above - d below is just at 5 %; without noise, the ratio."""
    rng = np.random.default_rng(0)
    below = 0.1 + 0.01 * rng.normal(size=20)
    above = 0.2 + 0.03 * rng.normal(size=20) + (below - 0.1)
    ends = ratio_interval(above.tolist(), below.tolist(), 0.25)
    assert ends is not None and ends[0] < above.mean() / below.mean() < ends[1]
    for end in ends:
        assert corrected((above - end * below).tolist(), 0.25).p == pytest.approx(0.05, abs=1e-6)
    assert ratio_interval(above.tolist(), (below - 0.1).tolist(), 0.25) is None


@pytest.mark.parametrize("spread", [0.002, 0.006, 0.03])
def test_the_smallest_effect_is_called_in_four_of_five(spread: float) -> None:
    """Also where it is the margin that decides."""
    rng = np.random.default_rng(2)
    error = spread * (1 / 20 + 0.25) ** 0.5
    effect = smallest(error, 20, 0.01)
    shared = rng.normal(size=(2000, 1)) * 0.25**0.5 * spread  # folds share their training rows
    found = effect + shared + rng.normal(size=(2000, 20)) * spread
    words = [answer(each := corrected(folds.tolist(), 0.25), each.p, 0.01) for folds in found]
    assert 0.75 < words.count(HELPS) / len(words) < 0.87
