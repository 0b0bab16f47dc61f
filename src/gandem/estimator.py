"""A generator of rows with scikit-learn's manners: parameters, fit, clone, and a place in a pipeline."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from gandem import api
from gandem.conditions import Where
from gandem.errors import RecipeError
from gandem.run import Run, open_run
from gandem.uses.export import write_model
from gandem.uses.rows import impute, score

if TYPE_CHECKING:
    from gandem.recording import Watch

MOST_SEED = 2**31 - 1
MODEL = "model.safetensors"


class TableGAN(TransformerMixin, BaseEstimator):
    """Learns a table and makes rows like its own: `TableGAN(budget="2m").fit(df).sample(1000, where={"sex": "F"})`.

    budget: as for `gandem.train`, "2m" or rows shown, "500k"; equal seeds give equal generators where it counts rows.
    settings: recipe keys, {"network.width": 128}. random_state: a number, a numpy RandomState, or None for a new
    training each time. out: folder of the run, or None for one that goes when the estimator does.

    After fit: `run_`, the run with its report; `verdict_`, how good it is; `feature_names_in_`, `n_features_in_`.
    As a step of a pipeline it fills gaps: `transform` is `gandem.impute`. Frames of pandas come back as pandas, all
    others as polars, and so does everything after `load`.
    """

    def __init__(
        self,
        budget: str = "5m",
        settings: dict[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        out: str | Path | None = None,
        device: str = "auto",
        watch: Watch | None = None,
    ) -> None:
        self.budget = budget
        self.settings = settings
        self.random_state = random_state
        self.out = out
        self.device = device
        self.watch = watch

    def fit(self, X: Any, y: Any = None) -> TableGAN:  # noqa: N803
        """Train on a data frame of pandas, polars or whatever speaks Arrow; y is ignored: put it in a column."""
        if not hasattr(X, "columns"):
            raise RecipeError("TableGAN learns data frames, whose columns have names; arrays are for gandem.train")
        is_pandas = type(X).__module__.startswith("pandas")
        self._dtypes = {str(name): dtype for name, dtype in X.dtypes.items()} if is_pandas else None
        out = self._temporary() if self.out is None else Path(self.out)
        self.run_: Run = api.train(
            X, out, budget=self.budget, settings=self.settings, seed=self._seed(), device=self.device, watch=self.watch
        )
        self.feature_names_in_ = np.array([str(name) for name in X.columns], dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        return self

    @property
    def verdict_(self) -> dict[str, Any]:
        """The verdict, the numbers behind it and what to do next; "cannot tell" if too little was held out."""
        check_is_fitted(self, "run_")
        found: dict[str, Any] = self.run_.report.get("evaluation", {}).get("verdict", {})
        return found

    def sample(self, n_samples: int = 1, where: Where | None = None, random_state: int = 0) -> Any:
        """Return new rows as a data frame; where: conditions, {"sex": "F", "age": (60, None)} or ["age>=60"]."""
        check_is_fitted(self, "run_")
        return self._given(self.run_.sample(n_samples, where, random_state))

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Return the data frame with its gaps filled, each by a draw given all that the row holds.

        One stays where all that was drawn for it repeats a key of the data.
        """
        check_is_fitted(self, "run_")
        return self._given(impute(self.run_, X), getattr(X, "index", None))

    def score_samples(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the log-likelihood of every row, float64 (n,), in nats."""
        check_is_fitted(self, "run_")
        return score(self.run_, X)["log_likelihood"].to_numpy()

    def score(self, X: Any, y: Any = None) -> float:  # noqa: N803
        """Return the mean log-likelihood of rows, by which settings can be compared on rows that were not fitted."""
        return float(self.score_samples(X).mean())

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns, which `transform` does not change."""
        check_is_fitted(self, "run_")
        return self.feature_names_in_

    def save(self, path: str | Path) -> None:
        """Write one file without any row of the data, from which `TableGAN.load` and `gandem sample` make new ones."""
        check_is_fitted(self, "run_")
        write_model(self.run_, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> TableGAN:
        """Return a fitted estimator from such a file, or from a run folder; it gives frames of polars."""
        made = cls()
        made.run_, made._dtypes = open_run(path), None
        made.feature_names_in_ = np.array(made.run_.sample(1).columns, dtype=object)
        made.n_features_in_ = len(made.feature_names_in_)
        return made

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of: the model itself, since the run may be in a folder that goes with this one."""
        state = {**super().__getstate__()}
        run = state.pop("run_", None)
        if run is not None:
            with tempfile.TemporaryDirectory(prefix="gandem-") as folder:
                write_model(run, Path(folder) / MODEL)
                state["model"] = (Path(folder) / MODEL).read_bytes()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become what `__getstate__` returned."""
        model = state.pop("model", None)
        super().__setstate__(state)
        if model is not None:
            path = self._temporary().with_name(MODEL)
            path.write_bytes(model)
            self.run_ = open_run(path)

    def _temporary(self) -> Path:
        """Return a place for the run, that goes when the estimator does."""
        folder = tempfile.mkdtemp(prefix="gandem-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder) / "run"

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        random = np.random if self.random_state is None else self.random_state
        return int(random.randint(MOST_SEED))

    def _given(self, frame: pl.DataFrame, index: Any = None) -> Any:
        """Return a frame of the library that the data came in; of pandas with its index, zones and categories."""
        if self._dtypes is None:
            return frame
        import pandas as pd

        made = pd.DataFrame({name: frame[name].to_numpy(allow_copy=True) for name in frame.columns}, index=index)
        for name, dtype in self._dtypes.items():
            if isinstance(dtype, pd.DatetimeTZDtype):
                made[name] = made[name].dt.tz_localize("UTC").dt.tz_convert(dtype.tz)
            elif isinstance(dtype, pd.CategoricalDtype):
                known = set(made[name].dropna()) <= set(dtype.categories)  # a cell that nobody knew stays
                made[name] = made[name].astype(dtype if known else "category")
            elif isinstance(dtype, pd.api.extensions.ExtensionDtype):
                with contextlib.suppress(TypeError, ValueError):  # a sum may have left its type
                    made[name] = made[name].astype(dtype)
        return made
