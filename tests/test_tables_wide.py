"""Tables of many columns: a step stays small, and too many are refused in one line before anything is made."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import gandem
from gandem.domains import tables
from gandem.domains.given import Frame
from gandem.errors import RecipeError
from gandem.recipe import DataOptions, load_recipe


def wide(columns: int) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame({f"c{number}": rng.integers(0, 3, 120) for number in range(columns)})


def test_a_row_of_too_many_cells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST", 10)
    with pytest.raises(RecipeError, match=r"11 columns to learn are too many.* 10 can be learnt; leave columns out"):
        gandem.train(wide(11), tmp_path / "run", budget="100")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("cells", "rows"), [(tables.CELLS, 256), (400, 40), (1, 16)])
def test_a_step_has_fewer_rows_where_these_are_long(monkeypatch: pytest.MonkeyPatch, cells: int, rows: int) -> None:
    monkeypatch.setattr(tables, "CELLS", cells)
    data = tables.TABLES.read(Frame(wide(10)), DataOptions())
    assert tables.TABLES.decided(data, load_recipe("default", {})).training.batch == rows
