"""Membership attacks: a planted copier is caught, independent columns are not, copied rows are named."""

import numpy as np
import pytest

from gandem.errors import JudgeError
from gandem.judge.tables.attacks import ATTACKS, Scene, _most_in_common
from gandem.judge.tables.privacy import _nearer, planted_copier, privacy
from gandem.judge.tables.rows import Columns
from tables_made import COLUMNS, table

WIDE = Columns(tuple("abcdefgh"), np.array([False] * 6 + [True] * 2))


def wide(seed: int, n: int) -> np.ndarray:
    """Rows of six numbers and two categories: many enough that hardly any two are alike."""
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.standard_normal((n, 6)), rng.integers(0, 5, (n, 2))])


def test_controls_come_out_as_they_must() -> None:
    training, held_out = wide(1, 400), wide(2, 400)
    honest = privacy(wide(3, 400), training, held_out, WIDE)
    assert honest.works and honest.copier.highest.low > 0.9
    assert honest.generated.highest.low <= 0.5 and honest.independent.highest.low <= 0.5
    assert set(honest.generated.attacks) == set(ATTACKS) and len(ATTACKS) >= 5
    best = max(honest.generated.attacks.values(), key=lambda figure: figure.value)
    assert honest.generated.highest.value == best.value and honest.generated.highest.low <= best.low
    assert (honest.asked, honest.reference) == ((200, 200), 200)


def test_a_copying_generator_is_caught() -> None:
    training, held_out = table(1, 600), table(2, 600)
    copied = privacy(planted_copier(training, COLUMNS, 5), training, held_out, COLUMNS)
    honest = privacy(table(3, 600), training, held_out, COLUMNS)
    assert copied.generated.highest.low > 0.7 > honest.generated.highest.value
    assert copied.generated.nearer.low > 0.5


def test_rows_that_were_copied_are_named() -> None:
    training, held_out = wide(1, 300), wide(2, 400)
    asked = np.random.default_rng(0)
    asked.permutation(held_out)
    copied = asked.permutation(300)[:5]  # the first of those that are asked about
    found = privacy(np.concatenate([wide(3, 300), training[copied]]), training, held_out, WIDE)
    assert {one.row for one in found.exposed[:8]} >= set(copied.tolist())
    assert all(one.share <= 1 for one in found.exposed)


def test_the_highest_of_many_attacks_holds_one_half() -> None:
    """Its interval allows for the choice: over honest generators it lies above one half in few."""
    above = 0
    for seed in range(12):
        found = privacy(wide(3 * seed, 150), wide(3 * seed + 1, 150), wide(3 * seed + 2, 150), WIDE, seed=seed)
        above += found.generated.highest.low > 0.5
    assert above <= 2


def test_the_share_of_nearer_rows_is_as_sure_as_it_says() -> None:
    """Of honest generators 95 % hold one half; many generated rows with few nearest ones are not many trials."""
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows = [rng.standard_normal((n, 8)) for n in (1000, 100, 160)]
        found = _nearer(Scene(*rows, Columns(tuple("abcdefgh"), np.zeros(8, bool))), 80)
        held += found.low <= 0.5 <= found.high
    assert held >= 54  # with every row a trial it is 44


def test_the_copier_changes_numbers_a_little() -> None:
    rows = table(1, 500)
    copied = planted_copier(rows, COLUMNS, 0)
    assert (np.isnan(copied) == np.isnan(rows)).all()
    assert (copied[:, COLUMNS.categorical] == rows[:, COLUMNS.categorical]).all()
    assert 0 < np.abs(copied[:, 0] - rows[:, 0]).mean() < 0.1
    assert np.isin(copied[:, 0], rows[:, 0]).all()


def test_values_in_common_by_hand() -> None:
    asked = np.array([[0.5, 1.0], [0.1, 2.0]], np.float32)
    rows = np.array([[0.505, 1.0], [0.5, 0.0], [0.9, 2.0]], np.float32)
    assert _most_in_common(asked, rows, np.array([False, True])).tolist() == [2, 1]


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_do_not_depend_on_the_order_of_who_is_asked(name: str) -> None:
    generated, reference, asked = wide(1, 80), wide(2, 60), wide(3, 40)
    order = np.random.default_rng(0).permutation(40)
    one = ATTACKS[name](Scene(generated, reference, asked, WIDE))
    other = ATTACKS[name](Scene(generated, reference, asked[order], WIDE))
    assert np.allclose(one[order], other, atol=1e-6) and np.isfinite(one).all()


def test_too_few_rows() -> None:
    with pytest.raises(JudgeError, match="at least 100"):
        privacy(wide(1, 80), wide(2, 80), wide(3, 80), WIDE)
