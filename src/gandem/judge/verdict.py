"""The verdict: one word for a judgement, the numbers that decided it, and what to do next. All rules are in RULES."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gandem.judge.figure import Figure, quantile, shown
from gandem.judge.judgement import FEWEST, Judgement

Numbers = dict[str, Figure]

DETAILS = "two-sample AUC of details"
"""What kinds of data bring whose samples are made small before they are looked at."""
A_POINT = 0.03
"""Spread of samples that are one and the same: where that one lies says nothing. Noise has 0.07 to 0.12."""
A_TENTH = 0.95
"""AUC at which samples that are right can be told from the data if they make up a tenth of it: 1 - 0.1 / 2. What is
told more surely does not look right."""


@dataclass(frozen=True)
class Rule:
    """A verdict, when it holds, the numbers that show it, and what to do."""

    verdict: str
    holds: Callable[[Numbers], bool]
    because: tuple[str, ...]
    advice: str


def _least(of: Numbers, name: str, otherwise: float) -> float:
    """Return the lower end of a number that not every kind of data has."""
    return of[name].low if name in of else otherwise


def _told_apart(of: Numbers) -> Figure:
    """Return how surely a fresh classifier tells the samples apart, of whole samples or of details, the surer one."""
    return max((of[name] for name in ("two-sample AUC", DETAILS) if name in of), key=lambda figure: figure.high)


def _improving(of: Numbers) -> bool:
    return "improvement" in of and of["improvement"].low > 0


RULES = (
    Rule(
        "diverged",
        lambda of: (
            of["Frechet share beyond real"].low > 0.7
            and of["distance to the data"].low > 1.3
            and of["spread"].high > A_POINT
        ),
        ("Frechet share beyond real", "distance to the data"),
        "The samples have next to nothing in common with the data. Train again with a lower rate "
        "(--set optimizer.lr=, half of what its recipe.yaml says); if this was a short first try, give it more time.",
    ),
    Rule(
        "collapsed",
        lambda of: (
            # where real rows are often the same, generated ones may be
            of["different samples"].high < min(100, _least(of, "different real samples", math.inf) / 2)
            or of["spread"].high <= A_POINT
        ),
        ("different samples", "different real samples", "spread"),
        "Throw this generator away: it makes a few samples over and over. Train again with a higher penalty "
        "(--set game.gamma=10) or half the rate (--set optimizer.lr=).",
    ),
    Rule(
        "copies its data",
        lambda of: (
            of["copied share"].low > 2 * of["copied share of held-out data"].value
            or _least(of, "membership attack", 0.0) > 0.7
        ),
        ("copied share", "copied share of held-out data", "membership attack"),
        "Do not share these samples: too many are training data. Train on more data, for a shorter time, or with "
        "stronger augmentation (--set game.augment=1).",
    ),
    Rule(
        "lost variety",
        lambda of: (
            of["density"].value >= 0.7
            and of["two-sample AUC"].value <= A_TENTH
            and not _improving(of)  # the kinds may still come
            and (of["coverage"].value < 0.6 or of["missing cells"].low > 0.1)
        ),
        ("coverage", "missing cells", "density"),
        "What it makes looks right, but whole kinds of the data are missing. Train again with a higher penalty "
        "(--set game.gamma=10), or for longer.",
    ),
    Rule(
        "excellent",
        lambda of: (
            _told_apart(of).high <= 0.6 and of["coverage"].value >= 0.9 and _least(of, "global utility", 1.0) > 0.5
        ),
        ("two-sample AUC", DETAILS, "coverage", "global utility"),
        "Use it. Training further would hardly show.",
    ),
    Rule(
        "usable",
        lambda of: (
            (of["Frechet share beyond real"].high <= 0.05 or _told_apart(of).high <= 0.7)
            and of["coverage"].value >= 0.6
            and _told_apart(of).high <= 0.8
            and _least(of, "global utility", 1.0) > 0.5
        ),
        ("Frechet share beyond real", "coverage", "two-sample AUC", DETAILS, "global utility"),
        "Use it where a trained eye may tell it from the data; more time would still help (gandem resume).",
    ),
    Rule(
        "still improving",
        _improving,
        ("improvement", "Frechet share beyond real"),
        "It was getting better when it stopped: continue with gandem resume RUN --budget +10m.",
    ),
    Rule(
        "too little training",
        lambda of: True,
        ("Frechet share beyond real", "coverage", "two-sample AUC", DETAILS, "global utility"),
        "Give it more time (gandem resume RUN --budget +10m); if it has settled, or time does not help, a larger "
        "network (--set network.width=, more than its recipe.yaml says).",
    ),
)
"""Tried from the top; the first that holds decides. "cannot tell" stands before them all: see `Verdict.cannot_tell`.
"global utility" and "membership attack" are there for kinds of data whose domain brings them."""

ORDER = (
    "excellent",
    "usable",
    "still improving",
    "too little training",
    "lost variety",
    "copies its data",
    "collapsed",
    "diverged",
)
"""From the best to the worst."""


@dataclass(frozen=True)
class Verdict:
    """One of ORDER or "cannot tell"; the numbers that decided it, by name; and what to do next."""

    verdict: str
    because: Numbers
    advice: str

    @classmethod
    def of(
        cls, judgement: Judgement, improvement: Figure | None = None, evidence: Mapping[str, Figure] | None = None
    ) -> Verdict:
        """Apply the rules. improvement: how much the quality rose over the last evaluations, where that is known.

        evidence: what the domain brings, more numbers or better ones.
        """
        numbers = {**evidence_of(judgement), **(evidence or {})}
        if improvement is not None:
            numbers["improvement"] = improvement
        rule = next(rule for rule in RULES if rule.holds(numbers))
        return cls(rule.verdict, {name: numbers[name] for name in rule.because if name in numbers}, rule.advice)

    @classmethod
    def cannot_tell(cls, generated: int, held_out: int) -> Verdict:
        """The verdict for fewer generated or held-out samples than can be judged by."""
        counts = {"generated samples": generated, "held-out real samples": held_out}
        return cls(
            "cannot tell",
            {name: Figure(count, count, count, count) for name, count in counts.items()},
            f"At least {FEWEST} of each are needed. Bring more, or hold out more (--set data.held_out=0.5 at most).",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        because = {name: figure.to_dict() for name, figure in self.because.items()}
        return {"verdict": self.verdict, "because": because, "advice": self.advice}

    def lines(self) -> list[str]:
        """Say it in two lines."""
        because = "; ".join(f"{name} {shown(figure.to_dict())}" for name, figure in self.because.items())
        return [f"verdict: {self.verdict.upper()} ({because})", self.advice]


def improvement(judgements: Sequence[Mapping[str, float]]) -> Figure | None:
    """Return the share by which the "distance" fell in the second half of a budget, by a line through its logarithm.

    judgements: quick ones in order, each with its "progress" in [0, 1]. None for fewer than four there.
    """
    began = max((at for at, each in enumerate(judgements) if each["progress"] < 0.5), default=-1) + 1
    late = [each for each in judgements[began:] if each["distance"] > 0]
    if len(late) < 4:
        return None
    at = torch.tensor([each["progress"] for each in late], dtype=torch.float64)
    fallen = -torch.tensor([each["distance"] for each in late], dtype=torch.float64).log()
    centred = at - at.mean()
    slope = centred @ fallen / centred.square().sum()
    rest = fallen - fallen.mean() - slope * centred
    error = float((rest.square().sum() / (len(late) - 2) / centred.square().sum()).sqrt())
    half = quantile(len(late) - 2) * error / 2
    log = Figure(float(slope) / 2, float(slope) / 2 - half, float(slope) / 2 + half, len(late))
    return Figure(-math.expm1(-log.value), -math.expm1(-log.low), -math.expm1(-log.high), len(late))


def evidence_of(judgement: Judgement) -> Numbers:
    """Return what the rules look at. Coverage and density are shares of what real rows reach at the same count.

    Of the Frechet share that of real rows at the same count is taken off: of 100 of them it is 0.04 by chance alone.
    distance to the data: of the nearest real sample, as a multiple of what held-out real samples have.
    """
    generated, real, cells, copying = judgement.generated, judgement.real, judgement.cells, judgement.copying
    missing = Figure.of_share(max(cells.missing - cells.missing_by_chance, 0.0), cells.cells)
    return {
        "Frechet share beyond real": _beyond(generated["frechet_share"], real["frechet_share"].value),
        "two-sample AUC": generated["two_sample"],
        "spread": generated["spread_ratio"],
        "coverage": _over(generated["coverage"], real["coverage"]),
        "density": _over(generated["density"], real["density"]),
        "missing cells": missing,
        "different samples": judgement.support.generated,
        "different real samples": judgement.support.real,
        "distance to the data": copying.neighbour_ratio,
        "copied share": copying.copied_share.generated,
        "copied share of held-out data": copying.copied_share.held_out,
    }


def _beyond(figure: Figure, known: float) -> Figure:
    """Take from a share what is there by chance."""
    value, low, high = (max(end - known, 0.0) for end in (figure.value, figure.low, figure.high))
    return Figure(value, low, high, figure.n, figure.n_reference)


def _over(figure: Figure, whole: Figure) -> Figure:
    """Divide a figure by another one above zero; the errors of both count, as if each knew nothing of the other."""
    below, value = max(whole.value, 1e-9), figure.value / max(whole.value, 1e-9)
    low = math.hypot(figure.value - figure.low, value * (whole.high - whole.value)) / below
    high = math.hypot(figure.high - figure.value, value * (whole.value - whole.low)) / below
    return Figure(value, max(value - low, 0.0), value + high, figure.n, figure.n_reference)
