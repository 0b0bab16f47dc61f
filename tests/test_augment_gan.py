"""The generator's arm of `gandem augment`: its rows keep the rules that all rows of a fold keep."""

import json
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


def test_rows_beside_real_ones_may_repeat_their_keys(tmp_path: Path) -> None:
    cells = np.random.default_rng(0).permutation(300)
    rows = np.stack([cells // 30, cells % 30], 1).astype(float)  # each pair once, and all that there are
    labels = (cells % 7 < 3).astype(np.int64)
    categorical = np.array([True, False])
    form = Form.numbered(Problem(rows, labels, ("no", "yes"), categorical))
    gan = Gan(tmp_path / "gan", Plan(320, 16, 32), ("no", "yes"), form)
    assert len(gan.fit(rows, labels, categorical, 0)(600, 1, 5)[0]) == 600
    assert json.loads((tmp_path / "gan" / "codec" / "codec.json").read_text())["keys"] == [["c0", "c1"]]
