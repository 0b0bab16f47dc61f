"""Who learns from the rows: boosted trees, logistic regression, a small network for pictures, or the user's own."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils.validation import has_fit_parameter

from gandem.augmentation.arms import Training
from gandem.errors import GandemError, RecipeError
from gandem.judge.tables.boosted import learnable

MOST_CATEGORIES = 250
"""Boosted trees split by categories up to so many in a column, and by their numbers above."""
ONE_HOT = 100
"""Columns that a category becomes at most; the rarest share one."""


@dataclass(frozen=True)
class Learner:
    """A learner by name. make: called as make(categorical (d,), seed), returns a scikit-learn classifier."""

    name: str
    make: Callable[[np.ndarray, int], Any]
    weighted: bool = True
    """Whether its rows may weigh differently; without, arms that need weights are left out."""

    def learn(self, training: Training, categorical: np.ndarray, classes: int, seed: int) -> Callable[..., np.ndarray]:
        """Fit anew and return a function of rows (n, ...) -> probabilities float64 (n, classes)."""
        estimator = self.make(categorical, seed)
        weights = {} if training.weights is None else {_weight_name(estimator): training.weights}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                estimator.fit(training.rows, training.labels, **weights)
        except (ValueError, TypeError) as error:
            raise GandemError(f"the learner {self.name} cannot learn from these rows: {error}") from error
        known = np.asarray(estimator.classes_, np.int64)

        def probabilities(rows: np.ndarray) -> np.ndarray:
            found = np.zeros((len(rows), classes))
            found[:, known] = estimator.predict_proba(rows)
            return found

        return probabilities


def boosting(iterations: int = 100) -> Learner:
    """Gradient-boosted trees, as scikit-learn has them; missing values and categories as they are."""

    def make(categorical: np.ndarray, seed: int) -> Any:
        trees = HistGradientBoostingClassifier(
            max_iter=iterations, early_stopping=False, random_state=seed % 2**32, categorical_features=None
        )
        return _Trees(trees, categorical)

    return Learner("boosted trees", make)


class _Trees(BaseEstimator):
    """Boosted trees that take a column of very many categories as numbers."""

    def __init__(self, trees: HistGradientBoostingClassifier, categorical: np.ndarray) -> None:
        self.trees, self.categorical = trees, categorical

    def fit(self, rows: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None = None) -> _Trees:
        few = [len(np.unique(column)) <= MOST_CATEGORIES for column in rows.T]
        mask = self.categorical & np.array(few)
        self.fitted_ = clone(self.trees).set_params(categorical_features=mask if mask.any() else None)
        self.fitted_.fit(learnable(rows), labels, sample_weight)
        self.classes_ = self.fitted_.classes_
        return self

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.fitted_.predict_proba(rows))


def logistic() -> Learner:
    """Logistic regression of scaled numbers and one-hot categories."""
    return Learner(
        "logistic regression", lambda categorical, seed: numeric(categorical, LogisticRegression(max_iter=1000))
    )


def numeric(categorical: np.ndarray, estimator: Any) -> Pipeline:
    """Return an estimator that sees numbers only.

    Gaps are filled and told in a column of their own, numbers scaled, categories one-hot; pictures are flattened and
    their pixels scaled to [0, 1].
    """
    if not len(categorical):
        return make_pipeline(FunctionTransformer(_pixels), estimator)
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler()
    )
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=ONE_HOT, sparse_output=False)
    columns = [("numbers", numbers, np.flatnonzero(~categorical)), ("categories", one_hot, np.flatnonzero(categorical))]
    return make_pipeline(ColumnTransformer([column for column in columns if len(column[2])]), estimator)


def network() -> Learner:
    """A small convolutional network for pictures."""

    def make(categorical: np.ndarray, seed: int) -> Any:
        from gandem.augmentation.network import SmallNetwork

        return SmallNetwork(seed)

    return Learner("small network", make)


def defaults(pictures: bool) -> tuple[Learner, ...]:
    """Return the learners that are asked when the user has none."""
    return (network(), logistic()) if pictures else (boosting(), logistic())


def own(given: Any) -> Learner:
    """Return a learner of the user: an object or a class of scikit-learn's manners, or "module:Class"; RecipeError.

    It sees numbers only: gaps filled, numbers scaled, categories one-hot, pictures flat.
    """
    name = given if isinstance(given, str) else type(given).__name__
    estimator = _imported(given) if isinstance(given, str) else given
    if isinstance(estimator, type):
        try:
            estimator = estimator()
        except TypeError as error:
            raise RecipeError(f"--learner {name}: it wants arguments ({error}); give an object in Python") from error
    missing = [method for method in ("fit", "predict_proba", "get_params") if not hasattr(estimator, method)]
    if missing:
        raise RecipeError(
            f"--learner {name}: has no {missing[0]}(); give a scikit-learn classifier with probabilities, "
            "as in sklearn.ensemble:RandomForestClassifier"
        )
    return Learner(name.rpartition(":")[2], lambda categorical, seed: numeric(categorical, _seeded(estimator, seed)),
                   has_fit_parameter(estimator, "sample_weight"))  # fmt: skip


def _imported(text: str) -> Any:
    module, colon, name = text.partition(":")
    if not colon or not module or not name:
        raise RecipeError(f"--learner {text}: write module:Class, as in sklearn.ensemble:RandomForestClassifier")
    here = str(Path.cwd())
    sys.path.insert(0, here)  # a learner usually lies beside the data, and a command does not look there
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise RecipeError(f"--learner {text}: cannot be imported: {error}") from error
    except AttributeError as error:
        raise RecipeError(f"--learner {text}: {module} has no {name}") from error
    finally:
        sys.path.remove(here)


def _seeded(estimator: Any, seed: int) -> Any:
    fresh = clone(estimator)
    return fresh.set_params(random_state=seed % 2**32) if "random_state" in fresh.get_params() else fresh


def _weight_name(estimator: Any) -> str:
    """Return how the weights of the rows are called: a pipeline hands them on by the name of its last step."""
    return f"{estimator.steps[-1][0]}__sample_weight" if isinstance(estimator, Pipeline) else "sample_weight"


def _pixels(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(len(rows), -1) / 255.0
