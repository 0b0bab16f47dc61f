"""Would a study of the generated rows find what a study of the real ones finds? Coefficients of a regression, beside.

Logistic for a category, linear for a number. Categories are dummies against the most frequent one, numbers in standard
deviations of the real rows, so that a coefficient of one model means the same in the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gandem.errors import JudgeError
from gandem.judge.figure import Figure
from gandem.judge.tables.rows import Columns, checked

RARE, MOST_LEVELS, MOST_TERMS = 0.01, 20, 200
"""A category below this share of the real rows has no coefficient; most categories of a column, and terms, that do."""
RIDGE, STEPS, SAME = 1.0, 50, 1e-4
"""Weight of the squared coefficients, which keeps those finite that the rows leave open; steps of Newton's method; what
must be left of a term, as a share of its length, when the earlier ones are taken out."""


@dataclass(frozen=True)
class Coefficient:
    """A term of the regression: a number (code None), a category of a column, or that a number is missing (code -1)."""

    column: int
    code: int | None
    generated: Figure
    real: Figure

    @property
    def overlap(self) -> float:
        """Mean share of the two intervals that they have in common (Karr et al. 2006): 1 the same, below 0 apart."""
        common = min(self.generated.high, self.real.high) - max(self.generated.low, self.real.low)
        return common / 2 * sum(1 / max(figure.high - figure.low, 1e-12) for figure in (self.generated, self.real))


@dataclass(frozen=True)
class Regression:
    """The same regression of two sets of rows. event: the category whose odds are modelled; None for a number.

    overlap: mean over coefficients of `Coefficient.overlap`. within: share of generated estimates within the real
    interval. same_sign: share, among the coefficients that differ from 0 in the real rows, of generated ones with it.
    """

    target: str
    event: int | None
    coefficients: tuple[Coefficient, ...]
    overlap: float
    within: Figure
    same_sign: Figure | None


def regression(
    generated: np.ndarray, real: np.ndarray, columns: Columns, target: int, reference: np.ndarray
) -> Regression | None:
    """Regress the target on all other columns, in generated rows (n, c) and in real ones (m, c).

    reference: real rows that say which terms there are; one that is a combination of earlier ones is left out. None
    where the target never varies in one of the sets. Raises JudgeError when there is nothing to regress on.
    """
    generated, real, reference = checked(columns, 2, generated=generated, real=real, reference=reference)
    generated, real, reference = (rows[~np.isnan(rows[:, target])] for rows in (generated, real, reference))
    event = _event(reference[:, target]) if columns.categorical[target] else None
    truths = [_truth(rows[:, target], reference[:, target], event) for rows in (generated, real)]
    if any(len(truth) < 2 or (truth == truth[0]).all() for truth in truths):
        return None
    terms = _terms(reference, columns, target)
    if not terms:
        raise JudgeError(f"no other column says anything about {columns.names[target]!r}; choose another target")
    fit = linear if event is None else logistic
    ours, theirs = (
        fit(_design(rows, reference, terms), truth) for rows, truth in zip((generated, real), truths, strict=True)
    )
    coefficients = tuple(
        Coefficient(*term, *(Figure.around(*pair, len(rows)) for pair, rows in ((made, generated), (true, real))))
        for term, made, true in zip(terms, ours, theirs, strict=True)
    )
    found = [one for one in coefficients if one.real.low > 0 or one.real.high < 0]
    agree = sum(one.generated.value * one.real.value > 0 for one in found)
    within = sum(one.real.low <= one.generated.value <= one.real.high for one in coefficients)
    return Regression(
        columns.names[target],
        event,
        coefficients,
        float(np.mean([one.overlap for one in coefficients])),
        Figure.of_share(within, len(coefficients)),
        Figure.of_share(agree, len(found)) if found else None,
    )


def logistic(design: np.ndarray, truth: np.ndarray) -> list[tuple[float, float]]:
    """Return (coefficient, standard error) of log odds of truth, bool (n,), for each column of (n, k); with intercept.

    Newton's method with a ridge; errors are of the penalised information.
    """
    inputs = np.column_stack([np.ones(len(design)), design])
    weight = np.full(inputs.shape[1], RIDGE)
    weight[0] = 0.0
    share = np.clip(truth.mean(), 1e-6, 1 - 1e-6)
    beta = np.zeros(inputs.shape[1])
    beta[0] = np.log(share / (1 - share))
    information = np.eye(len(beta))
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(inputs @ beta, -30, 30)))
        information = (inputs.T * (chance * (1 - chance))) @ inputs + np.diag(weight + 1e-9)
        step = np.linalg.solve(information, inputs.T @ (truth - chance) - weight * beta)
        step *= min(1.0, 5 / max(np.abs(step).max(), 1e-12))  # far from the end a whole step may overshoot
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    return list(zip(beta[1:].tolist(), errors[1:].tolist(), strict=True))


def linear(design: np.ndarray, truth: np.ndarray) -> list[tuple[float, float]]:
    """Return (coefficient, standard error) of truth, float64 (n,), for each column of (n, k); with intercept.

    Least squares with a ridge; errors hold for unequal variances too (White 1980).
    """
    inputs = np.column_stack([np.ones(len(design)), design])
    weight = np.full(inputs.shape[1], RIDGE)
    weight[0] = 1e-9
    inverse = np.linalg.inv(inputs.T @ inputs + np.diag(weight))
    beta = inverse @ (inputs.T @ truth)
    left = (truth - inputs @ beta) ** 2
    errors = np.sqrt(np.diag(inverse @ ((inputs.T * left) @ inputs) @ inverse))
    return list(zip(beta[1:].tolist(), errors[1:].tolist(), strict=True))


def _event(truth: np.ndarray) -> int:
    """Return the rarer of two categories; of more, the most frequent."""
    known, counts = np.unique(truth, return_counts=True)
    if len(known) < 2:
        return int(known[0]) if len(known) else 0
    return int(known[counts.argmin() if len(known) == 2 else counts.argmax()])


def _truth(values: np.ndarray, reference: np.ndarray, event: int | None) -> np.ndarray:
    if event is not None:
        return values == event
    return (values - reference.mean()) / max(float(reference.std()), 1e-12)


def _terms(reference: np.ndarray, columns: Columns, target: int) -> list[tuple[int, int | None]]:
    """Return the terms that vary and are no combination of others."""
    terms: list[tuple[int, int | None]] = []
    for column in np.flatnonzero(np.arange(len(columns)) != target):
        values = reference[:, column]
        known, counts = np.unique(values[~np.isnan(values)], return_counts=True)
        often = counts >= max(RARE * len(reference), 2)
        if columns.categorical[column]:
            order = known[often][np.argsort(-counts[often], kind="stable")]
            terms += [(int(column), int(code)) for code in order[1 : MOST_LEVELS + 1]]
        elif len(known) > 1:
            terms.append((int(column), None))
            if RARE < np.isnan(values).mean() < 1 - RARE:
                terms.append((int(column), -1))
    terms = terms[:MOST_TERMS]
    if not terms:
        return []
    return _independent(terms, _design(reference, reference, terms))


def _independent(terms: list[tuple[int, int | None]], design: np.ndarray) -> list[tuple[int, int | None]]:
    """Leave out every term that is a combination of earlier ones (Gram and Schmidt)."""
    kept, basis = [], np.zeros((len(design), 0))
    for term, column in zip(terms, (design - design.mean(0)).T, strict=True):
        rest = column - basis @ (basis.T @ column)
        length = np.linalg.norm(rest)
        if length > SAME * max(float(np.linalg.norm(column)), 1e-12):
            kept.append(term)
            basis = np.column_stack([basis, rest / length])
    return kept


def _design(rows: np.ndarray, reference: np.ndarray, terms: list[tuple[int, int | None]]) -> np.ndarray:
    """Return the terms of rows, (n, k). A missing number is the mean of the reference."""
    parts = []
    for column, code in terms:
        values, known = rows[:, column], reference[:, column]
        if code == -1:
            parts.append(np.isnan(values).astype(np.float64))
        elif code is not None:
            parts.append((values == code).astype(np.float64))
        else:
            known = known[~np.isnan(known)]
            parts.append(np.nan_to_num((values - known.mean()) / max(float(known.std()), 1e-12), nan=0.0))
    return np.stack(parts, 1)
