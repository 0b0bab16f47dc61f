"""Rows of a person's own: gaps are filled as rules want it, and what nobody has seen makes no row more typical."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import gandem
from gandem.domains.given import Frame
from gandem.domains.tables import TABLES
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.columns import Column, Field
from gandem.domains.tables.completing import imputed, scored
from gandem.domains.tables.following import follow
from gandem.domains.tables.networks import TableDiscriminator, TableGenerator
from gandem.domains.tables.rules import Determined
from gandem.domains.tables.spec import Block, TableSpec
from gandem.domains.tables.tokens import CategoryTokens
from gandem.errors import RecipeError
from gandem.recipe import DataOptions


def people(rows: int = 3000) -> pl.DataFrame:
    """An age decides a band and a size, one of 500 cities a state; the first cities are frequent."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 90, rows)
    city = np.where(rng.random(rows) < 0.3, rng.integers(0, 20, rows), np.arange(rows) % 500)
    return pl.DataFrame(
        {
            "age": age,
            "band": [f"from {n // 10 * 10}" for n in age],
            "city": [f"city {n}" for n in city],
            "state": [f"state {n % 9}" for n in city],
            "job": rng.choice(["cook", "clerk", "judge"], rows, p=[0.6, 0.39, 0.01]),
            "pay": np.where(rng.random(rows) < 0.5, 0, rng.integers(1, 4000, rows)),
            "told": [None if one < 0.5 else "yes" if one < 0.7 else "no" for one in rng.random(rows)],
        }
    )


@pytest.fixture(scope="module")
def codec() -> TableCodec:
    return TABLES.read(Frame(people()), DataOptions()).codec


@pytest.fixture(scope="module")
def generator(codec: TableCodec) -> TableGenerator:
    """One that has learnt nothing but how often values are."""
    torch.manual_seed(0)
    return TableGenerator(codec.spec, 16).eval()


def test_filled_values_go_with_those_that_they_determine(codec: TableCodec, generator: TableGenerator) -> None:
    assert {str(rule) for rule in codec.rules} >= {"age determines band", "city determines state"}
    frame = people()
    filled = imputed(codec, generator, Frame(frame.with_columns(age=None, city=None)), 0)
    assert filled["age"].null_count() == filled["city"].null_count() == 0
    assert (filled["age"] // 10 * 10 == frame["band"].str.slice(5).cast(pl.Int64)).all()
    state = dict(frame.select("city", "state").iter_rows())
    assert [state[city] for city in filled["city"]] == frame["state"].to_list()
    assert filled["age"].n_unique() == 72 and filled["city"].n_unique() > 300
    frequent = [f"city {n}" for n in range(20)]  # rare ones are not preferred to them
    assert filled["city"].is_in(frequent).mean() == pytest.approx(frame["city"].is_in(frequent).mean(), abs=0.05)
    wide = filled.group_by("city").len().join(frame.group_by("city").len(), on="city", suffix="_real")
    assert wide.select(pl.corr("len", "len_real")).item() > 0.9


def test_marks_for_what_is_missing_are_gaps_among_dates_as_among_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    days = (np.datetime64("2020-01-01") + rng.integers(0, 900, 200)).astype(str)
    numbers = rng.integers(0, 900, 200).astype(str)
    days[:3] = numbers[:3] = "unknown"
    source = tmp_path / "visits.csv"
    pl.DataFrame({"day": days, "number": numbers, "city": rng.choice(["Bonn", "Ulm"], 200)}).write_csv(source)
    data = TABLES.read(source, DataOptions())
    generator = TableGenerator(data.spec, 8).eval()
    filled = imputed(data.codec, generator, source, 0)
    for name in ("day", "number"):
        assert not filled[name].cast(pl.String).str.contains("unknown").any()
        assert filled[name].null_count() == 0
    assert filled["day"].cast(pl.String)[3:].to_list() == days[3:].tolist()
    assert scored(data.codec, generator, source)["unseen"].sum() == 0  # the training data held them


def test_true_and_false_are_known_however_they_are_written_and_stay_so() -> None:
    rng = np.random.default_rng(0)
    flag = rng.random(300) < 0.5
    frame = pl.DataFrame({"flag": flag, "zone": np.where(flag, "in", "out"), "x": rng.integers(0, 99, 300)})
    texts = frame.with_columns(pl.col("flag").cast(pl.String).str.to_titlecase())
    for learnt in (frame, texts):
        data = TABLES.read(Frame(learnt), DataOptions())
        generator = TableGenerator(data.spec, 8).eval()
        for given, spelt in ((frame, {True, False}), (texts, {"True", "False"})):
            assert scored(data.codec, generator, Frame(given))["unseen"].sum() == 0
            holes = given.with_columns(pl.when(pl.col("x") > 20).then("flag").alias("flag"))
            filled = imputed(data.codec, generator, Frame(holes), 0)["flag"]
            assert filled.dtype == given["flag"].dtype and set(filled) == spelt
            assert filled.filter(given["x"] > 20).equals(given["flag"].filter(given["x"] > 20))


def test_what_is_seldom_missing_is_not_preferred_where_it_is(tmp_path: Path) -> None:
    """Told that b is there, which is asked of a filled row, nine in ten rows would have y; half of all have."""
    rng = np.random.default_rng(0)
    y = rng.random(2000) < 0.5
    c, b = rng.choice(["p", "q"], 2000), pl.Series(rng.choice(["m", "n"], 2000))
    gone = pl.Series(rng.random(2000) > np.where(y, 0.9, 0.1))
    frame = pl.DataFrame({"c": c, "a": np.where(y, "y", "x"), "b": b.set(gone, None)})
    run = gandem.train(frame, tmp_path / "run", budget="40k", settings={"network.width": 16, "referee.every": 0})
    gap = pl.lit(None, pl.String)
    filled = gandem.impute(run, frame.select("c", gap.alias("a"), gap.alias("b")))
    assert filled["b"].null_count() == 0 and 0.43 < (filled["a"] == "y").mean() < 0.57


def test_columns_that_the_generator_does_not_know_stay_where_they_are(
    codec: TableCodec, generator: TableGenerator
) -> None:
    more = people().head(20).select(pl.lit(7).alias("ward"), *reversed(people().columns)).with_columns(job=None)
    filled = imputed(codec, generator, Frame(more), 0)
    assert filled.columns == more.columns and filled["ward"].to_list() == [7] * 20
    assert filled["job"].null_count() == 0
    for seed in (-1, 2**63):
        with pytest.raises(RecipeError, match="seed"):
            imputed(codec, generator, Frame(more), seed)


def test_very_many_keys_are_not_laid_out_for_every_row() -> None:
    keys, rows = 50_000, 4096
    names = tuple(f"k{number}" for number in range(keys))
    target = Column("state", "category", tuple(f"s{number}" for number in range(50)))
    rule = Determined(target, "key", tuple(map(float, range(keys))), (*(float(n % 50) for n in range(keys)), np.nan))
    tokens = CategoryTokens(np.ones(keys), 0)
    fields = [Field("key", "category", "String"), Field("state", "category", "String")]
    codec = TableCodec([Column("key", "category", names)], [tokens], fields, [rule])
    values, states = np.full((rows, 1), np.nan), np.arange(rows) % 50.0
    tracemalloc.start()
    choice = follow(codec, values, {"state": states})[0]
    parts = choice.parts(np.arange(rows))
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert parts.shape == (rows, 256) and parts[:, -1] == pytest.approx(995 / 49_745, rel=0.1)
    cells = choice.placed(torch.tensor([[255.0, 0.0]]).repeat(rows, 1), np.arange(rows), torch.Generator())
    found = tokens.decode(cells[:, 0].numpy().astype(np.int32), cells[:, 1].numpy())
    assert (found % 50 == states).all() and len(np.unique(found)) > 3000


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({"job": "astronaut"}, 1),
        ({"age": 5000}, 1),
        ({"age": -1}, 1),
        ({"age": None}, 1),
        ({"told": "perhaps"}, 1),
        ({"city": "Atlantis", "job": None}, 2),
        ({"pay": 10**9, "job": "astronaut", "age": 17}, 3),
    ],
)
def test_what_was_never_seen_makes_no_row_more_typical(
    change: dict[str, object], count: int, codec: TableCodec, generator: TableGenerator
) -> None:
    frame = people().head(300)
    usual = scored(codec, generator, Frame(frame))
    assert usual["unseen"].sum() == 0
    changed = frame.with_columns(**{name: pl.lit(value, frame[name].dtype) for name, value in change.items()})
    strange = scored(codec, generator, Frame(changed))
    assert (strange["unseen"] == count).all()
    assert (strange["log_likelihood"] < usual["log_likelihood"]).mean() > 0.99
    rarest = frame.with_columns(job=pl.lit("judge"), age=pl.lit(89, pl.Int64), told=None)
    if not {"city", "pay"} & set(change):
        known = scored(codec, generator, Frame(rarest.select(frame.columns)))
        assert strange["log_likelihood"].mean() < known["log_likelihood"].mean() + (0 if "age" in change else 5)


def test_a_number_beside_single_ones_is_not_taken_for_them(codec: TableCodec, generator: TableGenerator) -> None:
    frame = pl.DataFrame({"kind": [str(n % 3) for n in range(400)], "half": [0.5 * (n % 7) for n in range(400)]})
    data = TABLES.read(Frame(frame), DataOptions())
    assert data.codec.tokens[1].exact.all()
    scores = scored(data.codec, TableGenerator(data.spec, 8).eval(), Frame(frame.head(6).with_columns(half=0.7)))
    assert scores["unseen"].to_list() == [1] * 6


def spec(columns: int) -> TableSpec:
    number = Block(33, True, True, (*np.linspace(-1, 1, 32).tolist(), 0.0), (0.0,) * 33, True)
    name = Block(4, False, False, (), (0.0,) * 4)
    return TableSpec.of([name if at % 5 == 4 else number for at in range(columns)])


@pytest.mark.parametrize("columns", [3, 40])
def test_the_sizes_of_numbers_are_those_of_one_matrix(columns: int) -> None:
    shape = spec(columns)
    rows = torch.rand(5, *shape.shape)
    found = torch.cat([sizes(rows) for sizes in TableDiscriminator(shape, 8, 1).sizes], 1)
    expected = []
    for start, block in zip(shape.starts, shape.blocks, strict=True):
        if block.ordered:
            tokens, values = rows[:, start : start + 32], torch.tensor(block.values[:32])
            above = values[:, None] > torch.linspace(-1, 1, 18)[1:-1]
            expected += [tokens @ values[:, None], tokens @ above.float()]
    torch.testing.assert_close(found, torch.cat(expected, 1))


def test_the_sizes_of_very_many_numbers_fit_in_memory() -> None:
    discriminator = TableDiscriminator(spec(1000), 8, 1)
    assert sum(buffer.numel() for buffer in discriminator.buffers()) < 10e6
    assert discriminator(torch.rand(2, *spec(1000).shape)).shape == (2,)


def test_rows_that_contradict_a_rule_are_told() -> None:
    rng = np.random.default_rng(0)
    a, b, item = rng.integers(0, 300, 3000), rng.integers(0, 300, 3000), rng.integers(0, 4, 3000)
    frame = people().with_columns(a=pl.Series(a), b=pl.Series(b), sum=pl.Series(a + b))
    frame = frame.with_columns(pl.Series(f"item_{name}", (item == n).astype(int)) for n, name in enumerate("wxyz"))
    data = TABLES.read(Frame(frame), DataOptions())
    few = frame.head(8)
    few[1, "band"] = "from 10" if few[1, "band"] != "from 10" else "from 20"
    few[2, "state"], few[2, "sum"] = "nowhere", -1
    few[3, "band"] = few[3, "city"] = few[3, "a"] = None  # gaps contradict nothing
    for name in "wxyz":
        few[4, f"item_{name}"] = 0
        few[5, f"item_{name}"] = 1
    few[6, "city"] = "Atlantis"  # of which the rule says nothing
    scores = scored(data.codec, TableGenerator(data.spec, 16).eval(), Frame(few))
    assert scores["breaks_rules"].to_list() == [0, 1, 2, 0, 1, 1, 0, 0]
