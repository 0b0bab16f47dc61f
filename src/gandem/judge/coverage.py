"""How much of the generated samples is real-like, and how much of the real ones is reached, by nearest neighbours.

A sample is where a set is when it lies in the ball around one of the set's rows that just reaches the row's k-th
nearest other row. Intervals of precision, recall and density are of the rows that are counted; the rows they are
measured against are taken as given. That of coverage is of both, since one generated row may lie in many balls.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gandem.judge.figure import Figure, comparable, error_by_halves
from gandem.judge.neighbours import holding, nearest

LOOKED_AT, HALVINGS = 1_000, 20
"""Rows of a set that the error of coverage is found with at most, and how often they are halved."""


@dataclass(frozen=True)
class Neighbourhood:
    """A set of rows (m, d) and the distances (m, k) from each to its k nearest others: found once, for many figures."""

    rows: Tensor
    distances: Tensor

    @classmethod
    def of(cls, rows: Tensor, k: int = 5) -> Neighbourhood:
        """Find the k nearest others of float64 rows; k must be less than their number."""
        return cls(rows, nearest(rows, rows, k, same=True)[0])

    def radius(self, k: int) -> Tensor:
        """Return the radius of each row's ball, (m,)."""
        return self.distances[:, k - 1]


Features = Tensor | Neighbourhood
"""Features (m, d), or what was found around them before."""


def precision(generated: Features, real: Features, k: int = 3) -> Figure:
    """Share of generated rows within the balls of the real ones (Kynkaanniemi et al. 2019), in [0, 1]."""
    made, real = _prepared(generated, real, k)
    hits = int((holding(made, real.rows, real.radius(k))[0] > 0).sum())
    return Figure.of_share(hits, len(made)).against(len(real.rows))


def recall(generated: Features, real: Features, k: int = 3) -> Figure:
    """Share of real rows within the balls of the generated ones (Kynkaanniemi et al. 2019), in [0, 1]."""
    comparable(k + 1, generated=_rows(generated), real=_rows(real))  # complains under the right names
    return precision(real, generated, k)


def density(generated: Features, real: Features, k: int = 5) -> Figure:
    """Real balls that hold a generated row, on average and over k (Naeem et al. 2020); >= 0, about 1 if equal.

    A mean over rows needs no resampling: its standard error is what a bootstrap would tend to.
    """
    return density_and_coverage(generated, real, k)[0]


def coverage(generated: Features, real: Features, k: int = 5) -> Figure:
    """Share of real rows whose ball holds a generated row (Naeem et al. 2020), in [0, 1]; see `expected_coverage`.

    Its error is found by halves of both sets, of LOOKED_AT rows at most, and never below that of a share.
    """
    return density_and_coverage(generated, real, k)[1]


def density_and_coverage(generated: Features, real: Features, k: int = 5) -> tuple[Figure, Figure]:
    """Return both, from the same balls."""
    made, real = _prepared(generated, real, k)
    balls, held = holding(made, real.rows, real.radius(k))
    share = balls.double() / k
    error = float(share.std()) / len(made) ** 0.5
    density = Figure.around(float(share.mean()), error, len(made), len(real.rows), floor=0.0)
    hits = int((held > 0).sum())
    return density, _with_error(hits, made, real.rows, k)


def _with_error(hits: int, made: Tensor, real: Tensor, k: int) -> Figure:
    """Return the share of `hits` among real rows, with the Wilson interval of as many trials as have its error."""
    n, m = min(len(made), LOOKED_AT), min(len(real), LOOKED_AT)
    if m < 4 * (k + 1):  # half of so few have no balls
        return Figure.of_share(hits, len(real)).against(len(made))
    between, among = torch.cdist(real[:m], made[:n]), torch.cdist(real[:m], real[:m])

    def covered(i: Tensor, j: Tensor) -> float:
        radius = among[i][:, i].kthvalue(k + 1).values  # the nearest of all is the row itself
        return float((between[i][:, j].amin(1) <= radius).double().mean())

    share = hits / len(real)
    variance = error_by_halves(covered, m, n, rounds=HALVINGS) ** 2 * m / len(real)
    trials = min(share * (1 - share) / variance, len(real)) if variance > 0 and 0 < share < 1 else len(real)
    found = Figure.of_share(share * trials, trials)
    return Figure(share, found.low, found.high, len(real), len(made))


def expected_coverage(n: int, m: int, k: int = 5) -> float:
    """Coverage of m real rows by n generated ones of the same distribution (Naeem et al. 2020, lemma 2).

    None of the k nearest of m - 1 + n rows must be generated for a real row to be missed.
    """
    missed = 1.0
    for taken in range(k):
        missed *= (m - 1 - taken) / (m - 1 + n - taken)
    return 1 - missed


def _prepared(generated: Features, real: Features, k: int) -> tuple[Tensor, Neighbourhood]:
    """Return rows to count, and the balls that may hold them, both float64; raises JudgeError."""
    made, there = comparable(k + 1, generated=_rows(generated), real=_rows(real))
    return made, real if isinstance(real, Neighbourhood) else Neighbourhood.of(there, k)


def _rows(rows: Features) -> Tensor:
    return rows.rows if isinstance(rows, Neighbourhood) else rows
