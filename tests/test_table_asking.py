"""Conditions on columns that are not learnt but follow from others: asked of what determines them, or refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from gandem.conditions import conditions
from gandem.domains.given import Frame
from gandem.domains.tables import TABLES
from gandem.domains.tables.data import TableData
from gandem.domains.tables.networks import TableGenerator, latents
from gandem.errors import RecipeError
from gandem.recipe import DataOptions
from tables import adult, everything


def read(frame: pl.DataFrame, rules: str = "auto") -> TableData:
    return TABLES.read(Frame(frame), DataOptions(rules=rules))


@pytest.fixture(scope="module")
def data() -> TableData:
    return read(everything())


def asked(data: TableData, where: object, count: int = 300) -> pl.DataFrame:
    """What a generator makes on conditions that knows how often values are, and nothing else."""
    generator = TableGenerator(data.spec, 16).eval()
    told = TABLES.told(data.codec, lambda: generator, conditions(where), count, 0)
    return data.codec.given(TABLES.made(data.codec, generator, torch.randn(count, latents(data.spec)), told))


@pytest.mark.parametrize(
    ("where", "meets"),
    [
        (["education-num=13"], pl.col("education-num") == 13),
        (["education-num>=13"], pl.col("education-num") >= 13),
        (["education-num!=9", "education-num<10"], pl.col("education-num") < 9),
        (
            ["education=Bachelors|HS-grad|Masters", "education-num>=10", "age<30"],
            pl.col("education").is_in(["Bachelors", "Masters"]) & (pl.col("age") < 30),
        ),
    ],
)
def test_what_is_asked_of_a_determined_column_is_asked_of_what_determines_it(where: list[str], meets: pl.Expr) -> None:
    data = TABLES.read(str(adult()), DataOptions())
    rows = asked(data, where)
    assert rows.filter(meets).height == 300
    names = pl.read_csv(adult())["education"].str.strip_chars()
    shares = rows["education"].value_counts(normalize=True)
    real = names.filter(names.is_in(shares["education"].implode())).value_counts(normalize=True)
    both = shares.join(real, on="education", suffix="_real")
    assert (both["proportion"] - both["proportion_real"]).abs().max() < 0.08


def test_a_group_and_very_many_names_are_asked_for_through_what_they_determine(data: TableData) -> None:
    rows = asked(data, ["colour_r=1"])
    assert (rows["colour_r"] == 1).all() and (rows["colour_g"] == 0).all()
    assert (asked(data, ["colour_r=0"])["colour_r"] == 0).all()
    rng = np.random.default_rng(0)
    city = np.where(rng.random(6000) < 0.3, rng.integers(0, 20, 6000), np.arange(6000) % 500)  # the rare share a token
    many = read(pl.DataFrame({"city": [f"c{n}" for n in city], "state": [f"s{n % 9}" for n in city]}))
    told = TABLES.told(many.codec, lambda: TableGenerator(many.spec, 16).eval(), conditions("state=s3"), 500, 0)
    assert told.chance == pytest.approx((city % 9 == 3).mean(), abs=0.02)
    rows = asked(many, ["state=s3"], 500)
    assert (rows["state"] == "s3").all() and rows["city"].n_unique() > 30


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("state=S9", "--where state=S9: state has no such value"),
        ("state>=S1", "is a category"),
        ("state=", "nothing is missing in state"),
        (["state=S1", "city=city 2"], "no row meets all of it"),
        (
            "total>=10",
            r"total is worked out .*\(total = a \+ b \+ c\); ask for a or b or c, or train with --set data.rules",
        ),
    ],
)
def test_what_cannot_be_asked_of_a_determined_column_gets_one_line(where: object, words: str, data: TableData) -> None:
    with pytest.raises(RecipeError, match=words) as error:
        asked(data, where)
    assert "\n" not in str(error.value)


def test_what_no_determining_value_gives_and_what_hangs_on_a_sum_is_said() -> None:
    adults = TABLES.read(str(adult()), DataOptions())
    with pytest.raises(RecipeError, match="education-num>16: no value of education gives that"):
        asked(adults, "education-num>16")
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 25, (2, 3000))
    frame = pl.DataFrame({"band": [f"band {each // 10}" for each in a + b], "a": a, "b": b, "total": a + b})
    line = r"band is worked out .*\(total determines band, and total = a \+ b\); ask for a or b, or train with"
    with pytest.raises(RecipeError, match=line):
        asked(read(frame), "band=band 3")
    free = read(frame, "none")
    assert (asked(free, "band=band 3")["band"] == "band 3").all() and (asked(free, "total>=30")["total"] >= 30).all()


def test_dates_and_times_are_said_as_people_write_them() -> None:
    from gandem.domains.tables.asking import _said
    from gandem.domains.tables.columns import Column

    day, clock = Column("day", "date", low=1e9, high=2e9), Column("clock", "date", low=0.0, high=80_000.0)
    assert [_said(day, 1717113600.0), _said(day, 1717144200.0)] == ["2024-05-31", "2024-05-31 08:30:00"]
    assert _said(clock, 30_600.0) == "08:30:00" and _said(Column("x", "decimal"), 0.25) == "0.25"
