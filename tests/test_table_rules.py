"""Rules: found where all rows keep them and chance would not, then kept by everything that is made."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest
import torch

from gandem.conditions import conditions
from gandem.domains.given import Frame
from gandem.domains.tables import TABLES
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.data import TableData
from gandem.domains.tables.networks import TableGenerator, latents
from gandem.domains.tables.rules import Order
from gandem.errors import RecipeError
from gandem.recipe import DataOptions
from tables import adult, everything


def read(frame: pl.DataFrame, rules: str = "auto") -> TableData:
    return TABLES.read(Frame(frame), DataOptions(rules=rules))


def wild(codec: TableCodec, rows: int = 2000) -> pl.DataFrame:
    """What a generator that knows nothing makes."""
    noise = torch.randn(rows, *codec.spec.shape, generator=torch.Generator().manual_seed(1))
    return codec.given(codec.decode(noise))


@pytest.fixture(scope="module")
def data() -> TableData:
    return read(everything())


def test_all_rules_are_found_and_said(data: TableData) -> None:
    assert set(data.report["rules"]) == {
        "exactly one of colour_b, colour_k, colour_r, colour_g is set",
        "city determines state",
        "total = a + b + c",
        "fahrenheit = 1.8 x celsius + 32",
        "began <= ended",
    } or {rule for rule in data.report["rules"] if not rule.startswith("exactly one of colour_")} == {
        "city determines state",
        "total = a + b + c",
        "fahrenheit = 1.8 x celsius + 32",
        "began <= ended",
    }
    assert len({rule.target.name for rule in data.codec.rules if not isinstance(rule, Order)}) == 7
    assert len(data.codec.rules) == 8
    text = "\n".join(TABLES.lines(data.report))
    assert "city determines state" in text and "WARNING: 'contact'" in text


@pytest.mark.parametrize("first", [True, False])
def test_names_beside_their_own_zeros_and_ones(first: bool) -> None:
    colour = np.random.default_rng(0).choice(["red", "green", "blue", "sky"], 400)
    names = {"colour": colour}
    signs = {f"is_{one}": (colour == one).astype(int) for one in ("red", "green")}
    signs["is_blue"] = np.isin(colour, ("blue", "sky")).astype(int)
    found = read(pl.DataFrame({**names, **signs} if first else {**signs, **names}))
    made = wild(found.codec)
    assert made["colour"].n_unique() == 4
    assert (made["is_blue"] == made["colour"].is_in(["blue", "sky"])).all()
    assert (made["is_red"] + made["is_green"] + made["is_blue"] == 1).all()


def test_whatever_is_made_keeps_them(data: TableData) -> None:
    made, source = wild(data.codec), everything()
    state = dict(source.select("city", "state").unique().iter_rows())
    assert made["state"].to_list() == [state[city] for city in made["city"]]
    assert ((made["a"] + made["b"] + made["c"] - made["total"]).abs() < 0.006).all()
    assert ((1.8 * made["celsius"] + 32 - made["fahrenheit"]).abs() < 0.006).all()
    assert (made.select(pl.col("^colour_.$")).sum_horizontal() == 1).all()
    assert (made["began"] <= made["ended"]).all()
    assert (made["ended"] <= source["ended"].max()) is not False
    other = TABLES.matching(Frame(made), data.codec, DataOptions())
    assert not any(other.report["broken"].values())
    again = TableCodec.from_dict(json.loads(json.dumps(data.codec.to_dict())))
    assert wild(again).equals(made)


def test_real_rows_come_back_under_the_rules(data: TableData) -> None:
    made, source = data.codec.given(data.samples(torch.arange(data.count))[0]), everything()
    for name in ("state", "total", "fahrenheit", "began", "ended", "colour_r", "colour_k"):
        assert made[name].equals(source[name]), name


def test_rows_that_break_rules_are_counted(data: TableData) -> None:
    wrong = everything().with_columns(state=pl.col("state").shuffle(0), ended=pl.col("began").shuffle(1))
    broken = TABLES.matching(Frame(wrong), data.codec, DataOptions()).report["broken"]
    assert broken["city determines state"] > 500 and broken["began <= ended"] > 300
    assert broken["total = a + b + c"] == 0


def test_rules_can_be_let_go() -> None:
    data = read(everything(400), "none")
    assert data.report["rules"] == [] and "total" in data.codec.names and "state" in data.codec.names


def test_education_is_not_learnt_twice() -> None:
    data = TABLES.read(str(adult()), DataOptions())
    assert "education-num" not in data.codec.names and "education" in data.codec.names
    real = TABLES.read(str(adult()), DataOptions(rules="none"))
    pairs = set(real.codec.given(real.samples(torch.arange(1500))[0]).select("education", "education-num").iter_rows())
    assert set(wild(data.codec).select("education", "education-num").iter_rows()) <= pairs


@pytest.mark.parametrize("seed", range(5))
def test_chance_makes_no_rules(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {f"n{number}": rng.integers(0, 10**number, 300) for number in range(1, 5)}
    columns |= {f"c{number}": rng.choice([f"v{k}" for k in range(5**number)], 300) for number in range(1, 4)}
    columns |= {"rare": (rng.random(300) < 0.01).astype(int), "half": rng.random(300), "gap": [None] * 299 + [1.5]}
    assert read(pl.DataFrame(columns, strict=False)).codec.rules == ()


def test_missing_values_take_part_in_rules() -> None:
    rng = np.random.default_rng(0)
    a = pl.Series(rng.integers(0, 300, 600)).cast(pl.Float64)
    a = a.set(pl.Series(rng.random(600) < 0.2), None)
    low = pl.Series(rng.integers(0, 100, 600)).cast(pl.Float64)
    frame = pl.DataFrame({"a": a, "b": rng.integers(0, 300, 600), "low": low})
    frame = frame.with_columns(sum=pl.col("a") + pl.col("b"), high=pl.col("low") + pl.Series(rng.integers(0, 50, 600)))
    frame = frame.with_columns(high=pl.when(pl.col("b") < 60).then(None).otherwise(pl.col("high")))
    data = read(frame)
    assert {"sum = a + b", "low <= high"} <= set(data.report["rules"])
    made = wild(data.codec)
    assert (made["sum"].is_null() == made["a"].is_null()).all() and made["high"].null_count() > 0
    assert (made["low"] <= made["high"]).drop_nulls().all()
    broken = frame.with_columns(sum=pl.when(pl.int_range(600) == 7).then(None).otherwise(pl.col("sum")))
    assert "sum = a + b" not in read(broken).report["rules"]


def test_strict_orders_and_chains() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 100, 800)
    b = a + rng.integers(1, 60, 800)
    frame = pl.DataFrame({"c": b + rng.integers(0, 60, 800), "a": a, "b": b})
    data = read(frame)
    orders = [rule for rule in data.codec.rules if isinstance(rule, Order)]
    assert [str(rule) for rule in orders] == ["a < b", "b <= c"]
    made = wild(data.codec)
    assert (made["a"] < made["b"]).all() and (made["b"] <= made["c"]).all()
    noise = torch.randn(2000, *data.spec.shape, generator=torch.Generator().manual_seed(1))
    asked = data.codec.decode(noise, fixed=("b",))  # then it is a that gives way, and c
    free = data.codec.from_dict({**data.codec.to_dict(), "rules": []}).decode(noise)
    at = {name: data.codec.names.index(name) for name in "abc"}
    assert np.array_equal(asked[:, at["b"]], free[:, at["b"]])
    reachable = asked[:, at["b"]] > frame["a"].min()
    assert (asked[:, at["a"]] < asked[:, at["b"]])[reachable].all()
    assert (asked[:, at["b"]] <= asked[:, at["c"]]).all()
    for name in "abc":
        assert frame[name].min() <= made[name].min() and made[name].max() <= frame[name].max()


def stays(rows: int = 800, missing: str = "") -> pl.DataFrame:
    """Symptoms before admission before discharge; one of them may be missing in the newest rows."""
    rng = np.random.default_rng(0)
    a = np.sort(rng.integers(0, 200, rows)).astype(float)
    b = a + rng.integers(0, 30, rows)
    frame = pl.DataFrame({"a": a, "b": b, "c": b + rng.integers(0, 40, rows)})
    newest = pl.int_range(rows) > rows * 0.7
    return (
        frame.with_columns(pl.when(newest).then(None).otherwise(pl.col(missing)).alias(missing)) if missing else frame
    )


@pytest.mark.parametrize("missing", ["", "b", "c"])
def test_chains_are_kept_with_gaps_and_within_the_ranges(missing: str) -> None:
    frame = stays(missing=missing)
    data = read(frame)
    made = wild(data.codec)
    for low, high in (("a", "b"), ("b", "c"), ("a", "c")):
        assert (made[low] <= made[high]).drop_nulls().all(), (low, high)
    for name in "abc":
        assert frame[name].min() <= made[name].min() and made[name].max() <= frame[name].max(), name


@pytest.mark.parametrize("fixed", [("c",), ("a",), ("b",), ("a", "c")])
def test_chains_are_kept_around_what_is_asked_for(fixed: tuple[str, ...]) -> None:
    data = read(stays())
    noise = torch.randn(2000, *data.spec.shape, generator=torch.Generator().manual_seed(1))
    free = data.codec.from_dict({**data.codec.to_dict(), "rules": []}).decode(noise)
    made = data.codec.decode(noise, fixed=fixed)
    at = {name: data.codec.names.index(name) for name in "abc"}
    assert all(np.array_equal(made[:, at[name]], free[:, at[name]]) for name in fixed)
    a, b, c = (made[:, at[name]] for name in "abc")
    possible = free[:, at["a"]] <= free[:, at["c"]] if len(fixed) > 1 else np.ones(len(made), bool)
    assert (a <= b)[possible].all() and (b <= c)[possible].all()


def test_two_that_are_asked_for_keep_the_rules_between_them() -> None:
    data = read(stays())
    generator = TableGenerator(data.spec, 16).eval()
    asked = TABLES.told(data.codec, lambda: generator, conditions(["a>=100", "c<=150"]), 500, 0)
    made = TABLES.made(data.codec, generator, torch.randn(500, latents(data.spec)), asked)
    a, b, c = (made[:, data.codec.names.index(name)] for name in "abc")
    assert (a >= 100).all() and (c <= 150).all() and (a <= b).all() and (b <= c).all()
    with pytest.raises(RecipeError, match="no row meets all of it"):
        TABLES.told(data.codec, lambda: generator, conditions(["a=190", "c=100"]), 10, 0)


def test_what_is_filled_keeps_the_rules() -> None:
    """A generator that knows nothing, and a tenth of all cells missing."""
    from gandem.domains.tables.completing import imputed

    whole = everything().drop("nothing", "gaps", "list")
    whole = whole.drop([each.name for each in whole if each.null_count()])
    data = read(whole)
    rng = np.random.default_rng(1)
    holes = whole.with_columns(
        pl.when(pl.Series(rng.random(len(whole)) < 0.1)).then(None).otherwise(pl.col(name)).alias(name)
        for name in whole.columns
    )
    filled = imputed(data.codec, TableGenerator(data.spec, 16).eval(), Frame(holes), 0)
    for name in whole.columns:
        there = holes[name].is_not_null()
        assert filled[name].filter(there).equals(holes[name].filter(there)), name
    again = TABLES.matching(Frame(filled), data.codec, DataOptions())
    broken = dict(again.report["broken"])
    two = holes.select(sum(pl.col(name).is_null().cast(int) for name in "abc") > 1).to_series()
    assert broken.pop("total = a + b + c") <= two.sum()  # whatever is drawn for two, the known sum stays
    assert not any(broken.values()), broken


def test_values_that_are_asked_for_come_as_often_as_they_are() -> None:
    """Six hundred cities: those that occur most have a token each, the others share one."""
    rng = np.random.default_rng(0)
    often = [100] + [20] * 520 + [10] + [1] * 80
    cities = np.repeat([f"c{n}" for n in range(len(often))], often)
    data = read(pl.DataFrame({"city": rng.permutation(cities), "x": rng.random(len(cities))}))
    generator = TableGenerator(data.spec, 16).eval()
    for asked, share in ((["c0", "c600"], 100 / 101), (["c521", "c600"], 10 / 11)):
        told = TABLES.told(data.codec, lambda: generator, conditions({"city": asked}), 2000, 0)
        made = TABLES.made(data.codec, generator, torch.randn(2000, latents(data.spec)), told)
        names = data.codec.given(made)["city"]
        assert set(names) <= set(asked) and (names == asked[0]).mean() == pytest.approx(share, abs=0.02)


def test_times_of_a_day_are_asked_for_as_times_and_dates_as_dates() -> None:
    rng = np.random.default_rng(0)
    clock = [dt.time(int(hour), 30) for hour in rng.integers(8, 18, 400)]
    day = [dt.date(2024, 1, 1) + dt.timedelta(int(days)) for days in rng.integers(0, 300, 400)]
    data = read(pl.DataFrame({"clock": clock, "day": day, "x": rng.random(400)}))
    generator = TableGenerator(data.spec, 16).eval()
    for asked in ("clock>=12:00", {"clock": (dt.time(12), None)}):
        told = TABLES.told(data.codec, lambda: generator, conditions(asked), 100, 0)
        made = data.codec.given(TABLES.made(data.codec, generator, torch.randn(100, latents(data.spec)), told))
        assert made["clock"].min() >= dt.time(12)
    for wrong, words in (("day>=2024", "2024-05-31"), ("day>=12:00", "2024-05-31"), ("clock>=2024-01-01", "08:30")):
        with pytest.raises(RecipeError, match=words):
            TABLES.told(data.codec, lambda: generator, conditions(wrong), 10, 0)


@pytest.mark.parametrize("values", [(True, False), ("True", "False"), ("TRUE", "FALSE"), (1, 0)])
def test_true_and_false_are_asked_for_as_such_in_whatever_form_they_stand(values: tuple[object, object]) -> None:
    rng = np.random.default_rng(0)
    flags = [values[int(each)] for each in rng.random(300) < 0.4]
    data = read(pl.DataFrame({"flag": flags, "x": rng.random(300)}))
    generator = TableGenerator(data.spec, 16).eval()
    for asked, value in zip((True, False), values, strict=True):
        told = TABLES.told(data.codec, lambda: generator, conditions({"flag": asked}), 20, 0)
        made = data.codec.given(TABLES.made(data.codec, generator, torch.randn(20, latents(data.spec)), told))
        assert made["flag"].to_list() == [value] * 20


def test_cells_that_are_not_known_do_not_make_a_row_less_probable_by_their_residuals() -> None:
    data = read(stays())
    torch.manual_seed(0)
    generator = TableGenerator(data.spec, 16).eval()
    for head in generator.residual_heads:
        torch.nn.init.normal_(head.bias)
    rows = data.codec.encode(data.samples(slice(0, 4))[0])
    empty = torch.zeros_like(rows)
    assert torch.equal(generator.log_likelihood(empty), torch.zeros(4))
    assert (generator.log_likelihood(rows) < 0).all()


def test_a_copy_of_a_column_is_said() -> None:
    rng = np.random.default_rng(0)
    word = rng.choice(["low", "middle", "high"], 300)
    frame = pl.DataFrame({"word": word, "number": [len(each) for each in word], "x": rng.random(300)})
    data = read(frame)
    assert data.codec.names == ("word", "x")
    assert any("as a target it needs no model" in note for note in data.report["notes"])


@pytest.mark.parametrize("first", ["colour", "colour_red"])
def test_dummies_beside_their_category_follow_from_it(first: str) -> None:
    """The category may say more than the dummies do, and may stand before or behind them."""
    rng = np.random.default_rng(0)
    colour = rng.choice(["light red", "dark red", "green", "blue"], 500, p=[0.3, 0.2, 0.3, 0.2])
    for values in (colour, [each.split()[-1] for each in colour]):
        dummies = {f"colour_{name}": [int(name in each) for each in values] for name in ("red", "green", "blue")}
        columns = {"colour": values, **dummies} if first == "colour" else {**dummies, "colour": values}
        frame = pl.DataFrame({**columns, "x": rng.random(500)})
        data = read(frame)
        assert data.codec.names == ("colour", "x")
        assert data.report["columns"]["colour_red"]["worked_out"] == "colour determines colour_red"
        made = wild(data.codec)
        for name in ("red", "green", "blue"):
            assert (made[f"colour_{name}"] == made["colour"].str.contains(name).cast(pl.Int64)).all()
        assert data.codec.given(data.samples(slice(None))[0]).drop("x").equals(frame.drop("x"))
        assert not any(TABLES.matching(Frame(made), data.codec, DataOptions()).report["broken"].values())


def test_what_a_group_determines_is_said() -> None:
    rng = np.random.default_rng(0)
    item = rng.integers(0, 4, 500)
    dummies = {f"item_{letter}": (item == number).astype(int) for number, letter in enumerate("abcd")}
    data = read(pl.DataFrame({**dummies, "warm": np.where(item < 2, "yes", "no"), "x": rng.random(500)}))
    assert [line.split(" item_")[0] for line in data.report["rules"]] == ["exactly one of", "item determines warm"]


def test_a_sum_may_determine_another_column() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 25, (2, 3000))
    total = a + b
    frame = pl.DataFrame({"band": [f"band {each // 10}" for each in total], "a": a, "b": b, "total": total})
    data = read(frame)
    assert {"total = a + b", "total determines band"} <= set(data.report["rules"])
    made = wild(data.codec)
    assert (made["band"] == pl.Series([f"band {each // 10}" for each in made["total"]])).all()


def test_a_sum_is_found_beside_large_numbers() -> None:
    rng = np.random.default_rng(1)
    net, tax = (np.round(rng.gamma(shape, 10, 800), 2) for shape in (2, 3))
    sums = {"net": net, "tax": tax, "gross": np.round(net + tax, 2)}
    large = {"moment": 1_700_000_000_000 + rng.integers(0, 10**11, 800)}
    assert "gross = net + tax" in read(pl.DataFrame(large | sums)).report["rules"]
