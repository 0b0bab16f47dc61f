"""What a generator of rows knows comes from the rows it was trained on: held-out ones leave nothing in its codec."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import gandem
from gandem.domains.given import Frame
from gandem.domains.tables import TABLES
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.data import OtherRows, TableData
from gandem.domains.tables.fitting import Numbers, fitted
from gandem.domains.tables.rules import Determined
from gandem.recipe import DataOptions
from gandem.uses.evaluate import evaluate
from tables import everything

QUICK = {"network.width": 16, "network.blocks": 1, "training.batch": 32, "referee.every": 0}


def odd(rows: int = 1000) -> pl.DataFrame:
    """Half of the rows have a tag, an amount and a day of their own; an age decides a band, a city a state."""
    rng = np.random.default_rng(0)
    own = np.arange(rows) % 2 == 0
    city = np.where(np.arange(rows) % 50 == 0, np.arange(rows) // 50 % 10 + 90, rng.integers(0, 20, rows))
    age = rng.integers(18, 90, rows)
    return pl.DataFrame(
        {
            "tag": [f"t{n}" if one else "usual" for n, one in enumerate(own)],
            "amount": np.where(own, rng.integers(1, 10**7, rows), 7) / 100,
            "city": [f"city {n}" for n in city],
            "state": [f"state {n % 7} of {n // 90}" for n in city],
            "age": age,
            "band": [f"band {n // 12}" for n in age],
            "told": [None if n % 3 else float(n % 40) for n in range(rows)],
        }
    )


def parts(frame: pl.DataFrame, share: float = 0.2) -> tuple[TableData, TableData, TableData | OtherRows]:
    whole = TABLES.read(Frame(frame), DataOptions())
    return whole, *whole.split(share)


@pytest.mark.parametrize("frame", [odd(), everything(1000)], ids=["odd", "everything"])
def test_the_codec_is_that_of_the_training_rows(frame: pl.DataFrame) -> None:
    whole, training, _ = parts(frame)
    alone = frame[training.rows.numpy()]
    text = json.dumps(training.codec.to_dict())
    for name in ("tag", "city", "state", "many"):
        if name in frame.columns:
            gone = set(frame[name]) - set(alone[name])
            assert (gone or name in ("state", "city")) and not any(f'"{value}"' in text for value in gone)
    for column in training.codec.columns:
        if column.name in frame.columns and frame[column.name].dtype.is_numeric():
            present = alone[column.name].drop_nulls().drop_nans()
            assert column.low == pytest.approx(float(present.min())), column.name
            assert column.high == pytest.approx(float(present.max())), column.name
    assert all(tokens.counts.sum() + tokens.missing == training.count for tokens in training.codec.tokens)
    assert [str(rule) for rule in training.codec.rules] == [str(rule) for rule in whole.codec.rules]
    for rule in training.codec.rules:
        if isinstance(rule, Determined) and rule.by in frame.columns:
            assert len(rule.keys) == alone[rule.by].n_unique()
    assert training.codec.given(training.samples(torch.arange(training.count))[0])["city"].equals(alone["city"])


def test_training_rows_come_back_and_held_out_ones_as_far_as_they_are_known() -> None:
    frame = odd()
    _, training, held_out = parts(frame)
    assert training.count + held_out.count == len(frame) and held_out.codec is training.codec
    back = training.codec.given(training.samples(torch.arange(training.count))[0])
    assert back.select("tag", "city", "state", "age", "band").equals(
        frame[training.rows.numpy()].select("tag", "city", "state", "age", "band")
    )
    values = held_out.samples(torch.arange(held_out.count))[0]
    tag = training.codec.names.index("tag")
    known = len(training.codec.columns[tag].categories)
    strange = values[:, tag] >= known
    assert 50 < strange.sum() < 150 and len(np.unique(values[strange, tag])) == strange.sum()  # told apart
    shown = training.codec.given(values)["tag"]
    assert set(shown.drop_nulls()) == {"usual"} and shown.null_count() == strange.sum()
    rows = held_out.batch(torch.arange(held_out.count))["real"]
    start, block = training.spec.starts[tag], training.spec.blocks[tag]
    assert (rows[torch.from_numpy(strange), start : start + block.width] == 0).all()
    assert rows.sum(1).isfinite().all() and rows.shape[1] == training.spec.shape[0]


def test_a_column_that_training_rows_lack_is_always_missing() -> None:
    some = pl.int_range(pl.len()) < 60
    frame = odd().with_columns(late=pl.when(some).then(pl.col("age") + 1), never=pl.when(some).then(pl.lit("x")))
    whole = TABLES.read(Frame(frame), DataOptions())
    codec = fitted(Numbers(whole.codec, whole.codes, whole.residuals, np.arange(60, len(frame))))
    codec = TableCodec.from_dict(json.loads(json.dumps(codec.to_dict())))
    noise = torch.randn(100, *codec.spec.shape, generator=torch.Generator().manual_seed(0))
    made = codec.given(codec.decode(noise))
    assert made["late"].null_count() == made["never"].null_count() == 100 and made.schema == frame.schema
    values = Numbers(whole.codec, whole.codes, whole.residuals, np.arange(60))
    rows = OtherRows(np.stack([values.of(column) for column in codec.columns], 1), codec, {}, "")
    assert rows.batch(torch.arange(60))["real"].isfinite().all()
    assert codec.given(rows.values)["late"].null_count() == 60


def test_a_run_is_resumed_and_judged_by_its_own_codec(tmp_path: Path) -> None:
    source = tmp_path / "odd.csv"
    odd(600).write_csv(source)
    settings = {**QUICK, "data.held_out": 0.2}
    run = gandem.train(source, tmp_path / "run", budget="640", seed=0, settings=settings)
    data = TABLES.read(str(source), DataOptions())
    fresh, again = data.split(0.2), data.split(0.2, run.codec)
    assert run.codec.to_dict() == fresh[0].codec.to_dict()
    rows = torch.arange(fresh[0].count)
    assert torch.equal(fresh[0].batch(rows)["real"], again[0].batch(rows)["real"])
    assert np.array_equal(fresh[1].values, again[1].values, equal_nan=True)
    assert evaluate(run).facts["counts"]["held_out"] == fresh[1].count
    assert gandem.resume(run.path, budget="+64").report["images"] >= 700


def test_a_run_that_knows_all_rows_is_read_as_it_was() -> None:
    """Runs of before have a codec of all rows."""
    whole = TABLES.read(Frame(odd()), DataOptions())
    training, held_out = whole.split(0.2, TableCodec.from_dict(json.loads(json.dumps(whole.codec.to_dict()))))
    assert training.codec is whole.codec is held_out.codec and isinstance(held_out, TableData)
    assert torch.equal(training.rows, whole.split(0.2)[0].rows)
