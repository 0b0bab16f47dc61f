"""What a figure is, and that no number of the judge is given for rows that cannot be compared."""

import json
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from feature_sets import normal
from gandem.errors import JudgeError
from gandem.judge.coverage import coverage, density, precision, recall
from gandem.judge.distances import frechet_distance, kernel_distance, mind
from gandem.judge.diversity import cell_balance, rank_ratio, spread_ratio, support
from gandem.judge.figure import Figure, error_by_halves, shown
from gandem.judge.memorisation import Memorisation
from gandem.judge.two_sample import two_sample


def memorisation(generated: Tensor, real: Tensor) -> Memorisation:
    return Memorisation.of(generated, real, real)


JUDGED = [frechet_distance, kernel_distance, mind, precision, recall, density, coverage, two_sample]
JUDGED += [spread_ratio, rank_ratio, support, cell_balance, memorisation]


def with_a(number: float) -> Tensor:
    rows = normal(1, 120, 3)
    rows[7, 1] = number
    return rows


@pytest.mark.parametrize("judged", JUDGED)
@pytest.mark.parametrize(
    ("generated", "says"),
    [
        (with_a(math.nan), "1 of 120 generated rows hold NaN or infinity"),
        (with_a(-math.inf), "1 of 120 generated rows hold NaN or infinity"),
        (normal(1, 120, 4), r"different numbers of features: .*'generated': 4, .*3"),
        (normal(1, 1, 3), "1 generated rows are too few to judge by"),
        (normal(1, 0, 3), "0 generated rows are too few to judge by"),
        (normal(1, 120, 3).flatten(), "generated features must have the shape"),
        (normal(1, 120, 0), "generated features must have the shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    judged: Callable[[Tensor, Tensor], object], generated: Tensor, says: str
) -> None:
    with pytest.raises(JudgeError, match=says):
        judged(generated, normal(2, 120, 3))


@pytest.mark.parametrize("judged", JUDGED)
def test_figures_repeat_and_touch_no_state(judged: Callable[[Tensor, Tensor], object]) -> None:
    generated, real = normal(1, 120, 3, scale=1.2), normal(2, 110, 3)
    kept, state = (generated.clone(), real.clone()), torch.get_rng_state()
    assert repr(judged(generated, real)) == repr(judged(generated, real))
    assert generated.equal(kept[0]) and real.equal(kept[1]) and torch.get_rng_state().equal(state)


@pytest.mark.parametrize("judged", [judged for judged in JUDGED[:10] if judged is not two_sample])
def test_half_precision_of_features_is_widened_first(judged: Callable[[Tensor, Tensor], Figure]) -> None:
    generated, real = normal(1, 120, 3).float(), normal(2, 110, 3).float()
    assert judged(generated, real) == judged(generated.double(), real.double())


@pytest.mark.parametrize("judged", JUDGED[:10])
def test_the_interval_holds_the_value_and_the_counts_are_told(judged: Callable[[Tensor, Tensor], Figure]) -> None:
    figure = judged(normal(1, 120, 3, shift=0.2), normal(2, 110, 3))
    assert figure.low <= figure.value <= figure.high
    assert {figure.n, figure.n_reference} == {120, 110} or judged is rank_ratio


def test_wilson_by_hand() -> None:
    """The bounds are the shares p with |hits / n - p| = 1.96 sqrt(p (1 - p) / n)."""
    figure = Figure.of_share(7, 40)
    for bound in (figure.low, figure.high):
        assert abs(7 / 40 - bound) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / 40), rel=1e-6)
    assert Figure.of_share(0, 40).low == 0 and 0.05 < Figure.of_share(0, 40).high < 0.12
    assert Figure.of_share(40, 40).high == 1 and 0.88 < Figure.of_share(40, 40).low < 0.95


def test_to_dict_is_json() -> None:
    figure = Figure(2.0, 1.0, math.inf, 5).to_dict()
    assert figure == {"value": 2.0, "low": 1.0, "high": None, "n": 5}
    assert json.loads(json.dumps(figure, allow_nan=False)) == figure
    assert Figure(2.0, 1.0, 3.0, 5, 6).to_dict()["n_reference"] == 6


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_halves_know_the_error_of_a_squared_mean_with_and_without_a_first_order(shift: float) -> None:
    """Var |mean|^2 = 4 shift^2 / n + 2 d / n^2 for unit variance and shift along one of d directions."""
    n, d = 400, 30
    rows = [normal(seed, n, d) + shift * torch.eye(d, dtype=torch.float64)[0] for seed in range(20)]
    errors = [error_by_halves(lambda i, x=x: float(x[i].mean(0).square().sum()), n) for x in rows]
    truth = math.sqrt(4 * shift**2 / n + 2 * d / n**2)
    assert sum(errors) / len(errors) == pytest.approx(truth, rel=0.2)


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (Figure(0.31, 0.28, 0.3449, 10), "0.31 (0.28 to 0.34)"),
        (Figure(0.00596, 0.00509, 0.00683, 10), "0.0060 (0.0051 to 0.0068)"),
        (Figure(95190.2, 40000.0, math.inf, 10), "95,190 (40,000 to more)"),
        (Figure(40, 40, 40, 40), "40"),
        (Figure(0.5, 0.5, 0.5, 40), "0.500"),
    ],
)
def test_a_figure_is_shown_with_the_digits_that_its_interval_leaves(figure: Figure, said: str) -> None:
    assert shown(figure.to_dict()) == said
