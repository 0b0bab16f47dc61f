"""Does the generator repeat its training rows? Held-out rows, never trained on, say what honest distances are.

No number here separates copying from a generator that is poor or narrow: generated rows may be far from everything.
Read them beside coverage and precision, and look at the closest pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gandem.errors import JudgeError
from gandem.judge.diversity import cell_of, k_means
from gandem.judge.figure import Figure, Z, comparable
from gandem.judge.neighbours import nearest
from gandem.judge.two_sample import delong

AROUND = 20
"""Training rows whose mean distance says how near is near at a place."""
THIN = 20
"""Rows of either kind without which a cell is not compared by itself."""


@dataclass(frozen=True)
class Shares:
    """The same share for generated rows and for held-out rows: copying is what the first has beyond the second."""

    generated: Figure
    held_out: Figure


@dataclass(frozen=True)
class Pairs:
    """Generated rows and the training rows they are nearest to, most suspicious first; all tensors (count,).

    distance: between the two; closeness: in units of the distance to the 20 nearest training rows, 0 a copy.
    """

    generated: Tensor
    training: Tensor
    distance: Tensor
    closeness: Tensor


@dataclass(frozen=True)
class Neighbours:
    """The nearest training rows of some rows: distance and index (n,), and closeness (n,) in [0, 1]."""

    rows: Tensor
    distance: Tensor
    index: Tensor
    closeness: Tensor

    @classmethod
    def of(cls, rows: Tensor, training: Tensor, variants: int = 1) -> Neighbours:
        """Look for neighbours of rows (variants * n, d) among training rows (m, d), by the closest variant of each."""
        distances, indices = nearest(rows, training, AROUND)
        usual = distances.mean(1)
        # 20 equal training rows are a common sight and no secret: to be one of them is not to be close
        closeness = torch.where(usual > 0, distances[:, 0] / usual, 1.0)
        count = len(rows) // variants
        kept = closeness.view(variants, count).argmin(0) * count + torch.arange(count)
        return cls(rows[kept], distances[kept, 0], indices[kept, 0], closeness[kept])


@dataclass(frozen=True)
class Memorisation:
    """Generated and held-out rows beside the training rows; the neighbours are looked for once, by `of`."""

    training: Tensor
    generated: Neighbours
    held_out: Neighbours

    @classmethod
    def of(cls, generated: Tensor, training: Tensor, held_out: Tensor, variants: int = 1) -> Memorisation:
        """Check features (g, d), (m, d) and (v, d) and find all neighbours.

        variants: how many features each generated and held-out sample has, such as those of shifted copies; all samples
        in the first variant come before all in the second. Each sample counts once, by the variant that is closest to a
        training row, so that a copy is found behind a small change; held-out samples get the same chances.
        """
        sets = comparable(AROUND + 1, generated=generated, training=training, held_out=held_out)
        return cls(sets[1], Neighbours.of(sets[0], sets[1], variants), Neighbours.of(sets[2], sets[1], variants))

    def neighbour_ratio(self) -> Figure:
        """Median distance to the nearest training row, generated over held-out: 1 if honest, toward 0 if copied.

        Where half of the held-out rows are rows of the training data too, the means; 1 where all of both are.
        """
        ours, theirs = self.generated.distance, self.held_out.distance
        middle = _median if theirs.quantile(0.5) > 0 else _mean
        (near, near_error), (far, far_error) = middle(ours), middle(theirs)
        if far == 0:
            if near > 0:
                raise JudgeError("every held-out row is a training row; they cannot show what is honest")
            return Figure(1.0, 1.0, 1.0, len(ours), len(theirs))
        error = math.hypot(near_error, near / far * far_error) / far
        return Figure.around(near / far, error, len(ours), len(theirs), floor=0.0)

    def data_copying(self, cells: int = 10, *, seed: int = 0) -> Figure:
        """C_T (Meehan et al. 2020): in standard deviations, << 0 if copied, >> 0 if far off; grows with the root of n.

        In each k-means cell of the training rows a Mann-Whitney test asks whether generated rows are further from the
        training rows than held-out ones; its z-scores are averaged by the held-out share of the cells. Cells with
        fewer than 20 rows of either kind are thrown together.
        """
        centres = k_means(self.training, cells, seed=seed)
        ours, theirs = cell_of(self.generated.rows, centres), cell_of(self.held_out.rows, centres)
        counts = torch.stack([torch.bincount(here, minlength=cells) for here in (ours, theirs)])
        thin = (counts < THIN).any(0)
        scores, variances, weights = [], [], []
        for members in [thin, *torch.eye(cells, dtype=torch.bool)[~thin]]:
            near, far = self.generated.distance[members[ours]], self.held_out.distance[members[theirs]]
            if min(len(near), len(far)) < 2:
                continue
            scale = math.sqrt(12 * len(near) * len(far) / (len(near) + len(far) + 1))
            area, variance = delong(near, far)
            scores.append((area - 0.5) * scale)
            variances.append(max(variance * scale**2, 1.0))  # 1 is that of honest rows; a perfect AUC would say 0
            weights.append(len(far))
        weight = torch.tensor(weights, dtype=torch.float64) / sum(weights)
        error = math.sqrt(float(weight.square() @ torch.tensor(variances, dtype=torch.float64)))
        return Figure.around(float(weight @ torch.tensor(scores, dtype=torch.float64)), error, len(ours), len(theirs))

    def authenticity(self) -> Shares:
        """Share of rows further from their nearest training row than that is from another (Alaa et al. 2022)."""

        def share(found: Neighbours) -> Figure:
            asked, place = found.index.unique(return_inverse=True)
            own = nearest(self.training[asked], self.training, 2)[0][:, 1]  # the nearest of all is the row itself
            hits = int((found.distance > own[place]).sum())
            return Figure.of_share(hits, len(found.distance)).against(len(self.training))

        return Shares(share(self.generated), share(self.held_out))

    def copied_share(self, quantile: float = 0.01) -> Shares:
        """Share of generated rows as close to one training row as only `quantile` of the held-out rows are.

        Close is relative to the 20 nearest training rows, so that places where all rows are alike do not hide copies
        elsewhere. Honest rows give about `quantile`; the interval knows that the held-out rows are a sample too.
        """
        ours, theirs = self.generated.closeness, self.held_out.closeness
        limit = theirs.sort().values[math.ceil(quantile * len(theirs)) - 1]
        trials = 1 / (1 / len(ours) + 1 / len(theirs))
        share, reference = (float((closeness <= limit).double().mean()) for closeness in (ours, theirs))
        figure = Figure.of_share(share * trials, trials)
        return Shares(
            Figure(share, figure.low, figure.high, len(ours), len(theirs)),
            Figure.of_share(reference * len(theirs), len(theirs)),
        )

    def closest_pairs(self, count: int = 8) -> Pairs:
        """Return the generated rows that are closest to a training row, relative to the rows around it."""
        found = self.generated
        order = found.closeness.argsort(stable=True)[:count]
        return Pairs(order, found.index[order], found.distance[order], found.closeness[order])


def _mean(values: Tensor) -> tuple[float, float]:
    """Return the mean of (n,) and its standard error."""
    return float(values.mean()), float(values.std()) / math.sqrt(len(values))


def _median(values: Tensor) -> tuple[float, float]:
    """Return the median of (n,) and its standard error, from the order statistics that hold it with 95 %."""
    ordered, half = values.sort().values, Z * math.sqrt(len(values)) / 2
    low, high = math.floor(len(values) / 2 - half), math.ceil(len(values) / 2 + half) - 1
    return float(values.quantile(0.5)), float(ordered[high] - ordered[low]) / (2 * Z)
