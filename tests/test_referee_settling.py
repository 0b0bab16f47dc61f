"""When the referee thinks that a training has settled, and when it turns the augmentation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gandem.referee.referee import COOLING, Referee
from referees import DIALS, examined, judge_all, signals


@pytest.mark.parametrize("stop", [True, False])
def test_a_plateau_settles(stop: bool) -> None:
    rng = np.random.default_rng(1)
    referee = Referee(1000, stop=stop)
    flat = [5.0, 1.0] + [0.16 * float(rng.lognormal(0, 0.03)) for _ in range(18)]
    actions = [ruling.action for ruling in judge_all(referee, flat)]
    assert actions.count("settle") == stop
    if stop:
        settled = actions.index("settle") + 1
        assert 8 <= settled <= 13 and referee.memory.settled == settled / 20


def test_who_has_settled_never_learns_again_in_words() -> None:
    referee = Referee(1000)
    words = [ruling.state for ruling in judge_all(referee, [1.0] * 20)]
    assert words[6].startswith("learning: distance 1,") and words[7] == "settled: cooling down to the end"
    assert set(words[8:]) == {"settled: cooling down to the end, distance 1, variety 0.95 of real"}
    assert referee.look(21_000, signals(1), DIALS).state == words[-1]
    referee.reopen()  # given a larger budget
    assert referee.look(21_016, signals(2), DIALS).state == "learning"


@pytest.mark.parametrize("seed", range(20))
def test_steady_gains_never_settle(seed: int) -> None:
    """8 % nearer with every judgement, judged with an error of 3 %."""
    rng = np.random.default_rng(seed)
    gains = [5 * 0.92**number * float(rng.lognormal(0, 0.03)) for number in range(20)]
    assert all(ruling.action == "play on" for ruling in judge_all(Referee(1000), gains))


@pytest.mark.parametrize(("gain", "settles"), [(0.01, True), (0.015, False)])
def test_settled_is_who_gains_less_than_a_twentieth_in_a_fifth_of_the_budget(gain: float, settles: bool) -> None:
    rulings = judge_all(Referee(1000), [(1 - gain) ** number for number in range(20)])
    assert any(ruling.action == "settle" for ruling in rulings) == settles


def test_who_cannot_tell_has_not_settled() -> None:
    """No trend at all, but every other judgement is twice as far."""
    rulings = judge_all(Referee(1000), [1.0, 2.0] * 10)
    assert [ruling.action for ruling in rulings[:13]] == ["play on"] * 13


def test_nobody_settles_where_nothing_is_left_to_save() -> None:
    referee = Referee(1000)
    falling = [0.9**number for number in range(13)]
    rulings = judge_all(referee, [*falling, *[falling[-1]] * 4, *[2 * falling[-1]] * 3])
    assert (
        all(ruling.action == "play on" for ruling in rulings) and referee.summary()["ended"] == "the budget was spent"
    )


def test_noise_settles_nothing() -> None:
    """Distances of a training of four minutes on MNIST that was thought to have settled at 59 % of its budget."""
    referee = Referee(1000)
    for progress, distance in zip(
        (0.12, 0.21, 0.31, 0.40, 0.50, 0.59, 0.68, 0.77), (16.3, 12.7, 11.4, 12.2, 11.8, 10.7, 9.9, 9.2), strict=True
    ):
        assert referee.judged(round(1e5 * progress), progress, examined(distance), DIALS).action == "play on"


def test_a_halt_settles_nothing() -> None:
    """Distances of a training on 3,600 pictures of Fashion-MNIST, which stood still for a while: 17 in the end."""
    course = [257.8, 97.7, 60.8, 41.3, 34.6, 27.8, 23.5, 27.6, 25.8, 28.3, 26.7, 21.9, 23.0, 26.0, 24.2, 23.8, 23.7]
    course += [23.4, 24.8, 26.0, 24.6, 22.6, 20.5, 19.5, 17.1, 16.0, 17.2, 16.9, 17.1, 17.1, 17.2, 17.2, 17.2, 17.0]
    rulings = judge_all(Referee(1000), [*course, 17.3, 17.5, 17.1, 17.0, 16.9, 17.0])
    assert not any(ruling.action == "settle" for ruling in rulings)


@given(st.floats(0.4, 0.99), st.floats(0, 1), st.floats(0, 1))
def test_the_clock_runs_on_and_reaches_the_end(settled: float, one: float, other: float) -> None:
    referee = Referee()
    assert referee.clock(one) == one and referee.end == 1
    referee.memory.settled = settled
    early, late = sorted((one, other))
    assert referee.clock(early) <= referee.clock(late) + 1e-12
    assert referee.clock(settled) == settled and referee.clock(referee.end) == pytest.approx(1)
    assert referee.end == min(settled + COOLING, 1) and referee.clock(late) >= late - 1e-12


def turned(referee: Referee, distances: list[float], gap: float, now: float = 0.5) -> float:
    """Return the augmentation after judgements at 0.05, 0.1, ... of the budget, the last of which has this gap."""
    for number, distance in enumerate(distances, 1):
        last = gap if number == len(distances) else 0.5
        ruling = referee.judged(1000 * number, number / 20, examined(distance, gap=last), DIALS | {"augmentation": now})
    return ruling.dials.get("augmentation", now)


def test_augmentation_follows_what_the_discriminator_knows_by_heart() -> None:
    def strength(gap: float, now: float = 0.5, adapt: bool = True) -> float:
        return turned(Referee(1000, adapt=adapt), [1.0] * 5, gap, now)

    assert strength(1.0) == pytest.approx(0.7) and strength(0.0) == pytest.approx(0.3)
    assert strength(0.6) == pytest.approx(0.54) and strength(0.5) == 0.5
    assert strength(30.0) == strength(1.0) and strength(-30.0) == strength(0.0)
    assert strength(0.9, adapt=False) == 0.5 and strength(math.nan) == strength(1.0)
    assert strength(0.9, now=0.78) == 0.8 and strength(0.1, now=0.05) == 0


def test_augmentation_grows_only_where_the_game_stands_still() -> None:
    rising = [0.9**number for number in range(5)]
    assert turned(Referee(1000, adapt=True), rising, 1.0) == 0.5
    assert (
        Referee(1000).judged(1, 0.05, examined(1.0), DIALS | {"augmentation": 0.4}).state.endswith("augmentation 0.40")
    )
    assert turned(Referee(1000, adapt=True), rising, 0.0) == pytest.approx(0.3), "and shrinks at any time"
    assert turned(Referee(1000, adapt=True), [1.0], 1.0) == 0.5, "the first has nothing to be compared with"
    assert turned(Referee(1000, adapt=True, grown=0.36), [1.0] * 8, 1.0) == 0.5, "small ones say nothing of full size"
    assert turned(Referee(1000, adapt=True, grown=0.35), [1.0] * 6, 1.0) == pytest.approx(0.7), "but of each other"
    assert turned(Referee(1000, adapt=True, grown=0.35), [1.0] * 10, 1.0) == pytest.approx(0.7)
    assert turned(Referee(1000, adapt=True, stop=False), [1.0] * 17, 1.0) == 0.5, "too late"
    settled = Referee(1000, adapt=True)
    settled.memory.settled = 0.2
    assert turned(settled, [1.0] * 5, 1.0) == 0.5, "it cools down"


def test_who_turns_the_augmentation_has_not_settled() -> None:
    referee = Referee(1000, adapt=True)
    dials = DIALS | {"augmentation": 0.8}
    for number in range(1, 7):
        dials |= {"augmentation": 0.8 if number < 6 else 0.5}
        referee.judged(1000 * number, number / 20, examined(1.0, gap=1.0), dials)
    assert referee.memory.turned == 0.3
    after = [
        referee.judged(1000 * number, number / 20, examined(1.0, gap=0.5), dials).action for number in range(7, 16)
    ]
    assert after.index("settle") == 12 - 7, "as long as all that was before"
    referee.reopen()
    assert referee.memory.turned == 0, "a larger budget begins anew"
