"""What is learnt from a table, against scikit-learn and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from gandem.errors import JudgeError
from gandem.judge.figure import Figure
from gandem.judge.tables import utility as room
from gandem.judge.tables.regression import Coefficient, linear, logistic, regression
from gandem.judge.tables.rows import Columns, independent
from gandem.judge.tables.utility import average_precision, global_utility, r_squared, utility
from tables_made import COLUMNS, table


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=3, max_size=30))
@settings(max_examples=30, deadline=None)
def test_measures_are_those_of_scikit_learn(pairs: list[tuple[bool, int]]) -> None:
    truth, score = np.array([t for t, _ in pairs]), np.array([float(s) for _, s in pairs])
    if truth.any():
        assert average_precision(truth, score) == pytest.approx(metrics.average_precision_score(truth, score))
    if 0 < truth.sum() < len(truth):
        assert room._area(truth, score) == pytest.approx(metrics.roc_auc_score(truth, score))
        assert r_squared(truth.astype(float), score) == pytest.approx(metrics.r2_score(truth, score))


def test_one_class_against_the_rest() -> None:
    rng = np.random.default_rng(0)
    truth, chances = rng.integers(0, 4, 200), rng.dirichlet(np.ones(4), 200)
    chances[np.arange(200), truth] += 0.2
    chances /= chances.sum(1, keepdims=True)
    expected = metrics.roc_auc_score(truth, chances, multi_class="ovr", average="weighted")
    assert room._one_against_rest(truth, chances) == pytest.approx(expected)


@pytest.mark.parametrize(("target", "measures"), [(5, "AUC"), (3, "AUC"), (1, "R2")])
def test_real_rows_teach_and_independent_columns_do_not(target: int, measures: str) -> None:
    real, held_out = table(1, 400), table(2, 400)
    sets = {"real": real, "independent columns": independent(real, 0)}
    found = utility(sets, held_out, COLUMNS, target).figures
    best, floor = (found[name][measures] for name in sets)
    assert best.low > floor.high and (measures == "R2" or floor.low <= 0.55)
    assert utility({"real": real}, held_out, COLUMNS, target).figures["real"] == found["real"]


def test_a_brier_score_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    chances = np.array([[0.8, 0.2, 0], [0.4, 0.6, 0], [0.9, 0.1, 0], [0.3, 0.7, 0]])
    found = room._scores(np.array([0, 1, 0, 1]), chances, 0)
    assert found["Brier score"].value == pytest.approx((0.04 + 0.16 + 0.01 + 0.09) / 4) and found["AUC"].value == 1


def test_targets_that_say_nothing() -> None:
    rows = table(1, 200)
    still = rows.copy()
    still[:, 5] = 1
    with pytest.raises(JudgeError, match="never varies"):
        utility({"real": rows}, still, COLUMNS, 5)
    assert utility({"real": still}, rows, COLUMNS, 5).figures == {"real": None}
    noise, other = np.random.default_rng(0).integers(0, 2, (2, 300, 3)).astype(float)
    assert global_utility({"real": noise}, other, Columns(("a", "b", "c"), np.ones(3, bool))) is None


def test_global_utility_is_one_for_real_rows() -> None:
    real = table(1, 600)
    found = global_utility(
        {"real": real, "fresh": table(3, 600), "floor": independent(real, 0)}, table(2, 600), COLUMNS
    )
    assert found.ratio["real"].value == 1 and abs(found.ratio["fresh"].value - 1) < 0.15
    assert found.ratio["floor"].high < 0.3 and found.columns == (0, 1, 2, 3, 4, 5)


def test_logistic_coefficients_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    design = rng.standard_normal((300, 3))
    truth = design @ [1.0, -0.5, 0.0] + rng.logistic(size=300) > 0.3
    expected = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(design, truth).coef_[0]
    assert [value for value, _ in logistic(design, truth)] == pytest.approx(expected.tolist(), abs=1e-4)
    apart = logistic(design, design[:, 0] > 0)  # separable: still finite
    assert all(np.isfinite(pair).all() for pair in apart)


@pytest.mark.parametrize("fit", [linear, logistic])
def test_intervals_of_coefficients_cover_the_truth(fit: object) -> None:
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        design = rng.standard_normal((400, 2))
        line = design @ [0.5, 0.0]
        truth = line + rng.logistic(size=400) > 0 if fit is logistic else line + rng.standard_normal(400)
        (value, error), _ = fit(design, truth)
        hits += abs(value - 0.5) < 1.96 * error
    assert 0.9 <= hits / 200 <= 0.99


def test_linear_coefficients_by_least_squares() -> None:
    rng = np.random.default_rng(1)
    design, noise = rng.standard_normal((5000, 2)), rng.standard_normal(5000)
    truth = design @ [2.0, -1.0] + 3 + noise
    expected = np.linalg.lstsq(np.column_stack([design, np.ones(5000)]), truth, rcond=None)[0][:2]
    found = linear(design, truth)
    assert [value for value, _ in found] == pytest.approx(expected, abs=2e-3)
    assert [error for _, error in found] == pytest.approx([5000**-0.5] * 2, rel=0.05)


def test_overlap_by_hand() -> None:
    one = Coefficient(0, None, Figure(1, 0, 2, 9), Figure(2, 1, 3, 9))
    assert one.overlap == pytest.approx(0.5)
    apart = Coefficient(0, None, Figure(1, 0, 2, 9), Figure(5, 4, 6, 9))
    assert apart.overlap == pytest.approx(-1)


def test_a_study_of_real_rows_finds_the_same_and_of_independent_columns_not() -> None:
    real, held_out = table(1, 3000), table(2, 3000)
    same, apart = (regression(rows, held_out, COLUMNS, 5, real) for rows in (table(3, 3000), independent(real, 0)))
    assert same.overlap > 0.5 and same.same_sign.value == 1 and apart.overlap < same.overlap - 0.3
    assert same.event == 1 and any(one.code == -1 for one in same.coefficients)
    twice = np.column_stack([real, real[:, 0]])
    columns = Columns((*COLUMNS.names, "x again"), np.append(COLUMNS.categorical, False))
    found = regression(twice, twice, columns, 5, twice)
    assert {0, 6} - {one.column for one in found.coefficients} and found.overlap == pytest.approx(1)
    assert regression(real, held_out, COLUMNS, 0, real).event is None
