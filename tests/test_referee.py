"""The referee rules on numbers alone: what it says of healthy trainings and of sick ones."""

import json
import math

import numpy as np
import pytest

from gandem.referee.referee import LOOK, ROLLBACKS, UNREMARKABLE, Referee
from gandem.referee.troubles import AT_A_JUDGEMENT, AT_A_LOOK
from referees import DIALS, examined, judge_all, signals


def test_a_healthy_training_is_left_alone() -> None:
    referee, rng = Referee(1000), np.random.default_rng(0)
    for step in range(500):
        noisy = {name: value * float(rng.lognormal(0, 0.3)) for name, value in signals(step).items()}
        ruling = referee.look(step, noisy | {"skipped": 0.0, "discriminator/win_rate": 0.8}, DIALS)
        assert (ruling.action, ruling.state, dict(ruling.dials)) == ("play on", "learning", {})
    rulings = judge_all(referee, [10 * 0.8**number for number in range(20)])
    assert all(ruling.action == "play on" and ruling.best and not ruling.dials for ruling in rulings)
    assert referee.memory.best == 20_000 and referee.memory.rulings == []


def test_an_easy_game_is_not_a_steep_one() -> None:
    """Means of real trainings with a fine and with a hundredth of the penalty (docs/experiments.md)."""
    easy = {"generator__adversarial": 4.4, "discriminator__regularisation": 0.0206}
    referee = Referee()
    assert {referee.look(step, signals(step, **easy), DIALS).action for step in range(12)} == {"play on"}
    steep = {"generator__adversarial": 4.4, "discriminator__regularisation": 0.0125}
    rulings = [referee.look(step, signals(step, **steep), DIALS) for step in range(12, 15)]
    assert [ruling.action for ruling in rulings] == ["play on"] * 2 + ["roll back"]
    assert rulings[-1].dials == {"gamma": 100.0} and "too steep" in rulings[-1].state


def test_losses_without_a_floor_say_nothing_by_their_size() -> None:
    """The Wasserstein loss goes below 0 and above any limit; without a value for guessing nobody reads it."""
    referee = Referee()
    for step in range(100):
        seen = signals(step, discriminator__adversarial=-5.0, generator__adversarial=40.0, discriminator__win_rate=1.0)
        del seen["discriminator/guessing"]
        assert referee.look(step, seen, DIALS).action == "play on"


def test_numbers_that_are_not_finite_roll_back_and_with_a_lower_rate_when_they_come_again() -> None:
    referee = Referee()
    ruling = referee.look(16, signals(skipped=1.0), DIALS)
    assert (ruling.action, dict(ruling.dials)) == ("roll back", {})
    assert "not finite in 100% of the steps" in ruling.state and referee.memory.skipped == LOOK
    again = referee.look(32, signals(skipped=1.0), DIALS)
    assert (again.action, dict(again.dials)) == ("roll back", {"learning rate": 0.5})
    for skipped in (1 / LOOK, 1.0):
        broken = Referee().look(16, signals(skipped=skipped, generator__size=math.nan), DIALS)
        assert (broken.action, dict(broken.dials)) == ("mend", {}) and "a weight is not finite" in broken.state
    one = Referee().look(16, signals(skipped=1 / LOOK), DIALS)
    assert one.action == "play on"  # one step is left out and that is all


def test_after_three_rollbacks_going_on_does_not_help() -> None:
    referee = Referee()
    actions = [referee.look(16 * number, signals(skipped=1.0), DIALS).action for number in range(ROLLBACKS + 1)]
    assert actions == ["roll back"] * ROLLBACKS + ["stop"]
    assert referee.memory.over and "not finite" in referee.memory.over and referee.summary()["ended"]


def test_where_nothing_is_judged_the_way_back_is_the_last_quiet_milestone() -> None:
    referee = Referee(0)
    kept = [look for look in range(1, 40) if referee.look(16 * look, signals(look), DIALS).keep]
    assert kept == [8, 10, 12, 16, 20, 24, 31, 38] and referee.refuge == 16 * 38
    for look in range(40, 49):  # 48 would be the next
        left_out = {"generator__gradient": 0.0} if look == 44 else {"skipped": 1 / LOOK}
        assert not referee.look(16 * look, signals(look, **left_out), DIALS).keep
    assert referee.refuge == 16 * 38


def test_before_the_first_judgement_the_way_back_is_the_beginning() -> None:
    referee = Referee(100_000)
    assert not any(referee.look(16 * look, signals(look), DIALS).keep for look in range(1, 40))
    assert referee.refuge == 0
    referee.judged(16 * 65, 0.5, examined(5.0), DIALS)
    assert referee.refuge == 16 * 65


def test_weights_that_stand_still_end_the_training() -> None:
    referee = Referee()
    actions = [referee.look(16 * number, signals(0), DIALS).action for number in range(3)]
    assert actions == ["play on", "play on", "stop"]


@pytest.mark.parametrize(
    ("changes", "looks", "action", "dials"),
    [
        ({"discriminator__adversarial": 3.0}, 2, "roll back", {"learning rate": 0.3}),
        ({"discriminator__win_rate": 1.0, "generator__gradient": 0.01}, 24, "roll back", {"learning rate": 0.3}),
        ({"discriminator__update": 0.2}, 2, "turn", {"learning rate": 0.1}),
        ({"discriminator__update": 0.04}, 40, "play on", {}),
        ({"generator__gradient": 0.0}, 4, "roll back", {"learning rate": 0.3}),
        ({"generator__adversarial": 4.0, "discriminator__regularisation": 0.01}, 3, "roll back", {"gamma": 100.0}),
        ({"discriminator__win_rate": 1.0, "discriminator__adversarial": 0.001}, 32, "roll back", {"gamma": 4.0}),
    ],
)
def test_troubles_that_show_in_the_losses(changes: dict, looks: int, action: str, dials: dict) -> None:
    referee = Referee()
    actions = [referee.look(16 * step, signals(step, **changes), DIALS) for step in range(looks)]
    assert [ruling.action for ruling in actions] == ["play on"] * (looks - 1) + [action]
    assert dict(actions[-1].dials) == dials


def test_a_game_without_a_penalty_may_be_steep_and_is_slowed_down_where_others_are_smoothed() -> None:
    """DCGAN begins with a loss of 4 for its generator, and learns."""
    dials = {name: value for name, value in DIALS.items() if name != "gamma"}
    referee = Referee()
    steep = {"generator__adversarial": 4.0, "discriminator__regularisation": 0.0}
    assert all(referee.look(step, signals(step, **steep), dials).action == "play on" for step in range(20))
    outplayed = {"discriminator__win_rate": 1.0, "discriminator__adversarial": 0.001}
    rulings = [referee.look(20 + step, signals(20 + step, **outplayed), dials) for step in range(32)]
    assert rulings[-1].action == "roll back" and dict(rulings[-1].dials) == {"learning rate": 0.5}


def test_a_referee_that_must_not_act_only_says_what_is_wrong() -> None:
    referee = Referee(act=False)
    rulings = [referee.look(step, signals(0, generator__adversarial=4.0), DIALS) for step in range(40)]
    assert all(ruling.action == "play on" and not ruling.dials for ruling in rulings) and not referee.memory.over
    assert "its weights no longer change" in rulings[-1].state or "too steep" in rulings[-1].state


def test_a_spike_must_last() -> None:
    referee = Referee()
    for step in range(32):
        referee.look(step, signals(step), DIALS)
    spike = [referee.look(33 + n, signals(33 + n, generator__gradient=50.0), DIALS) for n in range(4)]
    assert spike[2].state == "learning" and "spiking: 100 times" in spike[3].state and spike[3].action == "play on"
    assert referee.look(37, signals(37), DIALS).state == "learning"
    actions = [referee.look(38 + n, signals(38 + n, generator__gradient=50.0), DIALS).action for n in range(8)]
    assert actions == ["play on"] * 7 + ["roll back"]


def test_lost_variety_rolls_back_to_the_best_with_a_higher_penalty() -> None:
    referee = Referee(1000)
    judge_all(referee, [5.0, 4.0, 3.0])
    falling = [referee.judged(4000 + n, 0.2 + n / 100, examined(4.0, spread=0.2), DIALS) for n in range(2)]
    assert [ruling.action for ruling in falling] == ["play on", "roll back"]
    assert falling[1].state == "variety falling: 0.20 of real" and dict(falling[1].dials) == {"gamma": 4.0}
    assert referee.memory.best == 3000


def test_little_variety_at_the_start_is_no_loss() -> None:
    referee = Referee(1000)
    rulings = [
        referee.judged(n, n / 100, examined(10.0 / n, spread=0.1 * n, sensitivity=0.3), DIALS) for n in range(1, 6)
    ]
    assert all(ruling.action == "play on" for ruling in rulings)


def test_samples_that_were_nothing_yet_are_no_measure_of_variety() -> None:
    """Measured on faces: what is nearly noise varies like the data, the first smooth faces much less."""
    referee = Referee(1000)
    course = [(82, 0.94), (36, 0.70), (28, 0.48), (33, 0.38), (32, 0.40), (31, 0.44), (27, 0.49)]
    rulings = [
        referee.judged(1000 * n, n / 20, examined(float(distance), spread=spread), DIALS)
        for n, (distance, spread) in enumerate(course, 1)
    ]
    assert all(ruling.action == "play on" for ruling in rulings) and referee.memory.best == 7000


def test_a_dip_in_variety_that_faces_go_through_is_no_loss() -> None:
    """Measured on faces: from 0.62 of real down to 0.41, and back without help."""
    referee = Referee(1000)
    course = [(26.7, 0.62), (29.0, 0.48), (29.5, 0.45), (28.3, 0.41), (29.2, 0.41), (27.2, 0.60)]
    rulings = [
        referee.judged(1000 * n, n / 20, examined(distance, spread=spread), DIALS)
        for n, (distance, spread) in enumerate(course, 1)
    ]
    assert all(ruling.action == "play on" for ruling in rulings)


def test_going_away_from_the_data_rolls_back() -> None:
    referee = Referee(1000)
    actions = [ruling.action for ruling in judge_all(referee, [5.0, 2.0, 4.5, 6.0])]
    assert actions == ["play on", "play on", "play on", "roll back"] and referee.memory.best == 2000


def test_what_is_only_said_may_be_the_best_and_what_is_acted_on_never() -> None:
    """The best has a checkpoint, so a ruling that is not marked as the best must not move it."""
    swinging = Referee(1000)
    rulings = judge_all(swinging, [5.0, 4.0, 3.0], raw_distance=1.2)
    assert [ruling.best for ruling in rulings] == [True] * 3 and swinging.memory.best == 3000
    assert "swing widely" in rulings[-1].state
    alike = Referee(1000)
    rulings = judge_all(alike, [5.0, 4.0], sensitivity=0.05)
    assert [(ruling.action, ruling.best) for ruling in rulings] == [("play on", True), ("roll back", False)]
    assert alike.memory.best == 1000


@pytest.mark.parametrize("worse", [1.3, 2.1])
def test_schedules_that_start_anew_are_no_trouble(worse: float) -> None:
    """A larger budget raises the learning rate again: for a while the quality is worse than it was at the end."""
    referee = Referee(1000)
    judge_all(referee, [5 * 0.85**number for number in range(20)])
    best = referee.memory.best
    referee.reopen()
    last = 5 * 0.85**19
    for number in range(1, 21):
        distance = last * (worse if number < 5 else worse * 0.9 ** (number - 4))
        ruling = referee.judged(20_000 + 1000 * number, 0.5 + number / 40, examined(distance), DIALS)
        assert ruling.action == "play on", number
    assert referee.memory.best > best


def test_ties_go_to_the_later() -> None:
    referee = Referee(1000, stop=False)
    assert [ruling.best for ruling in judge_all(referee, [2.0, 1.0, 1.01, 1.015, 1.03])] == [
        True,
        True,
        True,
        True,
        False,
    ]
    assert referee.memory.best == 4000


def test_what_it_remembers_is_json_and_goes_on_alike() -> None:
    one, other = Referee(1000), Referee(1000)
    for step in range(40):
        one.look(step, signals(step, discriminator__r1=0.1 + step / 50), DIALS)
    judge_all(one, [5.0, 4.0, 9.0])
    other.load_state(json.loads(json.dumps(one.state())))
    assert other.state() == one.state()
    assert other.judged(4000, 0.2, examined(9.0), DIALS) == one.judged(4000, 0.2, examined(9.0), DIALS)


def test_judgements_are_due_by_images() -> None:
    referee = Referee(1000)
    assert not referee.due(999) and referee.due(1000) and not Referee(0).due(10**9)
    referee.judged(1008, 0.1, examined(1.0), DIALS)
    assert not referee.due(2000) and referee.due(2008)


def test_while_samples_grow_judgements_are_due_by_the_budget_too() -> None:
    referee = Referee(1000, grown=0.35)
    referee.judged(1000, 0.1, examined(1.0), DIALS)
    assert not referee.due(2000, 0.11) and referee.due(2000, 0.21) and referee.due(2000, 0.36)


def test_nothing_settles_on_what_was_judged_while_the_samples_grew() -> None:
    """No gain at all: settled as soon as it may be, and later where the samples had to grow first."""

    def settles(grown: float) -> float:
        referee = Referee(1000, grown=grown)
        times = [number / 20 for number in range(1, 21)]
        actions = [referee.judged(round(time * 20_000), time, examined(1.0), DIALS).action for time in times]
        return times[actions.index("settle")]

    assert settles(0.0) == pytest.approx(0.4) and settles(0.35) == pytest.approx(0.7)


def test_a_larger_budget_reopens_the_game() -> None:
    referee = Referee(1000)
    referee.memory.settled, referee.memory.over, referee.memory.rollbacks = 0.5, "why", 3
    referee.reopen()
    assert referee.end == 1 and referee.memory.over is None and referee.memory.rollbacks == 0


def test_every_trouble_can_be_said() -> None:
    looked = dict(UNREMARKABLE) | {"skipped": 1.0}
    judged = examined(1.0) | {"distance_of_its_best": 3.0, "spread_of_its_best": 0.3}
    for table, numbers in ((AT_A_LOOK, looked), (AT_A_JUDGEMENT, judged)):
        for trouble in table:
            assert "{" not in trouble.said(numbers) and trouble.patience >= 1
            assert set(trouble.remedy or {}) <= set(DIALS) and (trouble.remedy is None) == (
                trouble.action in ("say", "stop")
            )


def test_a_larger_budget_does_not_make_the_augmentation_jump() -> None:
    """What has passed before it began is no time since the last judgement."""
    referee, dials = Referee(1000, adapt=True), DIALS | {"augmentation": 0.7}
    for number in range(1, 21):
        referee.judged(1000 * number, number / 20, examined(1.0, gap=0.4), dials)
    referee.reopen()
    first, second = (referee.judged(21_000, now, examined(1.0, gap=0.4), dials) for now in (0.525, 0.55))
    assert first.dials["augmentation"] == pytest.approx(0.7)
    assert second.dials["augmentation"] == pytest.approx(0.7 - 4 * 0.025 * 0.2)


def test_samples_of_full_size_do_not_grow_again_in_a_larger_budget() -> None:
    for full in (True, False):
        referee = Referee(1000, grown=0.35)
        referee.judged(1000, 1.0, examined(1.0), DIALS)
        referee.reopen(full=full)
        referee.judged(2000, 0.1, examined(1.0), DIALS)
        assert referee.due(3000, 0.12) == full
        again = Referee(1000, grown=0.35)
        again.load_state(json.loads(json.dumps(referee.state())))
        assert again.grown == (0.0 if full else 0.35)


def test_who_only_speaks_keeps_nobody_from_acting() -> None:
    """A rate that may not be turned any more, or troubles that must last longer, above one that is acted on."""
    stuck = {"generator__gradient": 0.0, "discriminator__update": 0.2}
    referee = Referee()
    referee.memory.rollbacks = ROLLBACKS
    actions = [referee.look(step, signals(step, **stuck), DIALS).action for step in range(4)]
    assert actions == ["play on"] * 3 + ["stop"]
    saturated = {"discriminator__win_rate": 1.0, "generator__gradient": 0.01}
    steep = {"generator__adversarial": 9.0, "discriminator__regularisation": 0.001}
    referee = Referee()
    for step in range(8):
        referee.look(step, signals(step, **saturated), DIALS)
    rulings = [referee.look(step, signals(step, **saturated, **steep), DIALS) for step in range(8, 11)]
    assert "slope is gone" in rulings[1].state and rulings[-1].dials == {"gamma": 100.0}


def test_at_the_end_nothing_is_done_any_more() -> None:
    referee = Referee(1000, stop=False)
    rulings = judge_all(referee, [10.0] * 18 + [30.0] * 2)
    assert rulings[-1].action == "play on" and "moving away" in rulings[-1].state
    assert referee.memory.rulings == [] and referee.memory.over is None
