"""One fold of the experiment: every arm and every learner on the same rows, everything chosen in the training part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gandem.augmentation.arms import (
    AMOUNTS,
    FREE,
    FREE_FOR_PICTURES,
    GENERATOR,
    NOTHING,
    Arm,
    Generator,
    Sampler,
    Training,
    generated,
    nothing,
    wanted,
)
from gandem.augmentation.learners import Learner
from gandem.augmentation.problem import Problem
from gandem.augmentation.scores import primary, scores, thresholds
from gandem.augmentation.splits import Split

NEEDS_WEIGHTS = ("class weights", "mixup")
BALANCES = ("class weights", "random oversampling", "SMOTE")
"""Free arms that do nothing but make the classes equal."""
FEWEST = 0.05
"""Balancing that would add less than this part of the rows is no amount of its own, and no free arm."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Experiment:
    """Who takes part. arms: the free ones, by name; amounts: those that the generator's arm chooses from."""

    problem: Problem
    generator: Generator
    learners: tuple[Learner, ...]
    arms: Mapping[str, Arm]
    amounts: tuple[str, ...] = AMOUNTS

    @classmethod
    def of(cls, problem: Problem, generator: Generator, learners: tuple[Learner, ...]) -> Experiment:
        """Build it with every free arm that such rows have, and that changes them."""
        arms = FREE_FOR_PICTURES if problem.pictures else FREE
        if wanted(problem.labels, len(problem.classes), "balance").sum() < FEWEST * len(problem.labels):
            arms = {name: arm for name, arm in arms.items() if name not in BALANCES}
        return cls(problem, generator, learners, arms)

    def play(
        self, split: Split, tell: Tell = lambda doing: None, known: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what one fold found, in plain JSON types.

        The generator learns from `split.fit` alone. `split.validation` chooses its amount and every threshold; then the
        learners learn from both, changed by their arm, and `split.test` is scored once. known: what was found on this
        split with another generator; the free arms and the learning curve are taken from there.
        """
        problem = self.problem
        tell("the generator learns")
        fit = self._training(split.fit)
        sampler = self.generator.fit(fit.rows, fit.labels, problem.categorical, split.seed)
        found: dict[str, Any] = {"rows": {"train": len(split.train), "test": len(split.test)}}
        found |= {"validation": {}, "chosen": {}, "scores": {}, "curve": {}}
        free = {name: _once(arm) for name, arm in self.arms.items()}
        adding = {amount: _once(self._adding(sampler, amount)) for amount in self._amounts(split)}
        for learner in self.learners:
            tell(f"learning: {learner.name}")
            name = learner.name
            if known is None:
                found["scores"][name], chosen = self._free(learner, split, free)
                found["validation"][name] = chosen
                found["curve"][name] = self._curve(learner, split)
            else:
                found["scores"][name] = dict(known["scores"][name])
                found["validation"][name], found["curve"][name] = known["validation"][name], known["curve"][name]
            scored, _, found["chosen"][name] = self._arm(learner, split, adding)
            found["scores"][name][GENERATOR] = scored
        return found

    def _free(self, learner: Learner, split: Split, free: Mapping[str, Arm]) -> tuple[dict[str, Any], float]:
        """Return the scores of doing nothing and of every free arm, and the AUC of nothing on the validation rows."""
        arms = {name: arm for name, arm in free.items() if learner.weighted or name not in NEEDS_WEIGHTS}
        scored, validated, _ = self._arm(learner, split, {NOTHING: nothing})
        return {
            NOTHING: scored,
            **{name: self._arm(learner, split, {name: arm})[0] for name, arm in arms.items()},
        }, validated

    def _arm(self, learner: Learner, split: Split, ways: Mapping[str, Arm]) -> tuple[dict[str, float], float, str]:
        """Return the test scores of the way that validates best, its AUC on the validation rows, and its name."""
        problem, tried = self.problem, {}
        for way, arm in ways.items():
            guess = self._learn(learner, arm, split.fit, split.seed)(problem.rows[split.validation])
            tried[way] = (primary(guess, problem.labels[split.validation], problem.positives), guess)
        best = max(tried, key=lambda way: tried[way][0])
        validated, guess = tried[best]
        decided = thresholds(guess, problem.labels[split.validation], problem.positives)
        guess = self._learn(learner, ways[best], split.train, split.seed)(problem.rows[split.test])
        return scores(guess, problem.labels[split.test], problem.positives, decided), validated, best

    def _curve(self, learner: Learner, split: Split) -> list[list[float]]:
        """Return [rows, AUC on the test rows] of learning from one, two and three of the four parts, doing nothing."""
        points = []
        for parts in range(1, len(split.parts)):
            rows = np.sort(np.concatenate(split.parts[:parts]))
            if len(np.unique(self.problem.labels[rows])) < len(self.problem.classes):
                continue
            guess = self._learn(learner, nothing, rows, split.seed)(self.problem.rows[split.test])
            points.append([len(rows), primary(guess, self.problem.labels[split.test], self.problem.positives)])
        return points

    def _learn(self, learner: Learner, arm: Arm, rows: np.ndarray, seed: int) -> Callable[[np.ndarray], np.ndarray]:
        training = arm(self._training(rows), self.problem.categorical, seed)
        return learner.learn(training, self.problem.categorical, len(self.problem.classes), seed)

    def _training(self, rows: np.ndarray) -> Training:
        return Training(self.problem.rows[rows], self.problem.labels[rows])

    def _adding(self, sampler: Sampler, amount: str) -> Arm:
        classes = len(self.problem.classes)
        return lambda training, categorical, seed: generated(sampler, training, classes, amount, seed)

    def _amounts(self, split: Split) -> list[str]:
        """Return the amounts that add something worth the name."""
        labels, classes = self.problem.labels[split.train], len(self.problem.classes)
        return [each for each in self.amounts if wanted(labels, classes, each).sum() >= FEWEST * len(labels)]


def _once(arm: Arm) -> Arm:
    """Remember what an arm makes of rows, which costs more than learning from it; every learner sees the same.

    In one fold an arm sees two sets of rows, `fit` and the training part, which differ in their number.
    """
    known: dict[int, Training] = {}

    def remembered(training: Training, categorical: np.ndarray, seed: int) -> Training:
        count = len(training.labels)
        if count not in known:
            known[count] = arm(training, categorical, seed)
        return known[count]

    return remembered
