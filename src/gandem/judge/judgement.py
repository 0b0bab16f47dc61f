"""A judgement: all numbers of the judge for generated samples, and the same numbers for rows that say what they mean.

"real" rows, other real samples put in the place of generated ones, are the best that any generator can hope for at
this count; floors, such as noise or one image repeated, must lose. A number that a floor wins is no proof of quality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any

import torch
from torch import Tensor

from gandem.judge.coverage import Neighbourhood, density_and_coverage, precision, recall
from gandem.judge.distances import frechet_figures, kernel_distances, minds
from gandem.judge.diversity import Balance, Support, cell_balance, rank_ratios, spread_ratios, support
from gandem.judge.figure import Figure, Rounds, comparable
from gandem.judge.memorisation import Memorisation, Pairs, Shares
from gandem.judge.two_sample import two_samples

FEWEST = 100
"""Rows of each kind without which nothing is computed."""


METRICS = {
    "frechet_distance": 0.0,
    "frechet_share": 0.0,
    "kernel_distance": 0.0,
    "mind": 0.0,
    "precision": 1.0,
    "recall": 1.0,
    "density": 1.0,
    "coverage": 1.0,
    "two_sample": 0.5,
    "spread_ratio": 1.0,
    "rank_ratio": 1.0,
}
"""The numbers of `_figures`, and the value that each has for equal distributions."""


@dataclass(frozen=True)
class Copying:
    """What `Memorisation` says of generated rows, and the closest pairs as rows of generated and training samples."""

    neighbour_ratio: Figure
    data_copying: Figure
    authenticity: Shares
    copied_share: Shares
    pairs: Pairs

    @classmethod
    def of(cls, generated: Tensor, training: Tensor, held_out: Tensor, variants: int = 1) -> Copying:
        """Look for copies of training rows (m, d) among generated ones; variants: as in `Memorisation.of`."""
        found = Memorisation.of(generated, training, held_out, variants)
        return cls(
            found.neighbour_ratio(),
            found.data_copying(),
            found.authenticity(),
            found.copied_share(),
            found.closest_pairs(),
        )


@dataclass(frozen=True)
class Judgement:
    """The figures of every row by metric, and what is asked of the generated rows alone.

    rows: {"generated": {metric: figure}, "real": ..., floor: ...}, all against the same held-out real rows.
    """

    rows: dict[str, dict[str, Figure]]
    support: Support
    cells: Balance
    copying: Copying

    @property
    def generated(self) -> dict[str, Figure]:
        """Figures of the generated rows."""
        return self.rows["generated"]

    @property
    def real(self) -> dict[str, Figure]:
        """The same figures of real rows."""
        return self.rows["real"]

    def won_by(self, metric: str) -> list[str]:
        """Return the floors that a metric takes for at least as good as real rows: alone it proves nothing here."""
        miss = {name: abs(row[metric].value - METRICS[metric]) for name, row in self.rows.items()}
        return [name for name in miss if name not in ("generated", "real") and miss[name] <= miss["real"]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "rows": {name: {key: figure.to_dict() for key, figure in row.items()} for name, row in self.rows.items()},
            "won_by": {metric: self.won_by(metric) for metric in METRICS},
            "support": _plain(self.support),
            "cells": _plain(self.cells),
            "copying": _plain(self.copying),
        }


def judge(
    generated: Tensor,
    held_out: Tensor,
    *,
    real: Tensor,
    floors: Mapping[str, Tensor],
    copying: Copying,
    seed: int = 0,
    tell: Rounds = lambda done, of: None,
) -> Judgement:
    """Compare features (n, d) of generated samples with those of held-out real ones.

    real: other real rows, the ceiling. floors: rows by name that must lose. copying: see `Copying.of`. tell: hears of
    the slowest part, the intervals of distances.
    Every row of figures rests on the same count, that of the smallest set, since most numbers depend on it.
    Raises JudgeError for fewer than 100 rows, other widths, or numbers that are not finite.
    """
    comparable(FEWEST, **{"generated": generated, "held-out": held_out, "real": real}, **floors)
    count = min(len(rows) for rows in (generated, real, *floors.values()))
    sets = {"generated": generated, "real": real, **floors}
    rows = {name: _some(features.double(), count, seed) for name, features in sets.items()}
    held_out = held_out.double()
    return Judgement(
        dict(zip(rows, _figures(list(rows.values()), held_out, tell), strict=True)),
        support(rows["generated"], held_out),
        cell_balance(rows["generated"], held_out, fresh=rows["real"]),
        copying,
    )


def _figures(sets: list[Tensor], real: Tensor, tell: Rounds) -> list[dict[str, Figure]]:
    """Return every metric of each set; what is asked of the real rows is found once for all sets."""
    distances, shares = zip(*frechet_figures(sets, real, tell), strict=True)
    here, there = [Neighbourhood.of(rows) for rows in sets], Neighbourhood.of(real)
    densities, coverages = zip(*(density_and_coverage(these, there) for these in here), strict=True)
    columns = {
        "frechet_distance": distances,
        "frechet_share": shares,
        "kernel_distance": kernel_distances(sets, real),
        "mind": minds(sets, real),
        "precision": [precision(these, there) for these in here],
        "recall": [recall(these, there) for these in here],
        "density": densities,
        "coverage": coverages,
        "two_sample": two_samples(sets, real),
        "spread_ratio": spread_ratios(sets, real),
        "rank_ratio": rank_ratios(sets, real),
    }
    return [dict(zip(columns, figures, strict=True)) for figures in zip(*columns.values(), strict=True)]


def _some(rows: Tensor, count: int, seed: int) -> Tensor:
    """Return `count` of the rows, drawn without putting back; all as they are when there are no more."""
    if len(rows) == count:
        return rows
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:count]]


def _plain(value: Any) -> Any:
    """Turn figures, tensors and dataclasses of them into JSON types."""
    if isinstance(value, Figure):
        return value.to_dict()
    if isinstance(value, Tensor):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
