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
FEWEST = 0.05
"""Balancing that would add less than this part of the rows is no amount of its own."""

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
        """Build it with every free arm that such rows have."""
        return cls(problem, generator, learners, FREE_FOR_PICTURES if problem.pictures else FREE)

    def play(self, split: Split, tell: Tell = lambda doing: None) -> dict[str, Any]:
        """Return what one fold found, in plain JSON types.

        The generator learns from `split.fit` alone. `split.validation` chooses its amount and every threshold; then the
        learners learn from both, changed by their arm, and `split.test` is scored once.
        """
        problem = self.problem
        tell("the generator learns")
        fit = self._training(split.fit)
        sampler = self.generator.fit(fit.rows, fit.labels, problem.categorical, split.seed)
        found: dict[str, Any] = {
            "rows": {"train": len(split.train), "test": len(split.test)},
            "validation": {},
            "chosen": {},
            "scores": {},
            "curve": {},
        }
        for learner in self.learners:
            tell(f"{learner.name} learns")
            found["scores"][learner.name] = self._arms(learner, split, sampler, found)
            found["curve"][learner.name] = self._curve(learner, split)
        return found

    def _arms(self, learner: Learner, split: Split, sampler: Sampler, found: dict[str, Any]) -> dict[str, Any]:
        """Return the scores of every arm on the test rows, and note what was chosen on the way."""
        problem = self.problem
        candidates: dict[str, dict[str, Arm]] = {NOTHING: {NOTHING: nothing}}
        candidates |= {
            name: {name: arm} for name, arm in self.arms.items() if learner.weighted or name not in NEEDS_WEIGHTS
        }
        candidates[GENERATOR] = {amount: self._adding(sampler, amount) for amount in self._amounts(split)}
        scored = {}
        for name, ways in candidates.items():
            tried = {}
            for way, arm in ways.items():
                guess = self._learn(learner, arm, split.fit, split.seed)(problem.rows[split.validation])
                tried[way] = (primary(guess, problem.labels[split.validation], problem.positives), guess)
            best = max(tried, key=lambda way: tried[way][0])
            decided = thresholds(tried[best][1], problem.labels[split.validation], problem.positives)
            guess = self._learn(learner, ways[best], split.train, split.seed)(problem.rows[split.test])
            scored[name] = scores(guess, problem.labels[split.test], problem.positives, decided)
            if name == NOTHING:
                found["validation"][learner.name] = tried[best][0]
            if name == GENERATOR:
                found["chosen"][learner.name] = best
        return scored

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
