"""The arms of `gandem augment`: what each makes of the rows, and what none may touch."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")
pytest.importorskip("imblearn")

from gandem.augmentation.arms import FREE, FREE_FOR_PICTURES, Training, generated, wanted
from gandem.augmentation.controls import Copies, Fresh, Shuffled
from gandem.errors import JudgeError

MASK = np.array([True, False, False])


def rows(count: int = 60, seed: int = 0) -> Training:
    """A category, a number with gaps and a number; a third of the labels are 1."""
    rng = np.random.default_rng(seed)
    values = np.stack([rng.integers(0, 3, count).astype(float), rng.normal(5, 1, count), rng.normal(0, 9, count)], 1)
    values[rng.random(count) < 0.2, 1] = np.nan
    return Training(values, (np.arange(count) % 3 == 0).astype(np.int64))


@pytest.mark.parametrize("name", FREE)
def test_a_free_arm_keeps_the_real_rows_and_their_kinds(name: str) -> None:
    training = rows()
    before = training.rows.copy()
    made = FREE[name](training, MASK, 7)
    np.testing.assert_array_equal(training.rows, before)
    np.testing.assert_array_equal(made.rows[:60], before)
    np.testing.assert_array_equal(made.labels[:60], training.labels)
    assert set(made.rows[:, 0]) <= {0.0, 1.0, 2.0}, "categories stay categories"
    assert len(made.rows) == len(made.labels) and made.labels.dtype == np.int64
    assert made.weights is None or (len(made.weights) == len(made.rows) and (made.weights >= 0).all())
    again = FREE[name](training, MASK, 7)
    np.testing.assert_array_equal(made.rows, again.rows)


@pytest.mark.parametrize("mask", [np.ones(2, bool), np.zeros(2, bool)], ids=["categories only", "numbers only"])
def test_smote_knows_every_mixture_of_columns(mask: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    training = Training(rng.integers(0, 4, (40, 2)).astype(float), (np.arange(40) % 4 == 0).astype(np.int64))
    made = FREE["SMOTE"](training, mask, 0)
    assert np.bincount(made.labels).tolist() == [30, 30]
    assert not mask.any() or set(made.rows.ravel()) <= {0.0, 1.0, 2.0, 3.0}


def test_smote_leaves_a_class_of_one_alone() -> None:
    training = Training(np.arange(8.0).reshape(4, 2), np.array([0, 0, 0, 1]))
    assert FREE["SMOTE"](training, np.zeros(2, bool), 0) is training


def test_weights_and_oversampling_balance() -> None:
    weighted = FREE["class weights"](rows(), MASK, 0)
    assert weighted.weights is not None
    totals = [weighted.weights[weighted.labels == label].sum() for label in (0, 1)]
    assert totals == pytest.approx([30, 30])
    assert np.bincount(FREE["random oversampling"](rows(), MASK, 0).labels).tolist() == [40, 40]


def test_a_mixture_counts_as_both_classes_in_their_parts() -> None:
    made = FREE["mixup"](rows(), MASK, 0)
    assert made.weights is not None and len(made.rows) == 180
    assert made.weights[60:120] + made.weights[120:] == pytest.approx(np.ones(60))
    np.testing.assert_array_equal(made.rows[60:120], made.rows[120:])


@pytest.mark.parametrize("name", FREE_FOR_PICTURES)
def test_pictures_stay_pictures(name: str) -> None:
    rng = np.random.default_rng(0)
    training = Training(rng.integers(0, 256, (12, 16, 16, 1)).astype(np.uint8), np.arange(12) % 2 * (np.arange(12) > 4))
    made = FREE_FOR_PICTURES[name](training, np.zeros(0, bool), 0)
    assert made.rows.dtype == np.uint8 and made.rows.shape[1:] == (16, 16, 1)
    np.testing.assert_array_equal(made.rows[:12], training.rows)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 2), min_size=3, max_size=60), st.sampled_from(["balance", "x1", "x3"]))
def test_an_amount_adds_what_it_says(labels: list[int], amount: str) -> None:
    counts, added = np.bincount(labels, minlength=3), wanted(np.array(labels), 3, amount)
    if amount == "balance":
        assert set(counts + added) == {counts.max()}
    else:
        assert (added == int(amount[1:]) * counts).all()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1000), st.integers(1, 50))
def test_controls_give_what_they_are_called_after(seed: int, count: int) -> None:
    training, others = rows(seed=seed), rows(seed=seed + 1)
    known = {tuple(np.nan_to_num(row, nan=-99)) for row in training.rows}
    for generator in (Copies(), Shuffled(), Fresh(others.rows, others.labels)):
        made, labels = generator.fit(training.rows, training.labels, MASK, 0)(count, 1, seed)
        assert made.shape == (count, 3) and (labels == 1).all()
        is_copy = all(tuple(np.nan_to_num(row, nan=-99)) in known for row in made)
        assert is_copy == isinstance(generator, Copies) or isinstance(generator, Shuffled)
        if isinstance(generator, Shuffled):
            of_class = np.nan_to_num(training.rows[training.labels == 1], nan=-99)
            assert all(set(np.nan_to_num(made[:, at], nan=-99)) <= set(of_class[:, at]) for at in range(3))


def test_rows_of_another_form_are_refused() -> None:
    def sampler(n: int, label: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((n, 2)), np.zeros(n, np.int64)

    with pytest.raises(JudgeError, match=r"asked for 40 rows like \(3,\) and gave \(40, 2\)"):
        generated(sampler, rows(), 2, "x1", 0)
