"""Uses of a generator of rows beside making new ones: it fills the gaps of a table, and says how typical rows are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gandem.domains.given import Given, opened
from gandem.run import Run
from gandem.training.checkpoint import write_atomic

if TYPE_CHECKING:
    import polars as pl

    from gandem.domains.tables.codec import TableCodec


def impute(run: Run, source: Given, seed: int = 0) -> pl.DataFrame:
    """Return a table with the columns of the run's data in which missing values are filled, other cells unchanged.

    source: rows as `gandem.train` takes a table. Each gap is drawn from what the generator expects, given all that the
    row holds, so that fillings vary as real values do: for an analysis fill several times, with other seeds (Rubin
    1987). A gap stays where all that was drawn for it repeats a key of the data. Raises SourceError for other columns,
    RecipeError for a run of something other than tables.
    """
    filled: pl.DataFrame = run.domain.imputed(run.codec, run.generator(), opened(source), seed)
    return filled


def score(run: Run, source: Given) -> pl.DataFrame:
    """Say how typical rows are: `log_likelihood`, in nats, and `typical`, the part of new rows that are less probable.

    A row with `typical` 0.01 is less probable than 99 % of what the generator makes. What makes it so is not said.
    `unseen` counts the values of a row that the training data never held: each has the probability of half a row of
    them, a number beside that of the nearest one. `breaks_rules` counts the rules of the data that its values
    contradict, such as a sum that is wrong. Raises as `impute` does.
    """
    scores: pl.DataFrame = run.domain.scored(run.codec, run.generator(), opened(source))
    return scores


def gaps_left(run: Run, filled: pl.DataFrame) -> int:
    """Return how many cells of the learnt columns are missing in what `impute` returned."""
    names = cast("TableCodec", run.codec).names
    return sum(filled[name].null_count() for name in names if name in filled.columns)


def write_rows(run: Run, frame: pl.DataFrame, out: Path) -> dict[str, Any]:
    """Write what `impute` or `score` returned as .csv, .tsv, .parquet or .arrow."""
    from gandem.domains.tables.writing import written

    write_atomic(out, written(frame, cast("TableCodec", run.codec), out.suffix.lower()))
    return {"path": str(out), "count": len(frame)}
