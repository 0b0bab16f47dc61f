"""The verdict on feature sets whose fault is known, and that no floor can win it."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from feature_sets import normal
from gandem.errors import JudgeError
from gandem.judge.coverage import coverage, density, precision, recall
from gandem.judge.distances import (
    frechet_distance,
    frechet_share,
    frechet_share_value,
    frechet_value,
    kernel_distance,
    mind,
)
from gandem.judge.diversity import cell_balance, rank_ratio, spread_ratio
from gandem.judge.figure import Figure
from gandem.judge.judgement import METRICS, Copying, Judgement, judge
from gandem.judge.two_sample import two_sample
from gandem.judge.verdict import DETAILS, ORDER, RULES, Verdict, _over, _told_apart, evidence_of, improvement

D, MODES = 8, 10
CENTRES = normal(99, MODES, D, scale=4.0)


def mixture(seed: int, n: int, modes: int = MODES) -> Tensor:
    """Rows around the first of ten centres, as many around each."""
    return CENTRES[torch.arange(n) % modes] + normal(seed, n, D)


TRAINING, HELD_OUT, REAL = mixture(1, 3000), mixture(2, 600), mixture(3, 600)
FLOORS = {"one repeated": REAL[:1].expand(600, D), "noise": normal(4, 600, D, scale=40.0)}
MADE: dict[str, Callable[[], Tensor]] = {
    "excellent": lambda: mixture(5, 600),
    "usable": lambda: mixture(5, 600) + normal(6, 600, D, shift=0.35, scale=0.5),
    "too little training": lambda: mixture(5, 600) * 0.5 + normal(6, 600, D, scale=2.0),
    "lost variety": lambda: mixture(5, 600, modes=4),
    "copies its data": lambda: torch.cat([TRAINING[:90], mixture(5, 510)]),
    "collapsed": lambda: mixture(5, 12)[torch.arange(600) % 12] + normal(6, 600, D, scale=0.001),
    "diverged": lambda: normal(7, 600, D, scale=60.0),
}


def judged(generated: Tensor, **floors: Tensor) -> Judgement:
    copying = Copying.of(generated, TRAINING, HELD_OUT)
    return judge(generated, HELD_OUT, real=REAL, floors=floors, copying=copying)


@pytest.mark.parametrize("verdict", MADE)
def test_every_fault_gets_its_verdict(verdict: str) -> None:
    found = Verdict.of(judged(MADE[verdict]()))
    assert found.verdict == verdict, found.because
    assert found.because and found.advice


def test_a_generator_that_was_getting_better_is_told_to_go_on() -> None:
    poor = judged(MADE["too little training"]())
    assert Verdict.of(poor, Figure(0.2, 0.1, 0.3, 600)).verdict == "still improving"
    assert Verdict.of(poor, Figure(0.1, -0.1, 0.3, 600)).verdict == "too little training"


def test_a_kind_that_other_real_rows_have_not_is_not_missing() -> None:
    """Twelve held-out rows lie apart, by chance: other real rows do not come there either."""
    held_out, real, made, training = (normal(seed, 126, 8) for seed in (11, 12, 13, 14))
    held_out[:12] += 30
    judgement = judge(made, held_out, real=real, floors={}, copying=Copying.of(made, training, held_out))
    assert cell_balance(made, held_out).missing > 0 and judgement.cells.missing == 0


def test_one_sample_repeated_has_collapsed_wherever_it_lies() -> None:
    for repeated in (REAL[:1], REAL[:1] + 30):
        assert Verdict.of(judged(repeated.expand(600, D))).verdict == "collapsed"


def test_data_with_one_row_over_and_over_do_not_make_a_generator_collapsed() -> None:
    """A third of the real rows is one and the same, as where most of a table is zeros; so are a third of the made."""

    def often(rows: Tensor) -> Tensor:
        return torch.cat([CENTRES[:1].expand(len(rows) // 3, D), rows[len(rows) // 3 :]])

    made, known, held_out = (often(rows) for rows in (mixture(5, 600), mixture(1, 3000), mixture(2, 600)))
    copying = Copying.of(made, known, held_out)
    found = judge(made, held_out, real=often(mixture(3, 600)), floors=FLOORS, copying=copying)
    assert found.support.generated.high < 100
    assert Verdict.of(found).verdict not in ("collapsed", "diverged")


def test_kinds_are_only_missed_by_samples_that_look_right() -> None:
    """Samples of four modes of ten, dense enough, but each a little off: a classifier tells nearly all of them."""
    judgement = judged(mixture(5, 600, modes=4))
    assert Verdict.of(judgement).verdict == "lost variety"
    assert Verdict.of(judgement, Figure(0.2, 0.1, 0.3, 600)).verdict == "still improving"
    judgement.generated["two_sample"] = Figure(0.98, 0.97, 0.99, 600)
    assert Verdict.of(judgement).verdict == "too little training"


def test_what_is_told_from_the_data_in_four_of_five_pairs_is_not_usable() -> None:
    judgement = judged(MADE["usable"]())
    judgement.generated["two_sample"] = Figure(0.79, 0.77, 0.81, 600)
    assert Verdict.of(judgement).verdict == "too little training"


def told(*distances: float) -> list[dict[str, float]]:
    """Quick judgements at equal steps of a budget."""
    return [{"progress": (n + 1) / len(distances), "distance": each} for n, each in enumerate(distances)]


def test_improvement_is_what_the_second_half_of_the_budget_brought() -> None:
    falling = improvement(told(*(10 * 0.9**n for n in range(21))))
    assert falling is not None and falling.value == pytest.approx(1 - 0.9**10.5) and falling.low > 0.6
    swinging = improvement(told(*(30, 20, 12, 10) * 2, 9, 11, 9, 11, 9, 11, 9, 11))
    assert swinging is not None and swinging.low < 0 < swinging.high
    assert improvement(told(9, 8, 7, 6, 5, 4)) is not None and improvement(told(9, 8, 7, 6)) is None
    extended = improvement([*told(*range(30, 20, -1)), *told(9, 11, 10, 10, 11, 9, 10, 10)])
    assert extended is not None and extended.low < 0  # only the larger budget's own second half


def test_every_verdict_has_its_place_in_the_order() -> None:
    assert sorted(rule.verdict for rule in RULES) == sorted(ORDER) and set(MADE) < set(ORDER)
    assert Verdict.cannot_tell(40, 7).to_dict()["because"]["held-out real samples"]["value"] == 7


def test_floors_win_what_a_trivial_generator_can_win_and_no_distance() -> None:
    judgement = judged(MADE["excellent"](), **FLOORS)
    assert "one repeated" in judgement.won_by("precision")
    for metric in ("frechet_distance", "frechet_share", "mind", "coverage", "two_sample"):
        assert not judgement.won_by(metric), metric


ALONE = [frechet_distance, frechet_share, kernel_distance, mind, precision, recall, density, coverage]
ALONE += [two_sample, spread_ratio, rank_ratio]


def test_sets_that_are_judged_together_are_judged_as_each_alone() -> None:
    rows = judged(MADE["usable"](), **FLOORS).rows
    assert [measure.__name__ for measure in ALONE] == list(METRICS)
    for name, generated in {"generated": MADE["usable"](), "real": REAL, **FLOORS}.items():
        for measure in ALONE:
            rel = 1e-3 if measure is two_sample else 1e-8  # classifiers that are trained together round otherwise
            alone = pytest.approx(measure(generated, HELD_OUT).to_dict(), rel=rel, abs=1e-8)
            assert rows[name][measure.__name__].to_dict() == alone, (name, measure)


def test_all_rows_rest_on_the_same_count_and_go_to_json() -> None:
    judgement = judged(mixture(5, 450), **FLOORS)
    assert {figure.n for name in ("mind", "precision") for figure in (r[name] for r in judgement.rows.values())} == {
        450
    }
    state = json.loads(json.dumps(judgement.to_dict()))
    assert set(state["rows"]) == {"generated", "real", *FLOORS} and set(state["won_by"]) == set(METRICS)
    assert len(state["copying"]["pairs"]["training"]) == 8


@pytest.mark.parametrize(("rows", "what"), [(mixture(5, 99), "too few"), (mixture(5, 200)[:, :4], "numbers of feat")])
def test_what_cannot_be_compared_is_refused(rows: Tensor, what: str) -> None:
    with pytest.raises(JudgeError, match=what):
        judged(rows)


def test_the_frechet_share_is_bounded_and_has_no_scale() -> None:
    one, two = mixture(1, 300), mixture(2, 300, modes=3)
    value = frechet_share_value(one, two)
    assert value == pytest.approx(frechet_share_value(7 * one, 7 * two), rel=1e-9)
    most = (one.mean(0) - two.mean(0)).square().sum() + one.var(0).sum() + two.var(0).sum()
    assert value == pytest.approx(frechet_value(one, two) / float(most), rel=1e-9)
    assert frechet_share(one[:1].expand(50, D), two).value == pytest.approx(1, abs=1e-9)
    assert (
        frechet_share_value(one, one) < 1e-12 and frechet_share_value(one[:1].expand(9, D), one[:1].expand(9, D)) == 0
    )


def test_what_few_real_rows_have_by_chance_does_not_count_against_a_generator() -> None:
    """A hundred rows of 96 numbers: real ones alone are 4 % apart and more by chance."""
    held_out, real, made = (normal(seed, 100, 96) for seed in (1, 2, 3))
    copying = Copying.of(made, normal(4, 500, 96), held_out)
    judgement = judge(made, held_out, real=real, floors={}, copying=copying)
    assert judgement.real["frechet_share"].value > 0.03
    found = evidence_of(judgement)["Frechet share beyond real"]
    assert found.low <= found.value <= found.high and found.value < 0.03


def test_the_surer_of_two_tests_counts_and_few_judgements_are_less_sure() -> None:
    """A second test never makes a verdict better; a line through four points has two degrees of freedom."""
    one, other = Figure(0.58, 0.53, 0.63, 400), Figure(0.585, 0.575, 0.595, 4000)
    assert _told_apart({"two-sample AUC": one, DETAILS: other}) is one
    assert _told_apart({"two-sample AUC": one, DETAILS: Figure(0.9, 0.88, 0.92, 400)}).value == 0.9
    figure = improvement(told(20, 18, 9, 9.2, 8.8, 9.1))
    assert figure is not None and figure.n == 4
    at, fallen = np.array([3, 4, 5, 6]) / 6, -np.log([9, 9.2, 8.8, 9.1])
    slope, start = np.polyfit(at, fallen, 1)
    error = (((fallen - start - slope * at) ** 2).sum() / 2 / ((at - at.mean()) ** 2).sum()) ** 0.5
    ends = [slope / 2 - 4.303 * error / 2, slope / 2 + 4.303 * error / 2]
    assert -np.log([1 - figure.low, 1 - figure.high]) == pytest.approx(ends, rel=1e-3)


def test_the_error_of_the_whole_counts_in_a_share_of_it() -> None:
    """0.9 of 1.0, each known to 0.03: to 0.03 (1 + 0.9^2)^(1/2)."""
    share = _over(Figure(0.9, 0.87, 0.93, 100), Figure(1.0, 0.97, 1.03, 100))
    assert (share.value, share.high - 0.9) == pytest.approx((0.9, 0.03 * 1.81**0.5))


def test_the_slowest_part_says_how_far_it_is() -> None:
    heard: list[tuple[int, int]] = []
    copying = Copying.of(REAL[:200], REAL[200:], HELD_OUT[:200])
    judge(REAL[:300], HELD_OUT, real=REAL, floors={}, copying=copying, tell=lambda done, of: heard.append((done, of)))
    assert [done for done, _ in heard] == list(range(heard[0][1]))
