"""Membership attacks: was this row among those that the generator was trained on? Six ways to guess it.

Every attack is a function of `Scene`, which knows the generated rows and rows of the population that nobody trained on,
and returns a score for each row that is asked about: higher for rows that it takes for training rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from gandem.judge.neighbours import nearest
from gandem.judge.tables.boosted import classifier, learnable
from gandem.judge.tables.rows import Columns, codes, some, space

AROUND, DIRECTIONS, LEARNT = 5, 8, 5_000
"""Neighbours that say how dense it is at a place, directions of a density, and rows of a kind that are learnt from."""
CLOSE, COMPARED = 0.01, 50
"""Numbers whose ranks are at most so far apart agree; most columns in which rows are compared."""
BLOCK = 20_000_000
"""Comparisons that are held in memory at a time."""


@dataclass(frozen=True)
class Scene:
    """What an attacker has. generated (g, c), reference (r, c): real rows of nobody's training; asked (q, c)."""

    generated: np.ndarray
    reference: np.ndarray
    asked: np.ndarray
    columns: Columns
    seed: int = 0

    @cached_property
    def points(self) -> tuple[Tensor, Tensor, Tensor]:
        """Generated, reference and asked rows in the space where every column weighs alike."""
        generated, reference, asked = space(self.reference, self.columns, self.generated, self.reference, self.asked)
        return generated, reference, asked

    @cached_property
    def distances(self) -> tuple[np.ndarray, np.ndarray]:
        """Distances of the asked rows to their AROUND nearest generated and reference rows, (q, AROUND) each."""
        generated, reference, asked = self.points
        return nearest(asked, generated, AROUND)[0].numpy(), nearest(asked, reference, AROUND)[0].numpy()


def nearest_distance(scene: Scene) -> np.ndarray:
    """Near a generated row, likely trained on (Chen et al. 2020, GAN-Leaks)."""
    return -scene.distances[0][:, 0]


def distance_ratio(scene: Scene) -> np.ndarray:
    """Nearer to a generated row than to rows of the population (GAN-Leaks, calibrated)."""
    ours, theirs = scene.distances
    return _log_ratio(theirs[:, 0], ours[:, 0])


def neighbourhood_count(scene: Scene) -> np.ndarray:
    """More generated rows around it than the population has (Hilprecht et al. 2019, Monte Carlo attack).

    Around is up to where the AROUND-th row of the population lies.
    """
    generated, _, asked = scene.points
    radius = torch.from_numpy(scene.distances[1][:, -1:])
    inside = [
        (torch.cdist(part, generated) <= far * (1 + 1e-9)).sum(1)
        for part, far in zip(asked.split(200), radius.split(200), strict=True)
    ]
    return torch.cat(inside).numpy() / len(generated) + 1e-3 * _log_ratio(
        radius[:, 0].numpy(), scene.distances[0][:, 0]
    )


def density_ratio(scene: Scene) -> np.ndarray:
    """The generated rows are denser here than the population (van Breugel et al. 2023, DOMIAS).

    Gaussian kernel densities in the main directions of both kinds of rows.
    """
    generated, reference, asked = scene.points
    rng = torch.Generator().manual_seed(scene.seed)
    generated, reference = (rows[torch.randperm(len(rows), generator=rng)[:LEARNT]] for rows in (generated, reference))
    both = torch.cat([generated, reference])
    centre = both.mean(0)
    values, vectors = torch.linalg.eigh((both - centre).T @ (both - centre) / len(both))
    main = vectors[:, -DIRECTIONS:] / values[-DIRECTIONS:].clamp(min=1e-9).sqrt()
    asked = (asked - centre) @ main
    densities = [_log_density(asked, (rows - centre) @ main) for rows in (generated, reference)]
    return (densities[0] - densities[1]).numpy()


def propensity(scene: Scene) -> np.ndarray:
    """Boosted trees that tell generated rows from the population take it for generated."""
    count = min(len(scene.generated), len(scene.reference), LEARNT)
    parts = [some(rows, count, scene.seed) for rows in (scene.generated, scene.reference)]
    *learnt, asked = codes(scene.columns, *parts, scene.asked)
    trees = classifier(scene.columns.categorical, scene.seed)
    trees.fit(learnable(np.concatenate(learnt)), np.repeat([1, 0], [len(rows) for rows in learnt]))
    scores: np.ndarray = trees.decision_function(asked)
    return scores


def agreement(scene: Scene) -> np.ndarray:
    """Some generated row has more of its values than any row of the population has."""
    ranked = _ranked(scene.reference, scene.columns, scene.asked, scene.generated, scene.reference)
    drawn = np.random.default_rng(scene.seed).permutation(len(scene.columns))[:COMPARED]
    asked, generated, reference = (rows[:, drawn] for rows in ranked)
    categorical = scene.columns.categorical[drawn]
    ours, theirs = (_most_in_common(asked, rows, categorical) for rows in (generated, reference))
    return ours - theirs + 1e-3 * nearest_distance(scene)  # many rows have as much in common


ATTACKS: dict[str, Callable[[Scene], np.ndarray]] = {
    "distance to the nearest generated row": nearest_distance,
    "the same beside the population": distance_ratio,
    "generated rows around it": neighbourhood_count,
    "density ratio (DOMIAS)": density_ratio,
    "boosted trees": propensity,
    "values in common": agreement,
}


def _log_ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Logarithm of a ratio of distances; an exact copy is far up, and finite."""
    ratio: np.ndarray = np.log(above + 1e-9) - np.log(below + 1e-9)
    return ratio


def _log_density(asked: Tensor, rows: Tensor) -> Tensor:
    """Log of the kernel density of rows (n, d) at the asked places, by Scott's rule."""
    width = len(rows) ** (-1 / (rows.shape[1] + 4)) * rows.std(0).clamp(min=1e-3)
    parts = [torch.logsumexp(-(torch.cdist(part / width, rows / width) ** 2) / 2, 1) for part in asked.split(500)]
    return torch.cat(parts) - width.log().sum() - np.log(len(rows))


def _ranked(reference: np.ndarray, columns: Columns, *sets: np.ndarray) -> list[np.ndarray]:
    """Return codes as they are and numbers as ranks among the reference, float32; missing is -1."""
    found = []
    ordered = [np.sort(values[~np.isnan(values)]) for values in reference.T]
    for rows in sets:
        ranked = rows.copy()
        for column in np.flatnonzero(~columns.categorical):
            known, value = ordered[column], rows[:, column]
            place = np.searchsorted(known, value, "left") + np.searchsorted(known, value, "right")
            ranked[:, column] = np.where(np.isnan(value), np.nan, place / max(2 * len(known), 1))
        found.append(np.nan_to_num(ranked, nan=-1.0).astype(np.float32))
    return found


def _most_in_common(asked: np.ndarray, rows: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """Return the most columns in which one of the rows agrees with each asked row, (q,)."""
    step = max(BLOCK // len(rows), 1)
    most = []
    for start in range(0, len(asked), step):
        part = asked[start : start + step]
        same = np.zeros((len(part), len(rows)), np.int16)
        for column, is_category in enumerate(categorical):
            if is_category:
                same += part[:, column, None] == rows[None, :, column]
            else:
                same += np.abs(part[:, column, None] - rows[None, :, column]) <= CLOSE
        most.append(same.max(1))
    return np.concatenate(most).astype(np.float64)
