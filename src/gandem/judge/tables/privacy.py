"""What attacks find out about the training rows, measured; two controls say whether the attacks work at all.

These are results of these attacks and no promise: another attack, or one who knows more, may find more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from gandem.judge.figure import Figure
from gandem.judge.neighbours import nearest
from gandem.judge.tables.attacks import ATTACKS, Scene
from gandem.judge.tables.rows import Columns, checked, independent, some
from gandem.judge.two_sample import area_figure, delong

ASKED, MADE, LOOKED, FEWEST = 1_500, 20_000, 2_000, 50
"""Training rows that are asked about, and at most as many held-out ones; generated rows that the attacker has; those
whose own neighbours are looked for; held-out rows of either use without which nothing is said."""
EXPOSED = 10
"""Rows that are named as the most exposed."""
NOISE = 0.01
"""Standard deviation by which the planted copier moves numbers, as a share of the column's rows in between."""
TOGETHER = 0.05
"""How often at most the interval of the highest attack is wrong."""


@dataclass(frozen=True)
class Attacked:
    """What all attacks reach on one set of rows, as AUC of training rows against held-out ones: 0.5 nothing, 1 all.

    highest: the maximum over the attacks; its interval allows for the choice (Bonferroni). nearer: share of generated
    rows that are nearer to a training row than to a held-out one, of equally many; 0.5 if there is no difference.
    """

    attacks: dict[str, Figure]
    highest: Figure
    nearer: Figure


@dataclass(frozen=True)
class Exposed:
    """A training row, by its place in those that were given, and the share of held-out rows that look less trained on.

    The share is of the attack that singles it out most; chance alone gives a few rows with shares near 1.
    """

    row: int
    share: float


@dataclass(frozen=True)
class Privacy:
    """Attacks on the generated rows, on copies of the training rows, and on independent columns of other real rows.

    A page whose planted copier is not found (copier.highest near 1) or whose independent columns are (their interval
    above 0.5) says nothing about the generator either. asked: training and held-out rows that were asked about;
    reference: held-out rows that the attacker has. exposed: most exposed first.
    """

    generated: Attacked
    copier: Attacked
    independent: Attacked
    exposed: tuple[Exposed, ...]
    asked: tuple[int, int]
    reference: int

    @property
    def works(self) -> bool:
        """Whether the controls came out as they must."""
        return self.copier.highest.value > 0.9 and self.independent.highest.low <= 0.5


def privacy(
    generated: np.ndarray, training: np.ndarray, held_out: np.ndarray, columns: Columns, *, seed: int = 0
) -> Privacy:
    """Attack generated rows (g, c): training rows (m, c) are the members, held-out rows (h, c) no members.

    Half of the held-out rows are what the attacker knows of the population, the other half are asked about, beside at
    most half of the training rows. The more generated rows there are, the more an attacker sees. Raises JudgeError for
    fewer than 100 held-out rows.
    """
    sets = checked(columns, FEWEST, generated=generated, training=training)
    unseen = checked(columns, 2 * FEWEST, held_out=held_out)[0]
    generated = some(sets[0], MADE, seed)
    rng = np.random.default_rng(seed)
    unseen = rng.permutation(unseen)
    reference, outsiders = unseen[: len(unseen) // 2], unseen[len(unseen) // 2 :][:ASKED]
    order = rng.permutation(len(sets[1]))
    training = sets[1][order]
    members = order[
        : min(ASKED, len(order) // 2)
    ]  # the others are for the control: even shuffled, values may give away
    asked = sets[1][members], outsiders
    ours, scores = _attacked(generated, reference, *asked, columns, seed)
    copier = _attacked(planted_copier(training[:MADE], columns, seed), reference, *asked, columns, seed)[0]
    floor = _attacked(independent(training[len(members) :][:MADE], seed), reference, *asked, columns, seed)[0]
    return Privacy(ours, copier, floor, _exposed(scores, members), (len(members), len(outsiders)), len(reference))


def planted_copier(training: np.ndarray, columns: Columns, seed: int) -> np.ndarray:
    """Return the training rows, every number moved to another one of its column nearby: what attacks must find."""
    rng = np.random.default_rng(seed)
    copied = training.copy()
    for column in np.flatnonzero(~columns.categorical):
        there = ~np.isnan(training[:, column])
        ordered = np.sort(training[there, column])
        rank = sum(np.searchsorted(ordered, training[there, column], side) for side in ("left", "right")) / 2
        moved = rank + rng.standard_normal(len(rank)) * NOISE * len(ordered)
        copied[there, column] = ordered[np.clip(moved.round().astype(int), 0, len(ordered) - 1)]
    return copied


def _attacked(
    generated: np.ndarray,
    reference: np.ndarray,
    members: np.ndarray,
    outsiders: np.ndarray,
    columns: Columns,
    seed: int,
) -> tuple[Attacked, np.ndarray]:
    """Return what the attacks reach, and their scores of all asked rows, members first, (attacks, q)."""
    scene = Scene(generated, reference, np.concatenate([members, outsiders]), columns, seed)
    scores = np.stack([attack(scene) for attack in ATTACKS.values()])
    count = len(members)
    wide = float(torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(1 - TOGETHER / (2 * len(ATTACKS)))))
    figures, widened = {}, []
    for name, score in zip(ATTACKS, scores, strict=True):
        found = delong(torch.from_numpy(score[:count]), torch.from_numpy(score[count:]))
        figures[name] = area_figure(*found, count, len(outsiders))
        widened.append(area_figure(*found, count, len(outsiders), wide))
    highest = Figure(
        max(figure.value for figure in widened),
        max(figure.low for figure in widened),
        max(figure.high for figure in widened),
        count,
        len(outsiders),
    )
    return Attacked(figures, highest, _nearer(scene, count)), scores


def _nearer(scene: Scene, members: int) -> Figure:
    """Share of generated rows nearer to a member than to an outsider, of as many; ties are one half.

    Rows that have the same nearest one tell the same, so the interval counts as many trials as those would be if each
    were asked equally often (Kish 1965).
    """
    generated, _, asked = scene.points
    generated = generated[:LOOKED]
    count = min(members, len(asked) - members)
    (ours, mine), (theirs, others) = (
        (distances[:, 0], places[:, 0])
        for distances, places in (nearest(generated, these) for these in (asked[:count], asked[members:][:count]))
    )
    share = float((ours < theirs).double().mean() + (ours == theirs).double().mean() / 2)
    times = torch.bincount(torch.where(ours <= theirs, mine, count + others)).double()
    trials = float(times.sum().square() / times.square().sum())
    return replace(Figure.of_share(share * trials, trials), n=len(generated)).against(count)


def _exposed(scores: np.ndarray, members: np.ndarray) -> tuple[Exposed, ...]:
    """Return the members that the attacks together single out most: Fisher's sum of the logarithms of their chances."""
    count = len(members)
    others = scores.shape[1] - count
    below = np.stack([np.searchsorted(np.sort(row[count:]), row[:count]) for row in scores])
    surprise = -np.log((others - below + 1) / (others + 1)).sum(0)
    order = np.argsort(-surprise, kind="stable")[:EXPOSED]
    return tuple(Exposed(int(members[place]), float(below[:, place].max() / others)) for place in order)
