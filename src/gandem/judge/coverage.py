"""How much of the generated samples is real-like, and how much of the real ones is reached, by nearest neighbours.

A sample is where a set is when it lies in the ball around one of the set's rows that just reaches the row's k-th
nearest other row. Intervals are of the rows that are counted; the rows they are measured against are taken as given.
"""

from __future__ import annotations

from torch import Tensor

from gandem.judge.figure import Figure, comparable
from gandem.judge.neighbours import holding, nearest, radii


def precision(generated: Tensor, real: Tensor, k: int = 3) -> Figure:
    """Share of generated rows within the balls of the real ones (Kynkaanniemi et al. 2019), in [0, 1]."""
    generated, real = comparable(k + 1, generated=generated, real=real)
    hits = int((holding(generated, real, radii(real, k)) > 0).sum())
    return Figure.of_share(hits, len(generated)).against(len(real))


def recall(generated: Tensor, real: Tensor, k: int = 3) -> Figure:
    """Share of real rows within the balls of the generated ones (Kynkaanniemi et al. 2019), in [0, 1]."""
    generated, real = comparable(k + 1, generated=generated, real=real)
    return precision(real, generated, k)


def density(generated: Tensor, real: Tensor, k: int = 5) -> Figure:
    """Real balls that hold a generated row, on average and over k (Naeem et al. 2020); >= 0, about 1 if equal.

    A mean over rows needs no resampling: its standard error is what a bootstrap would tend to.
    """
    generated, real = comparable(k + 1, generated=generated, real=real)
    held = holding(generated, real, radii(real, k)).double() / k
    error = float(held.std()) / len(held) ** 0.5
    return Figure.around(float(held.mean()), error, len(generated), len(real), floor=0.0)


def coverage(generated: Tensor, real: Tensor, k: int = 5) -> Figure:
    """Share of real rows whose ball holds a generated row (Naeem et al. 2020), in [0, 1]; see `expected_coverage`."""
    generated, real = comparable(k + 1, generated=generated, real=real)
    reached = nearest(real, generated)[0][:, 0] <= radii(real, k) * (1 + 1e-12)
    return Figure.of_share(int(reached.sum()), len(real)).against(len(generated))


def expected_coverage(n: int, m: int, k: int = 5) -> float:
    """Coverage of m real rows by n generated ones of the same distribution (Naeem et al. 2020, lemma 2).

    None of the k nearest of m - 1 + n rows must be generated for a real row to be missed.
    """
    missed = 1.0
    for taken in range(k):
        missed *= (m - 1 - taken) / (m - 1 + n - taken)
    return 1 - missed
