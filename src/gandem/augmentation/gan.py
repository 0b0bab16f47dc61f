"""gandem's own generator as one of the arms: trained on the rows of a fold alone, for so many samples shown."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.preprocessing import QuantileTransformer

from gandem import api
from gandem.augmentation.arms import Sampler
from gandem.training.budget import parse_budget

MOST_ONE_HOT = 50
"""Categories of a column that get a place each; of more, their number is learnt."""
FEW = 50
"""A column of so many different numbers at most gives back these numbers only."""
SETTINGS = {"data.held_out": 0.0}
"""The fold's own rows judge the generator: nothing need be held out besides."""


@dataclass(frozen=True)
class Plan:
    """What every fold is trained with: samples shown, so that folds do not depend on the clock, width and batch."""

    images: int
    width: int
    batch: int

    @classmethod
    def of(cls, rows: np.ndarray, labels: np.ndarray, categorical: np.ndarray, budget: str) -> Plan:
        """Plan a training of such rows; of a budget of time, this machine is measured once."""
        values = _Code.of(rows, categorical).encode(rows)
        planned = api.plan_training((values, labels), budget=budget, settings=SETTINGS)
        decided = planned["recipe"]
        images = parse_budget(budget).images or planned["plan"]["images"]
        return cls(int(images), int(decided["network"]["width"]), int(decided["training"]["batch"]))


@dataclass
class Gan:
    """A class-conditional GAN; folder: where its run lies while it is asked for samples.

    run: the newest one, to be kept or thrown away. tell: hears the part of a training that is done.
    """

    folder: Path
    plan: Plan
    tell: Callable[[float], None] = lambda progress: None
    run: Any = field(default=None, init=False)

    def fit(self, rows: np.ndarray, labels: np.ndarray, categorical: np.ndarray, seed: int) -> Sampler:
        """Train anew; equal calls on one machine give equal generators."""
        code = _Code.of(rows, categorical)
        settings = SETTINGS | {
            "network.width": self.plan.width,
            "training.batch": min(self.plan.batch, len(rows) // 2 * 2),
        }
        shutil.rmtree(self.folder, ignore_errors=True)

        def watch(event: dict[str, Any]) -> None:
            if event["event"] == "progress":
                self.tell(event["progress"])

        self.run = api.train(
            (code.encode(rows), labels),
            self.folder,
            budget=str(self.plan.images),
            settings=settings,
            seed=seed,
            watch=watch,
        )

        def sample(n: int, label: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
            shares = np.bincount(labels) / len(labels)
            of = (
                np.full(n, label) if label is not None else np.random.default_rng(seed).choice(len(shares), n, p=shares)
            )
            made = np.empty((n, *rows.shape[1:]), rows.dtype)
            for one in np.unique(of):
                here = np.flatnonzero(of == one)
                values, _ = self.run.sample_array(len(here), {"label": str(one)}, seed + int(one))
                made[here] = code.decode(values)
            return made, of.astype(np.int64)

        return sample


class _Code:
    """Rows of a table as plain numbers and back, fitted to the rows that a generator learns from.

    A number becomes its place among the others, as a normal deviate; a category
    one place for each, or its number where there are very many; a gap a place of its own.
    """

    def __init__(self, rows: np.ndarray, categorical: np.ndarray) -> None:
        self.columns = [_Column(rows[:, at], bool(categorical[at])) for at in range(rows.shape[1])]

    @staticmethod
    def of(rows: np.ndarray, categorical: np.ndarray) -> _Code | _Pixels:
        """Fit to rows; pictures stay as they are."""
        return _Code(rows, categorical) if rows.ndim == 2 else _Pixels()

    def encode(self, rows: np.ndarray) -> np.ndarray:
        return np.hstack([column.encode(rows[:, at]) for at, column in enumerate(self.columns)]).astype(np.float32)

    def decode(self, values: np.ndarray) -> np.ndarray:
        ends = np.cumsum([column.width for column in self.columns])
        parts = np.split(values, ends[:-1], axis=1)
        return np.stack([column.decode(part) for column, part in zip(self.columns, parts, strict=True)], 1)


class _Pixels:
    def encode(self, rows: np.ndarray) -> np.ndarray:
        return rows

    def decode(self, values: np.ndarray) -> np.ndarray:
        return values


class _Column:
    def __init__(self, values: np.ndarray, categorical: bool) -> None:
        there = values[~np.isnan(values)]
        self.gaps = len(there) < len(values)
        self.known = np.unique(there)
        self.tokens = categorical and len(self.known) <= MOST_ONE_HOT
        self.width = len(self.known) + self.gaps if self.tokens else 1 + 2 * self.gaps
        self.fill = float(np.median(there)) if len(there) else 0.0
        if not self.tokens:
            spread = there if len(there) > 1 else np.array([self.fill, self.fill])
            self.places = QuantileTransformer(
                n_quantiles=min(1000, len(spread)), output_distribution="normal", random_state=0
            ).fit(spread[:, None])
            self.snap = categorical or len(self.known) <= FEW or bool((there == np.rint(there)).all())

    def encode(self, values: np.ndarray) -> np.ndarray:
        gaps = np.isnan(values)
        if self.tokens:
            hot = np.where(gaps[:, None], False, values[:, None] == self.known)
            return 2.0 * np.hstack([hot, gaps[:, None]] if self.gaps else [hot]) - 1
        full = np.where(gaps, self.fill, values)
        places = np.clip(self.places.transform(full[:, None]), -3, 3)
        hot = np.stack([gaps, ~gaps], 1) * 2.0 - 1
        return np.hstack([places, hot]) if self.gaps else places

    def decode(self, part: np.ndarray) -> np.ndarray:
        if self.tokens:
            names = np.append(self.known, np.nan) if self.gaps else self.known
            return names[part.argmax(1)]
        values = self.places.inverse_transform(part[:, :1].astype(np.float64))[:, 0]
        if self.snap:
            after = np.clip(np.searchsorted(self.known, values), 1, max(len(self.known) - 1, 1))
            low, high = self.known[after - 1], self.known[np.minimum(after, len(self.known) - 1)]
            values = np.where(values - low <= high - values, low, high)
        return np.where(part[:, 1] > part[:, 2], np.nan, values) if self.gaps else values
