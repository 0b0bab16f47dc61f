"""Numbers about tables against independent formulas; what independent columns and fresh real rows must reach."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gandem.errors import JudgeError
from gandem.judge.tables.boosted import two_sample
from gandem.judge.tables.columns import (
    column_distances,
    kolmogorov_smirnov,
    missing_patterns,
    pair_trends,
    total_variation,
    wasserstein,
)
from gandem.judge.tables.coverage import categories, duplicates, joint_cells, mutual_information
from gandem.judge.tables.judgement import judge_table
from gandem.judge.tables.rows import Columns, cells, checked, codes, independent, space
from tables_made import COLUMNS, table

VALUES = st.lists(st.integers(-3, 4), min_size=2, max_size=25)
TWO = Columns(("a", "b"), np.array([True, True]))


def test_cells_keep_atoms_apart() -> None:
    reference = np.array([[0.0]] * 70 + [[float(value)] for value in range(1, 31)]).repeat(30, 0)
    column = Columns(("gain",), np.array([False]))
    rows = np.array([[-1.0], [0.0], [0.5], [29.0], [np.nan]])
    found, counts = cells(reference, column, reference, np.repeat(rows, 500, 0))
    place = found[1][::500, 0]
    assert len(set(place)) == 5 and place[-1] == counts[0] - 1 and list(place[:4]) == sorted(place[:4])


def test_cells_throw_rare_categories_together() -> None:
    rows = table(0, 4000)
    (found,), counts = cells(rows, COLUMNS, rows)
    kinds, places = found[:, 3], found[:, 4]
    assert len(np.unique(kinds)) == 3 and len(np.unique(places)) <= 20 and (found < counts).all()


def test_codes_of_many_categories_fit_the_trees() -> None:
    column = Columns(("id",), np.array([True]))
    rng = np.random.default_rng(0)
    often = np.minimum(rng.geometric(0.05, 3000) - 1, 400).astype(float)
    rare = rng.permutation(300_000)[:3000].astype(float)
    coded = codes(column, often[:, None], rare[:, None])
    assert max(rows.max() for rows in coded) <= 254 and min(rows.min() for rows in coded) >= 0
    first = often == 0
    assert len(np.unique(coded[0][first])) == 1 and not (coded[0][~first] == coded[0][first][0]).any()
    assert two_sample(often[:, None], rare[:, None], column).auc.value > 0.95


@given(st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_space_weighs_columns_alike(seed: int) -> None:
    rows = table(seed, 50)
    points = space(rows, COLUMNS, rows)[0].numpy()
    far = ((points[:, None] - points[None]) ** 2).sum(2)
    same = (np.nan_to_num(rows[:, None], nan=-9) == np.nan_to_num(rows[None], nan=-9)).all(2)
    assert np.allclose(far[same], 0) and (far[~same] > 0).all()
    other = rows[:1].copy()
    other[0, 3] = (other[0, 3] + 1) % 3
    one, two = (part.numpy() for part in space(rows, COLUMNS, rows[:1], other))
    assert ((one - two) ** 2).sum() == pytest.approx(1)


@given(VALUES, VALUES)
@settings(max_examples=60, deadline=None)
def test_distances_of_numbers(one: list[int], other: list[int]) -> None:
    ours, theirs = np.array(one, float), np.array(other, float)
    assert kolmogorov_smirnov(ours, theirs).value == pytest.approx(stats.ks_2samp(ours, theirs).statistic)
    assert wasserstein(ours, theirs) == pytest.approx(stats.wasserstein_distance(ours, theirs))
    found = total_variation(np.array(one) + 3, np.array(other) + 3, 8)
    by_hand = sum(abs(one.count(v) / len(one) - other.count(v) / len(other)) for v in range(-3, 5)) / 2
    assert found.value == pytest.approx(by_hand)
    back = total_variation(np.array(other) + 3, np.array(one) + 3, 8)
    assert back.value == pytest.approx(found.value) and 0 <= found.value <= 1


def test_intervals_of_distances_cover_the_truth() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    column, hits = Columns(("a",), np.array([True])), 0
    for _ in range(300):
        sets = [rng.choice(3, 200, p=share).astype(float)[:, None] for share in shares]
        figure = column_distances(*sets, column)[0].distance
        hits += figure.low <= 0.3 <= figure.high
    assert 0.9 <= hits / 300 <= 0.99


def test_pairs_by_hand_and_floor() -> None:
    """Two equal coins against two independent ones: the tables are (1/2, 0, 0, 1/2) and (1/4, 1/4, 1/4, 1/4)."""
    coin = np.tile([0.0, 1.0], 100)
    equal, apart = np.stack([coin, coin], 1), np.stack([coin, np.repeat([0.0, 1.0], 100)], 1)
    found = pair_trends(equal, apart, TWO, apart)
    assert found.mean.value == pytest.approx(0.5) and found.values == {(0, 1): pytest.approx(0.5)}
    assert pair_trends(apart, apart, TWO, apart).mean.value == 1
    real, fresh, known = (table(seed, 2000) for seed in (1, 2, 3))
    ceiling, floor = (pair_trends(rows, real, COLUMNS, known).mean for rows in (fresh, independent(known, 0)))
    assert ceiling.low > floor.high and all(figure.low <= figure.value <= figure.high for figure in (ceiling, floor))


def test_missing_patterns() -> None:
    rows = table(1, 1000)
    assert missing_patterns(rows, rows, COLUMNS).value == 0
    apart = missing_patterns(independent(rows, 0), rows, COLUMNS)
    assert apart.value == pytest.approx(0.18, abs=0.03)  # 2 x 0.1 x 0.9 where one alone is missing
    assert missing_patterns(np.zeros((5, 2)), np.ones((5, 2)), TWO) is None
    one = column_distances(rows, table(2, 1000), COLUMNS)[1]
    assert one.missing.value == np.isnan(rows[:, 1]).mean() and one.wasserstein < 0.2


def test_real_rows_lose_rare_categories_too() -> None:
    """Five hundred categories: a fresh real sample is no ceiling of 1."""
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, 501)
    columns = Columns(("city", "x"), np.array([True, False]))
    generated, real, held_out = (
        np.column_stack([rng.choice(500, 600, p=shares / shares.sum()), rng.random(600)]) for _ in range(3)
    )
    judged = judge_table(generated, real, held_out, independent(real, 0), columns)
    kept = {name: row.categories.kept.value for name, row in judged.rows.items()}
    assert kept["real"] < 0.9 and kept["generated"] == pytest.approx(kept["real"], abs=0.1)


def test_categories_that_are_lost() -> None:
    real = np.array([[0.0, 0], [0, 1], [1, 1], [2, 1]] * 50 + [[3.0, 1]])
    made = np.array([[0.0, 0], [1, 1]] * 50)
    found = categories(made, real, TWO)
    assert found.lost == ((0, 2), (0, 3)) and found.kept.value == pytest.approx(4 / 6)
    assert found.rare_kept.value == 0 and found.rare_share == 0


def test_joint_cells_and_duplicates_by_hand() -> None:
    real = np.array([[0.0, 0], [1, 1]] * 100)
    made = np.array([[0.0, 0], [0, 1]] * 50 + [[1.0, 0]])
    found = joint_cells(made, real, TWO, real)
    assert found.reached.value == 0.5 and found.unseen.value == pytest.approx(51 / 101)
    there = duplicates(np.array([[0.0, np.nan], [-0.0, np.nan], [1, 1]]), real, np.array([[0.0, np.nan]]), TWO)
    assert [each.value for each in (there.within, there.of_training, there.of_held_out)] == pytest.approx(
        [1 / 3, 1 / 3, 2 / 3]
    )
    one, other = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert mutual_information(one, one) == pytest.approx(np.log(2)) and mutual_information(one, other) == 0


def test_trees_find_what_single_columns_do_not_show() -> None:
    real, fresh = table(1, 400), table(2, 400)
    same, apart = (two_sample(rows, real, COLUMNS) for rows in (fresh, independent(fresh, 0)))
    assert same.auc.low <= 0.5 <= same.auc.high and apart.auc.low > 0.8
    assert set(np.argsort(apart.drops)[-3:]) <= {0, 1, 2, 3}
    assert two_sample(fresh, real, COLUMNS) == same  # to the bit


def test_the_interval_of_equal_tables_holds() -> None:
    small = Columns(COLUMNS.names[:4], COLUMNS.categorical[:4])
    figures = [two_sample(table(2 * s, 120)[:, :4], table(2 * s + 1, 120)[:, :4], small).auc for s in range(8)]
    assert sum(figure.low <= 0.5 <= figure.high for figure in figures) >= 7


def test_a_whole_judgement_is_plain_json() -> None:
    real, held_out = table(1, 250), table(2, 250)
    found = judge_table(table(3, 250), real, held_out, independent(real, 0), COLUMNS, target=5)
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(facts["rows"]) == {"generated", "real", "independent columns"}
    ratio = found.global_utility.ratio
    assert ratio["generated"].low > 0.5 and ratio["independent columns"].high < 0.4


def test_what_cannot_be_judged() -> None:
    with pytest.raises(JudgeError, match="6 columns"):
        checked(COLUMNS, 2, generated=np.zeros((5, 3)))
    with pytest.raises(JudgeError, match="too few"):
        checked(COLUMNS, 9, generated=np.zeros((5, 6)))
    with pytest.raises(JudgeError, match="infinity"):
        checked(COLUMNS, 2, generated=np.full((5, 6), np.inf))
    with pytest.raises(JudgeError, match="there are: x, y"):
        COLUMNS.index("z")
