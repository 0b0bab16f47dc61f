"""The generator's arm of `gandem augment`: its rows keep the rules that all rows of a fold keep."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("polars")

from gandem.augmentation.gan import Gan, Plan
from gandem.augmentation.problem import Problem
from gandem.augmentation.table import Form


@pytest.mark.parametrize("told", [False, True], ids=["label unknown", "label determined"])
def test_rows_of_the_generator_keep_rules(told: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    school = rng.integers(0, 8, 300)
    years = np.array([1.0, 4, 9, 10, 12, 13, 14, 16])[school]
    rows = np.stack([school, years, rng.normal(size=300)], 1)
    labels = school % 2 if told else rng.integers(0, 2, 300)
    categorical = np.array([True, False, False])
    form = Form.numbered(Problem(rows, labels, ("no", "yes"), categorical))
    gan = Gan(tmp_path / "gan", Plan(320, 16, 32), ("no", "yes"), form)
    made, of = gan.fit(rows, labels, categorical, 0)(200, 1, 5)
    assert made.shape == (200, 3) and (of == 1).all() and len(np.unique(made[:, 0])) > 2
    if not told:  # else the label must be asked for, and nothing is worked out
        pairs = dict(zip(school.tolist(), years.tolist(), strict=True))
        assert [pairs[int(one)] for one in made[:, 0]] == made[:, 1].tolist()
