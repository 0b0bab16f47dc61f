"""gandem's own generator as one of the arms: trained on the rows of a fold alone, for so many samples shown."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gandem import api
from gandem.augmentation.arms import Sampler
from gandem.run import Run
from gandem.training.budget import parse_budget

LABEL = "label"
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
        form = _form(rows, categorical)
        planned = api.plan_training(form.given(rows, labels), budget=budget, settings=SETTINGS | form.settings())
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
        form = _form(rows, categorical)
        settings = (
            SETTINGS
            | form.settings()
            | {
                "network.width": self.plan.width,
                "training.batch": min(self.plan.batch, len(rows) // 2 * 2),
            }
        )
        shutil.rmtree(self.folder, ignore_errors=True)

        def watch(event: dict[str, Any]) -> None:
            if event["event"] == "progress":
                self.tell(event["progress"])

        self.run = api.train(
            form.given(rows, labels),
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
                made[here] = form.sampled(self.run, len(here), int(one), seed + int(one))
            return made, of.astype(np.int64)

        return sample


@dataclass(frozen=True)
class _Frame:
    """Rows (n, d) as a table that gandem learns, of columns c0, c1, ... and one of labels, and back.

    categorical: which columns hold the numbers of categories, bool (d,). first: the first row, (d,), which says what
    columns that do not vary always are. varied: columns of more than one value, a gap counted as one, bool (d,).
    """

    categorical: np.ndarray
    first: np.ndarray
    varied: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, categorical: np.ndarray) -> _Frame:
        """Look at rows."""
        return cls(categorical, rows[0], np.array([len(np.unique(column)) > 1 for column in rows.T], bool))

    def given(self, rows: np.ndarray, labels: np.ndarray) -> Any:
        columns: dict[str, Any] = {}
        for at in np.flatnonzero(self.varied).tolist():
            gaps = np.isnan(rows[:, at])
            values = rows[:, at].tolist()
            if self.categorical[at]:
                values = [str(int(value)) if not gap else None for value, gap in zip(values, gaps, strict=True)]
            columns[f"c{at}"] = [None if gap else value for value, gap in zip(values, gaps, strict=True)]
        return pl.DataFrame(columns | {LABEL: [str(label) for label in labels]})

    def settings(self) -> dict[str, Any]:
        kinds = {f"c{at}": "category" if self.categorical[at] else "decimal" for at in np.flatnonzero(self.varied)}
        return {"data.columns": kinds | {LABEL: "category"}, "data.rules": "none"}

    def sampled(self, run: Run, count: int, label: int, seed: int) -> np.ndarray:
        made = run.sample(count, {LABEL: str(label)}, seed)
        rows = np.repeat(self.first[None], count, 0)
        for at in np.flatnonzero(self.varied).tolist():
            rows[:, at] = made[f"c{at}"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return rows


@dataclass(frozen=True)
class _Pictures:
    """Pictures with their labels, as they are."""

    def given(self, rows: np.ndarray, labels: np.ndarray) -> Any:
        return rows, labels

    def settings(self) -> dict[str, Any]:
        return {}

    def sampled(self, run: Run, count: int, label: int, seed: int) -> np.ndarray:
        return run.sample_array(count, {"label": str(label)}, seed)[0]


def _form(rows: np.ndarray, categorical: np.ndarray) -> _Frame | _Pictures:
    return _Frame.of(rows, categorical) if rows.ndim == 2 else _Pictures()
