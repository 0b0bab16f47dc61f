"""Exact nearest neighbours in float64, a block of rows at a time.

Matrix products find the candidates: |x|^2 + |y|^2 - 2 x.y is fast, but all digits of a small distance cancel in it. So
whatever the rounding could have decided is computed again from the differences.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK = 1_000_000
"""Squared distances that are held at a time: 8 MB."""
EPSILON = torch.finfo(torch.float64).eps
SPARE = 4
"""Candidates beyond the k that are asked for."""


def nearest(queries: Tensor, points: Tensor, k: int = 1, *, same: bool = False) -> tuple[Tensor, Tensor]:
    """Return Euclidean distances (n, k), ascending, and indices (n, k) of the k points nearest to each query.

    queries (n, d), points (m, d), both float64; same: queries are the points, and a row is no neighbour of itself.
    k must be at most m, or m - 1 for `same`.
    """
    distances, indices = queries.new_empty(len(queries), k), torch.empty(len(queries), k, dtype=torch.long)
    for start, rows, squared, slack in _blocks(queries, points):
        here = slice(start, start + len(rows))
        distances[here], indices[here] = _nearest(start, rows, squared, slack, points, k, same)
    return distances, indices


def holding(queries: Tensor, centres: Tensor, radius: Tensor) -> Tensor:
    """Count the closed balls, of centres (m, d) and radius (m,), that hold each query (n, d); integers (n,)."""
    limit = radius.square() * (1 + 1e-12)  # a sum in another order must not put a centre's own neighbour outside
    counts = torch.empty(len(queries), dtype=torch.long)
    for start, rows, squared, slack in _blocks(queries, centres):
        beyond = squared.sub_(limit)
        count = (beyond < -slack).sum(1)
        for pairs in (beyond.abs_() <= slack).nonzero().split(20_000):
            row, ball = pairs.unbind(1)
            inside = (rows[row] - centres[ball]).square().sum(1) <= limit[ball]
            count.index_add_(0, row, inside.long())
        counts[start : start + len(rows)] = count
    return counts


def _blocks(queries: Tensor, points: Tensor) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
    """Yield (first row, rows (b, d), their squared distances (b, m), a bound (b, 1) of the rounding in these)."""
    centre = points.mean(0)  # a common shift would only cost digits
    centred = points - centre
    norms = centred.square().sum(1)
    step = max(BLOCK // max(len(points), 8 * points.shape[1]), 1)  # the candidates themselves take room too
    for start in range(0, len(queries), step):
        rows = queries[start : start + step]
        own = (rows - centre).square().sum(1, keepdim=True)
        squared = torch.addmm(norms, rows - centre, centred.T, alpha=-2).add_(own)
        yield start, rows, squared, (points.shape[1] + 8) * EPSILON * (own + norms.max())


def _nearest(
    start: int, rows: Tensor, squared: Tensor, slack: Tensor, points: Tensor, k: int, same: bool
) -> tuple[Tensor, Tensor]:
    here = torch.arange(len(rows))
    if same:
        squared[here, start + here] = math.inf
    roughly, indices = squared.topk(min(k + SPARE, len(points) - same), largest=False)
    exact = (points[indices] - rows[:, None]).square().sum(2)
    exact, order = exact.sort(1)
    exact, indices = exact[:, :k], indices.gather(1, order)[:, :k]
    if roughly.shape[1] < len(points) - same:
        # a point that was left out may be nearer, but not nearer than zero
        unsure = ((exact[:, -1:] > roughly[:, -1:] - slack) & (exact[:, -1:] > 0)).flatten().nonzero().flatten()
        for part in unsure.split(256):
            again = torch.cdist(rows[part], points, compute_mode="donot_use_mm_for_euclid_dist")
            if same:
                again[torch.arange(len(part)), start + part] = math.inf
            nearer, indices[part] = again.topk(k, largest=False)
            exact[part] = nearer.square()
    return exact.sqrt(), indices
