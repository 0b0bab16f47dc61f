"""What can go wrong in a training, how it shows, and what is done about it: two tables, read from the top."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Numbers = Mapping[str, float]
Action = Literal["say", "turn", "mend", "roll back", "stop"]


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong.

    seen: whether the numbers show it. patience: how often in a row before anything is done; until then it is only said.
    words: how it is said, filled with the numbers. remedy: dials and the factors that they are turned by, at once or
    when the training is rolled back. To mend is to take from the last checkpoint what is not finite, and no more. It is
    said when it has lasted a while, or as long as that.
    """

    name: str
    seen: Callable[[Numbers], bool]
    patience: int
    action: Action
    words: str
    remedy: Mapping[str, float] | None = None

    def said(self, numbers: Numbers) -> str:
        """Return the words with the numbers in them."""
        return self.words.format(**numbers)


AS_BEFORE: dict[str, float] = {}
SLOWER = {"learning rate": 0.5}
MUCH_SLOWER = {"learning rate": 0.3}
A_TENTH_AS_FAST = {"learning rate": 0.1}
SMOOTHER = {"gamma": 4.0}
MUCH_SMOOTHER = {"gamma": 100.0}
"""Penalties that work span two decades (d2l's GAN of sprites: 1 to 100, and 0.1 collapses): a hundred times one that is
too weak by up to as much is one that works."""

AT_A_LOOK = (
    Trouble(
        "broken",
        lambda of: of["broken"] > 0 and of["rollbacks"] == 0,
        1,
        "mend",
        "a weight is not finite",
        AS_BEFORE,  # it may have been a flipped bit; if not, it comes again
    ),
    Trouble(
        "not finite",
        lambda of: of["skipped"] >= 0.5 and of["rollbacks"] == 0,
        1,
        "roll back",
        "numbers not finite in {skipped:.0%} of the steps",
        AS_BEFORE,
    ),
    Trouble(
        "not finite again",
        lambda of: of["skipped"] >= 0.5 or of["broken"] > 0,
        1,
        "roll back",
        "numbers not finite in {skipped:.0%} of the steps",
        SLOWER,
    ),
    Trouble(
        "thrown about",
        lambda of: of["discriminator_loss"] > 2 * of["guessing"],
        2,
        "roll back",
        "the discriminator does worse than guessing: a loss of {discriminator_loss:.2g} where that has {guessing:.2g}",
        MUCH_SLOWER,
    ),
    Trouble(
        "too fast",
        lambda of: of["discriminator_update"] > 0.12,
        2,
        "turn",
        "the rate is too high: a step would change the discriminator by {discriminator_update:.0%}",
        A_TENTH_AS_FAST,
    ),
    Trouble(
        "no gradient",
        lambda of: of["generator_gradient"] == 0,
        4,
        "roll back",
        "the generator's gradient is exactly 0: the discriminator has run off",
        MUCH_SLOWER,
    ),
    Trouble(
        "saturated",
        lambda of: of["win_rate"] > 0.99 and of["generator_gradient"] < 0.05,
        24,
        "roll back",
        "the discriminator wins every pair and its slope is gone: the generator learns nothing",
        MUCH_SLOWER,
    ),
    Trouble(
        "too steep",
        lambda of: (
            of["penalised"] > 0 and of["generator_loss"] > 2 and of["regularisation"] < 0.004 * of["generator_loss"]
        ),
        3,
        "roll back",
        "the discriminator is too steep: a loss of {generator_loss:.2g} for the generator, and next to no penalty",
        MUCH_SMOOTHER,
    ),
    Trouble(
        "frozen",
        lambda of: of["moved"] == 0 and of["generator_gradient"] > 0,
        2,
        "stop",
        "one of the players does not learn: its weights no longer change",
    ),
    Trouble(
        "spiking",
        lambda of: of["rise"] > 10,
        8,
        "roll back",
        "gradients spiking: {rise:.0f} times the usual",
        SLOWER,
    ),
    Trouble(
        "outplayed",
        lambda of: of["win_rate"] > 0.99 and of["discriminator_loss"] < 0.02,
        32,
        "roll back",
        "the discriminator wins every pair: the generator learns nothing from it",
        SMOOTHER,
    ),
)
"""Numbers of the last LOOK steps. skipped: share of steps left out because their numbers were not finite. moved: change
of the size of the weights since the last look. discriminator_update: size of Adam's next step beside that of the
weights, as it will be when the warm-up is over; healthy trainings have about 0.03 (0.10 with first weights of 0.02), a
rate ten times too high 0.14 from the first step on. rise: the largest penalty or gradient beside its running median.
broken: whether a weight is not finite, or a number that is
kept beside the weights. rollbacks: how often something was done already. penalised: whether the game
has a penalty; those without one are steep at first and none the worse for it. regularisation: what the
penalties add to the discriminator's loss; healthy games that are easy at first have a loss of 4 for the generator too,
and 0.005 of that or more in the penalties, those that run off 0.003 or less (docs/experiments.md)."""

AT_A_JUDGEMENT = (
    Trouble(
        "variety lost",
        lambda of: of["spread"] < 0.3 and of["spread_of_its_best"] < 0.7 and of["distance_of_its_best"] > 1,
        2,
        "roll back",
        "variety falling: {spread:.2f} of real",
        SMOOTHER,
    ),
    Trouble(
        "diverging",
        lambda of: of["distance_of_its_best"] > 2,
        2,
        "roll back",
        "moving away from the data: {distance_of_its_best:.1f} times its best distance",
        SLOWER,
    ),
    Trouble(
        "latents ignored",
        lambda of: of["sensitivity"] < 0.1,
        2,
        "roll back",
        "the samples are nearly all the same: {sensitivity:.2f} of the distance between real ones",
        SMOOTHER,
    ),
    Trouble(
        "orbiting",
        lambda of: of["raw_distance"] > 1,
        2,
        "say",
        "the weights swing widely around their average: {raw_distance:.2f} of the distance between real samples",
    ),
)
"""Numbers of a quick judgement. distance: Frechet, to training samples. spread: total variance beside real.
sensitivity: mean distance between generated samples beside real ones. raw_distance: between what the last and the
averaged weights make of the same latents, in the same unit. ..._of_its_best: beside the earlier judgement of the
shortest distance; samples that are nothing yet vary most, so the widest spread of all would be the wrong measure."""
