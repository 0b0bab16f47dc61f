"""How much of the generated samples is real-like, and how much of the real ones is reached, by nearest neighbours.

A sample is where a set is when it lies in the ball around one of the set's rows that just reaches the row's k-th
nearest other row. Intervals are of the rows that are counted; the rows they are measured against are taken as given.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gandem.judge.figure import Figure, comparable
from gandem.judge.neighbours import holding, nearest


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
    """Share of real rows whose ball holds a generated row (Naeem et al. 2020), in [0, 1]; see `expected_coverage`."""
    return density_and_coverage(generated, real, k)[1]


def density_and_coverage(generated: Features, real: Features, k: int = 5) -> tuple[Figure, Figure]:
    """Return both, from the same balls."""
    made, real = _prepared(generated, real, k)
    balls, held = holding(made, real.rows, real.radius(k))
    share = balls.double() / k
    error = float(share.std()) / len(made) ** 0.5
    density = Figure.around(float(share.mean()), error, len(made), len(real.rows), floor=0.0)
    return density, Figure.of_share(int((held > 0).sum()), len(real.rows)).against(len(made))


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
