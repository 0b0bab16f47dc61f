"""Exact nearest neighbours in float64, a block of rows at a time.

Matrix products in float32 find the candidates: |x|^2 + |y|^2 - 2 x.y is fast, but all digits of a small distance cancel
in it. So whatever the rounding could have decided is computed again in float64, from the differences.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK = 4_000_000
"""Squared distances that are held at a time: 16 MB."""
EPSILON = torch.finfo(torch.float32).eps
SPARE = 8
"""Candidates beyond the k that are asked for."""


def nearest(queries: Tensor, points: Tensor, k: int = 1, *, same: bool = False) -> tuple[Tensor, Tensor]:
    """Return Euclidean distances (n, k), ascending, and indices (n, k) of the k points nearest to each query.

    queries (n, d), points (m, d), both float64; same: queries are the points, and a row is no neighbour of itself.
    k must be at most m, or m - 1 for `same`.
    """
    distances, indices = queries.new_empty(len(queries), k), torch.empty(len(queries), k, dtype=torch.long)
    for start, rows, squared, slack, unit in _blocks(queries, points):
        here = slice(start, start + len(rows))
        if same:
            squared[torch.arange(len(rows)), torch.arange(here.start, here.stop)] = math.inf
        roughly, candidates = squared.topk(min(k + SPARE, len(points) - same), largest=False)
        beyond = (roughly[:, -1:] - slack).double() * unit
        distances[here], indices[here] = _nearest(start, rows, candidates, beyond, points, k, same)
    return distances, indices


def holding(queries: Tensor, centres: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Count what closed balls, of centres (m, d) and radius (m,), hold of the queries (n, d).

    Returns integers: the balls that hold each query (n,), and the queries that each ball holds (m,).
    """
    limit = radius.square() * (1 + 1e-12)  # a sum in another order must not put a centre's own neighbour outside
    balls, held = torch.empty(len(queries), dtype=torch.long), torch.zeros(len(centres), dtype=torch.long)
    for start, rows, squared, slack, unit in _blocks(queries, centres):
        beyond = squared.sub_((limit / unit).float())
        inside = beyond < -slack
        for pairs in (inside ^ (beyond <= slack)).nonzero().split(20_000):
            row, ball = pairs.unbind(1)
            inside[row, ball] = (rows[row] - centres[ball]).square().sum(1) <= limit[ball]
        balls[start : start + len(rows)] = inside.sum(1)
        held += inside.sum(0)
    return balls, held


def _blocks(queries: Tensor, points: Tensor) -> Iterator[tuple[int, Tensor, Tensor, Tensor, float]]:
    """Yield (first row, rows (b, d), their squared distances (b, m), a bound (b, 1) of the rounding in these, unit).

    The distances and the bound are float32, and in a unit in which nothing overflows.
    """
    centre = points.mean(0)  # a common shift would only cost digits
    side = max(float((rows - centre).abs().max()) for rows in (points, queries)) or 1.0
    centred = ((points - centre) / side).float()
    norms = centred.square().sum(1)
    step = max(BLOCK // max(len(points), 8 * points.shape[1]), 1)  # the candidates themselves take room too
    for start in range(0, len(queries), step):
        rows = queries[start : start + step]
        scaled = ((rows - centre) / side).float()
        own = scaled.square().sum(1, keepdim=True)
        squared = torch.addmm(norms, scaled, centred.T, alpha=-2).add_(own)
        yield start, rows, squared, (points.shape[1] + 16) * EPSILON * (own + norms.max()), side**2


def _nearest(
    start: int, rows: Tensor, indices: Tensor, beyond: Tensor, points: Tensor, k: int, same: bool
) -> tuple[Tensor, Tensor]:
    """Return distances and indices (b, k) given candidates (b, c), and what all others are at least from each row."""
    exact = (points[indices] - rows[:, None]).square().sum(2)
    exact, order = exact.sort(1)
    exact, indices = exact[:, :k], indices.gather(1, order)[:, :k]
    if order.shape[1] < len(points) - same:
        # a point that was left out may be nearer, but not nearer than zero
        unsure = ((exact[:, -1:] > beyond) & (exact[:, -1:] > 0)).flatten().nonzero().flatten()
        for part in unsure.split(256):
            again = torch.cdist(rows[part], points, compute_mode="donot_use_mm_for_euclid_dist")
            if same:
                again[torch.arange(len(part)), start + part] = math.inf
            nearer, indices[part] = again.topk(k, largest=False)
            exact[part] = nearer.square()
    return exact.sqrt(), indices
