"""Rows as tokens and residuals, and back: what comes back by construction, for anything that hypothesis finds."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gandem.domains.given import Frame
from gandem.domains.tables import TABLES
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.data import TableData
from gandem.domains.tables.networks import latents
from gandem.domains.tables.scales import Calendar, Grid, Months, date_scale, scale_from
from gandem.domains.tables.spec import TableSpec
from gandem.domains.tables.tokens import MOST_TOKENS, CategoryTokens, NumberTokens, tokens_from
from gandem.recipe import DataOptions
from tables import everything

QUICK = settings(max_examples=50, deadline=None)


@pytest.fixture(scope="module")
def data() -> TableData:
    return TABLES.read(Frame(everything()), DataOptions())


def rows(data: TableData) -> np.ndarray:
    return data.samples(torch.arange(data.count))[0]


def steps(step: float) -> st.SearchStrategy[list[float | None]]:
    number = st.integers(-1000, 1000).map(lambda whole: round(whole * step, 6))
    return st.lists(st.one_of(st.none(), number), min_size=2, max_size=60)


@QUICK
@given(st.sampled_from([0.01, 0.25, 1, 5, 100]).flatmap(steps), st.integers(0, 3))
def test_numbers_on_a_grid_come_back_exactly(values: list[float | None], seed: int) -> None:
    column = np.array([np.nan if value is None else value for value in values], np.float64)
    if np.isnan(column).all():
        return
    tokens = NumberTokens.of(column, Grid.of(column[~np.isnan(column)]))
    places = np.random.default_rng(seed).random(len(column))
    codes, residuals = tokens.encode(column, places)
    assert np.array_equal(tokens.decode(codes, residuals), column, equal_nan=True)
    again = tokens_from(json.loads(json.dumps(tokens.to_dict())))
    assert np.array_equal(again.decode(codes, residuals), column, equal_nan=True)
    assert again.block == tokens.block


@QUICK
@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=60))
def test_any_numbers_come_back_nearly(values: list[float]) -> None:
    column = np.array(values)
    tokens = NumberTokens.of(column, Grid.of(column))
    back = tokens.decode(*tokens.encode(column, np.full(len(column), 0.5)))
    assert np.abs(back - column).max() <= 1e-6 * max(np.ptp(column), 1e-9 * np.abs(column).max()) + tokens.scale.width


@QUICK
@given(st.lists(st.integers(-50, 50), min_size=30, max_size=200), st.integers(0, 2**32 - 1))
def test_nothing_leaves_range_and_grid_and_codes_come_back(values: list[int], seed: int) -> None:
    column = 5.0 * np.array(values)
    tokens = NumberTokens.of(column, Grid.of(column), bins=4)
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, tokens.block.tokens, 100).astype(np.int32)
    made = tokens.decode(codes, rng.uniform(-1.5, 1.5, 100).astype(np.float32))
    assert made.min() >= column.min() and made.max() <= column.max() and (made % 5 == 0).all()
    again, _ = tokens.encode(made, rng.random(100))
    assert np.array_equal(again, codes)


@QUICK
@given(st.lists(st.integers(0, 400), min_size=1, max_size=500))
def test_categories_come_back_exactly(values: list[int]) -> None:
    names, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    place = np.empty(len(names))
    place[order] = np.arange(len(names))
    column = np.append(place[np.searchsorted(names, values)], np.nan)
    tokens = CategoryTokens(counts[order], 1)
    codes, residuals = tokens.encode(column, np.random.default_rng(0).random(len(column)))
    assert np.array_equal(tokens.decode(codes, residuals), column, equal_nan=True)
    assert tokens.block.tokens <= MOST_TOKENS + 1


def test_three_hundred_thousand_categories() -> None:
    counts = np.sort(np.random.default_rng(0).zipf(1.3, 300_000).clip(1, 100))[::-1]
    tokens = CategoryTokens(counts, 0)
    column = np.arange(300_000, dtype=np.float64)
    codes, residuals = tokens.encode(column, np.random.default_rng(1).random(len(column)))
    assert np.array_equal(tokens.decode(codes, residuals), column)
    assert tokens.block.tokens == MOST_TOKENS and tokens.block.residual
    even = np.random.default_rng(2).uniform(-1, 1, 200_000).astype(np.float32)
    drawn = tokens.decode(np.full(len(even), MOST_TOKENS - 1, np.int32), even).astype(int)
    rest = counts[MOST_TOKENS - 1 :]
    expected = rest[:1000].sum() / rest.sum()  # an even residual gives each as often as it occurred
    assert (drawn < MOST_TOKENS - 1 + 1000).mean() == pytest.approx(expected, abs=0.01)


def test_round_amounts_among_many_others_come_as_often_as_they_are() -> None:
    rng = np.random.default_rng(0)
    column = np.concatenate([rng.integers(1, 20_000, 9_940), np.full(60, 1_500)]).astype(float)
    tokens = NumberTokens.of(column, Grid.of(column))
    codes, _ = tokens.encode(column, rng.random(len(column)))
    drawn = tokens.decode(codes, rng.uniform(-1, 1, len(column)))
    assert 1_500 not in tokens.low[tokens.exact]  # too few for a token of its own
    assert 40 <= (drawn == 1_500).sum() <= 85
    assert len(tokens.ranks) < 32 * 12  # one amount keeps its place, not everybody's


def test_atoms_have_tokens_and_bins_have_even_residuals() -> None:
    rng = np.random.default_rng(0)
    column = np.where(rng.random(20_000) < 0.7, 0, rng.gamma(1, 3000, 20_000).round())
    tokens = NumberTokens.of(column, Grid.of(column))
    codes, residuals = tokens.encode(column, rng.random(len(column)))
    zero = int(np.flatnonzero(tokens.low == 0)[0])
    assert tokens.exact[zero] and (codes[column == 0] == zero).all() and (residuals[column == 0] == 0).all()
    inside = residuals[~tokens.exact[codes]]
    assert abs(inside.mean()) < 0.03 and inside.std() == pytest.approx(1 / np.sqrt(3), abs=0.03)
    assert (tokens.low[1:] > tokens.high[:-1]).all()
    block = tokens.block
    assert block.ordered and sorted(block.values) == list(block.values)
    assert np.exp(block.log_probabilities).sum() == pytest.approx(1, abs=1e-3)


@QUICK
@given(st.lists(st.integers(0, 4000), min_size=100, max_size=300), st.integers(0, 2**32 - 1))
def test_dates_fall_on_days_that_occur(days: list[int], seed: int) -> None:
    weekdays = np.array([day for day in days if (day + 3) % 7 < 5])  # 1970 began on a Thursday
    if len(weekdays) < 2:
        return
    column = 86_400.0 * weekdays
    scale = date_scale(column)
    tokens = NumberTokens.of(column, scale, bins=8)
    rng = np.random.default_rng(seed)
    assert np.array_equal(tokens.decode(*tokens.encode(column, rng.random(len(column)))), column)
    codes = rng.integers(0, tokens.block.tokens, 200).astype(np.int32)
    made = tokens.decode(codes, rng.uniform(-1, 1, 200).astype(np.float32))
    assert (made % 86_400 == 0).all()
    if len(column) >= 100:
        assert ((made / 86_400 + 3) % 7 < 5).all()
    assert scale_from(json.loads(json.dumps(scale.to_dict()))) == scale


def test_hours_that_never_occur_take_no_room() -> None:
    rng = np.random.default_rng(0)
    column = 86_400.0 * rng.integers(0, 2000, 5000) + 3600 * rng.integers(8, 18, 5000) + 900 * rng.integers(0, 4, 5000)
    scale = date_scale(column)
    assert isinstance(scale, Calendar) and scale.step == 900
    lower = scale.lower(column)
    made = scale.value(rng.uniform(lower.min(), lower.max(), 5000))
    assert (made % 900 == 0).all() and set((made % 86_400) // 3600) == set(range(8, 18))
    assert np.array_equal(scale.value((lower + scale.upper(column)) / 2), column)


def test_first_days_of_months() -> None:
    months = np.arange("2001-01", "2011-01", 3, dtype="datetime64[M]").astype("datetime64[s]").astype(np.float64)
    scale = date_scale(months)
    assert scale == Months(372, 3)
    assert np.array_equal(scale.value(scale.lower(months) + 0.4), months)
    assert np.array_equal(scale.raised(months + 1), scale.value(scale.upper(months) + 1))


@pytest.mark.parametrize(
    ("values", "grid"),
    [
        ([1, 2, 5], Grid(1, 1, 0)),
        ([0, 100, 300], Grid(0, 100, 0)),
        ([0.01, 0.03, 1.5], Grid(1, 1, 2)),
        ([4.99, 9.99, 12.99], Grid(499, 100, 2)),
        ([0.1, 0.1 + 1e-15, 1 / 3], Grid()),
        ([1e300, 2.0], Grid()),
        ([-5, 5], Grid(-5, 10, 0)),
    ],
)
def test_steps_are_found(values: list[float], grid: Grid) -> None:
    assert Grid.of(np.array(values, np.float64)) == grid


def test_whole_rows_come_back(data: TableData) -> None:
    samples = rows(data)
    tensor = data.codec.encode(samples)
    assert tensor.shape == (len(samples), *data.spec.shape) and float(tensor.abs().max()) <= 1
    assert np.allclose(data.codec.decode(tensor), samples, rtol=0, atol=1e-6, equal_nan=True)
    short = data.codec.cells(samples)
    assert short.shape == (len(samples), latents(data.spec))
    assert np.array_equal(data.codec.read(short), data.codec.decode(tensor), equal_nan=True)
    batch = data.batch(torch.arange(50))["real"]
    assert np.array_equal(data.codec.decode(batch), samples[:50], equal_nan=True)
    at = 0
    for block in data.spec.blocks:  # one token each, and no residual where the token is exact
        assert (batch[:, at : at + block.tokens].sum(1) == 1).all()
        at += block.width
    assert at == data.spec.shape[0]


def test_the_codec_survives_json_and_holds_no_row(data: TableData) -> None:
    text = json.dumps(data.codec.to_dict())
    again = TableCodec.from_dict(json.loads(text))
    assert again.spec == data.spec and again.to_dict() == data.codec.to_dict()
    assert TableSpec.from_dict(json.loads(json.dumps(data.spec.to_dict()))) == data.spec
    frame = everything()
    for name in ("token", "customer", "contact", "mobile", "last_name", "note"):
        assert not any(value in text for value in frame[name].head(50).to_list()), name


def test_any_tensor_becomes_rows_of_the_source_s_form(data: TableData) -> None:
    wild = torch.randn(300, *data.spec.shape, generator=torch.Generator().manual_seed(0)) * 3
    made, source = data.codec.given(data.codec.decode(wild)), everything()
    assert made.columns == source.columns and made.dtypes == source.dtypes
    assert set(made["city"]) <= set(source["city"]) and made["byte"].max() <= source["byte"].max()
    assert (made["c"] % 5 == 0).all() and made["month"].dt.day().unique().to_list() == [1]
    assert made["began"].dt.weekday().max() <= 5 and set(made["clock"].dt.minute()) == {30}
    assert made["constant"].unique().to_list() == ["same"] and made["nothing"].null_count() == 300
    for name in ("id", "token", "customer"):
        assert (made[name].n_unique() == 300 and not set(made[name]) & set(source[name])) or name == "customer"
    assert made.equals(data.codec.given(data.codec.decode(wild)))


def test_copies_stay_together_and_nothing_is_lost() -> None:
    frame = everything(400).select("a", "b", "city", "gaps")
    data = TABLES.read(Frame(pl.concat([frame, frame])), DataOptions())
    assert data.report["duplicates"]["exact"] == data.copies >= 400
    training, held_out = data.split(0.3)
    assert training.count + held_out.count == 800 and 150 < held_out.count < 330
    sides = [{row.tobytes() for row in rows(part)} for part in (training, held_out)]
    assert not sides[0] & sides[1]
