"""gandem's own generator as one of the arms: trained on the rows of a fold alone, for so many samples shown."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gandem import api
from gandem.augmentation.arms import Sampler, Training
from gandem.augmentation.table import Form
from gandem.run import Run
from gandem.training.budget import parse_budget

if TYPE_CHECKING:
    from gandem.domains.tables.codec import TableCodec

SETTINGS = {"data.held_out": 0.0}
"""The fold's own rows judge the generator: nothing need be held out besides."""


@dataclass(frozen=True)
class Plan:
    """What every fold is trained with: samples shown, so that folds do not depend on the clock, width and batch."""

    images: int
    width: int
    batch: int

    @classmethod
    def of(cls, training: Training, classes: tuple[str, ...], form: Form | None, budget: str) -> Plan:
        """Plan a training of such rows; of a budget of time, this machine is measured once."""
        rows, labels = training.rows, training.labels
        data = _given(rows, classes, form)
        given = data.given(rows, labels)
        planned = api.plan_training(given, budget=budget, settings=SETTINGS | data.settings(given))
        decided = planned["recipe"]
        images = parse_budget(budget).images or planned["plan"]["images"]
        return cls(int(images), int(decided["network"]["width"]), int(decided["training"]["batch"]))


@dataclass
class Gan:
    """A class-conditional GAN; folder: where its run lies while it is asked for samples.

    classes: what the labels are called. form: how rows stand in a table; None for pictures. run: the newest one, to be
    kept or thrown away. tell: hears the part of a training that is done.
    """

    folder: Path
    plan: Plan
    classes: tuple[str, ...]
    form: Form | None = None
    tell: Callable[[float], None] = lambda progress: None
    run: Any = field(default=None, init=False)

    def fit(self, rows: np.ndarray, labels: np.ndarray, categorical: np.ndarray, seed: int) -> Sampler:
        """Train anew; equal calls on one machine give equal generators."""
        data = _given(rows, self.classes, self.form)
        given = data.given(rows, labels)
        sizes = {"network.width": self.plan.width, "training.batch": min(self.plan.batch, len(rows) // 2 * 2)}
        shutil.rmtree(self.folder, ignore_errors=True)

        def watch(event: dict[str, Any]) -> None:
            if event["event"] == "progress":
                self.tell(event["progress"])

        self.run = api.train(
            given,
            self.folder,
            budget=str(self.plan.images),
            settings=SETTINGS | data.settings(given) | sizes,
            seed=seed,
            watch=watch,
        )

        def sample(n: int, label: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
            return data.sampled(self.run, n, label, seed + label), np.full(n, label)

        return sample


@dataclass(frozen=True)
class _Table:
    """Rows (n, d) as a table that gandem learns, and back.

    first: the first row, (d,), which says what columns that do not vary always are. varied: the names of the others,
    where a gap counts as a value.
    """

    form: Form
    first: np.ndarray
    varied: frozenset[str]

    @classmethod
    def of(cls, rows: np.ndarray, form: Form) -> _Table:
        """Look at rows."""
        named = zip(form.columns, rows.T, strict=True)
        return cls(form, rows[0], frozenset(column.name for column, values in named if len(np.unique(values)) > 1))

    def given(self, rows: np.ndarray, labels: np.ndarray) -> Any:
        return self.form.frame(rows, labels, self.kinds())

    def kinds(self) -> dict[str, str]:
        """Return what is learnt, and as what: a fold may look different from the whole."""
        kinds = {column.name: column.kind for column in self.form.columns if column.name in self.varied}
        kinds = {name: "category" if kind == "boolean" else kind for name, kind in kinds.items()}  # one may be lacking
        return kinds | {self.form.target.name: "category"}

    def settings(self, given: Any) -> dict[str, Any]:
        """Return how rows are read: with rules, unless one works the target out, of which every row is asked for."""
        found = {"data.columns": self.kinds()}
        target = api.inspect_source(given, settings=found)["columns"][self.form.target.name]
        return found | {"data.rules": "none" if "worked_out" in target else "auto"}

    def sampled(self, run: Run, count: int, label: int, seed: int) -> np.ndarray:
        target = self.form.target
        cast("TableCodec", run.codec).keys = ()  # real rows, beside which these stand, may have every key already
        return self.form.numbers(run.sample(count, {target.name: target.categories[label]}, seed), self.first)


@dataclass(frozen=True)
class _Pictures:
    """Pictures with the names of their classes."""

    classes: tuple[str, ...]

    def given(self, rows: np.ndarray, labels: np.ndarray) -> Any:
        return rows, np.array(self.classes)[labels]

    def settings(self, given: Any) -> dict[str, Any]:
        return {}

    def sampled(self, run: Run, count: int, label: int, seed: int) -> np.ndarray:
        return run.sample_array(count, {"label": self.classes[label]}, seed)[0]


def _given(rows: np.ndarray, classes: tuple[str, ...], form: Form | None) -> _Table | _Pictures:
    return _Pictures(classes) if form is None else _Table.of(rows, form)
