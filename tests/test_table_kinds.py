"""What columns are taken for, and as what they come back."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from gandem.domains.given import Frame
from gandem.domains.tables import TABLES, dates, frames, patterns, personal
from gandem.domains.tables.kinds import look
from gandem.domains.tables.matching import read_as
from gandem.errors import GandemError
from gandem.recipe import DataOptions, load_recipe
from tables import everything

N = 200
RNG = np.random.default_rng(0)


def texts(form: str, low: int = 0, high: int = 10**6) -> list[str]:
    return [form.format(number) for number in RNG.integers(low, high, N)]


def kind(values: Any, name: str = "x", text: bool = True) -> str:
    return look(pl.Series(name, values), text=text).field.kind


PEOPLE = [f"Ab{chr(97 + n % 26)} Cd{chr(97 + n // 26 % 2)}" for n in range(N)]
AMERICAN = ["+1 555 123 4{:03d}", "(555) 123-4{:03d}", "555.123.4{:03d}", "1-555-123-4{:03d}"]
COLUMNS: dict[str, tuple[list[Any], str, str]] = {
    "whole numbers": (texts("{}"), "x", "integer"),
    "decimals": (texts("{}.5"), "x", "decimal"),
    "exponents": (texts("{}e-2"), "x", "decimal"),
    "decimal commas": (texts("{},25"), "x", "decimal"),
    "thousands": (["1,234", "12,345", "999"] * 60, "x", "integer"),
    "two numbers": (["1", "2"] * 99, "x", "category"),
    "zero and one": (["0", "1"] * 99, "x", "boolean"),
    "true and false": (["True", "False"] * 99, "x", "boolean"),
    "codes with zeros": ([f"{number:05d}" for number in range(40)] * 5, "zip", "category"),
    "words": (["red", "green", "blue"] * 60, "x", "category"),
    "iso dates": ([f"20{n % 20:02d}-0{n % 9 + 1}-1{n % 9}" for n in range(N)], "x", "date"),
    "german dates": ([f"1{n % 9}.0{n % 9 + 1}.20{n % 20:02d}" for n in range(N)], "x", "date"),
    "american dates": ([f"0{n % 9 + 1}/2{n % 8}/20{n % 20:02d}" for n in range(N)], "x", "date"),
    "named months": ([f"1{n % 9} Mar 20{n % 20:02d}" for n in range(N)], "x", "date"),
    "times": ([f"2020-01-1{n % 9} 1{n % 9}:30:00" for n in range(N)], "x", "date"),
    "zoned times": ([f"2020-01-1{n % 9}T1{n % 9}:30:00Z" for n in range(N)], "x", "date"),
    "clocks": ([f"1{n % 9}:3{n % 7}" for n in range(N)], "x", "date"),
    "counted": ([str(n) for n in range(1, N)], "x", "identifier"),
    "named like a key": ([str(n) for n in RNG.permutation(10**6)[:N]], "customerId", "identifier"),
    "unique measures": ([str(n) for n in RNG.permutation(10**6)[:N]], "amount", "integer"),
    "codes": ([f"AB-{n:06d}" for n in RNG.permutation(N)], "x", "identifier"),
    "emails": (texts("a{}@b.com"), "x", "personal"),
    "phones": (texts("+49 30 {:07d}"), "x", "personal"),
    "phones by name": (texts("030 {:07d}"), "phone", "personal"),
    "social security": (texts("123-45-{:04d}", 0, 9999), "x", "personal"),
    "people": ([f"Ab{chr(97 + n % 26)} Cd{chr(97 + n // 26)}" for n in range(N)], "patient_name", "personal"),
    "people who come back": (PEOPLE, "patient_name", "personal"),
    "people in full": (PEOPLE, "fullName", "personal"),
    "people and no more": (PEOPLE, "Customer", "personal"),
    "people in words": (PEOPLE, "name of a person", "personal"),
    "people in German": (PEOPLE, "Kundenname", "personal"),
    "people in a thing": (PEOPLE, "hospital_patient_name", "personal"),
    "people by one word": ([f"q{chr(97 + n % 26)}ra" for n in range(N)], "username", "personal"),
    "american phones": ([f"(555) 123-4{n % 60:03d}" for n in range(N)], "contact", "personal"),
    "american phones with dashes": ([f"555-123-4{n % 60:03d}" for n in range(N)], "contact", "personal"),
    "american phones in every form": (
        [form.format(n % 60) for n, form in zip(range(N), AMERICAN * N, strict=False)],
        "contact",
        "personal",
    ),
    "products": (PEOPLE, "product_name", "category"),
    "all products different": (
        [f"Ab{chr(97 + n % 26)} Cd{chr(97 + n // 26)}" for n in range(N)],
        "productName",
        "text",
    ),
    "cities": (PEOPLE, "city_name", "category"),
    "companies": (PEOPLE, "company", "category"),
    "companies of people": (PEOPLE, "customer_company_name", "category"),
    "kinds of people": (["retail", "whole sale", "public"] * 60, "customer", "category"),
    "few people": ([f"Dr. {letter}" for letter in "abcdefgh"] * 20, "doctor_name", "category"),
    "codes of people": ([f"CU-{n % 60:04d}" for n in range(N)], "customer", "category"),
    "what people are": ([f"kind {chr(97 + n % 26)}" for n in range(N)], "customer_type", "category"),
    "long numbers": ([f"{5551230000 + n * n % 60}" for n in range(N)], "contact", "integer"),
    "numbers in threes": ([f"123-456-{n % 60:03d}" for n in range(N)], "part", "category"),
    "sentences": ([f"it was a day like {n} others" for n in range(N)], "x", "text"),
    "unique words": ([f"w{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(N)], "x", "text"),
    "one value": (["7"] * N, "x", "constant"),
    "nothing": ([None] * N, "x", "constant"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_kinds_of_texts(case: str) -> None:
    values, name, expected = COLUMNS[case]
    assert kind(pl.Series(name, values, pl.String), name) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pl.Series(["1", "2", "3"] * 60), "integer"),
        (pl.Series(["1.0", "2", "3"] * 60), "category"),
        (pl.Series([1.5, 2.5, None] * 60), "decimal"),
        (pl.Series([1.0, 2.0, 7.0] * 60), "integer"),
        (pl.Series([True, False, None] * 60), "boolean"),
        (pl.Series([dt.date(2020, 1, day) for day in range(1, 20)] * 9), "date"),
        (pl.Series([dt.timedelta(hours=hour) for hour in range(20)] * 9), "integer"),
        (pl.Series([[1], [2, 3]] * 60), "text"),
        (pl.Series([{"a": 1}] * 60), "text"),
        (pl.Series([b"x", b"y"] * 60), "text"),
        (pl.Series([float("inf"), 1.0, 2.5] * 60), "decimal"),
    ],
    ids=str,
)
def test_kinds_of_typed_columns(values: pl.Series, expected: str) -> None:
    assert kind(values, text=False) == expected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["12", "13.5", "lots"] * 3 + [str(n) for n in range(100)], "3 x lots: read as missing"),
        (["2020-01-02", "03.04.2020", "05/06/2020"] * 9 + ["25/12/2020"], "dates in 3 forms"),
        (["01/02/2020", "03/04/2021"] * 30, "day and month could be either"),
        (["1.5", "inf", "2.5"] * 9, "infinite numbers: read as missing"),
        ([f"w{n}" for n in range(30)] + ["w1"] * 15, "rows might be told by it"),
    ],
)
def test_what_is_doubtful_is_said(values: list[str], words: str) -> None:
    found = look(pl.Series("x", values), text=True)
    assert any(words in note for note in found.notes), found.notes


def test_names_that_are_learnt_are_said() -> None:
    for name, words in (("name", "may hold names of people"), ("product_name", "")):
        found = look(pl.Series(name, PEOPLE), text=True)
        assert found.field.kind == "category" and bool(found.notes) == bool(words)
        assert all(words in note for note in found.notes)


def test_kinds_can_be_corrected() -> None:
    frame = everything(300)
    recipe = load_recipe("default", {"data.columns.byte": "category", "data.columns.code": "text"})
    data = TABLES.read(Frame(frame), recipe.data)
    assert data.report["columns"]["byte"]["kind"] == "category" and data.report["columns"]["code"]["kind"] == "text"
    made = data.codec.given(data.samples(torch.arange(data.count))[0])
    assert made["byte"].equals(frame["byte"]) and made["code"].null_count() == len(made)
    for settings, words in {
        ("bite", "integer"): "Did you mean 'byte'",
        ("byte", "number"): "no kind of column",
        ("city", "integer"): "such as 'city",
        ("city", "date"): "are none",
    }.items():
        with pytest.raises(GandemError, match=words):
            TABLES.read(Frame(frame), DataOptions(columns=dict([settings])))


def test_keys_are_made_by_their_form_and_all_different() -> None:
    for given in (["AB-0001", "AB-0377"], ["x7f3", "xa01"], ["K9", "K10", "K137"], ["a\\0", "b\\1"]):
        how = patterns.form_of(given)
        made = patterns.made_from(how, 500, "x")
        assert len(set(made)) == 500 and made == patterns.made_from(how, 500, "x")
    assert all(
        value.startswith("AB-") and len(value) == 7
        for value in patterns.made_from(patterns.form_of(["AB-0001", "AB-9377"]), 99, "")
    )
    assert patterns.made_from(patterns.form_of(["K9", "K10", "K137"]), 1, "") == ["K138"]
    assert len(set(patterns.made_from({"form": "x0"}, 30, ""))) == 30  # more than there is room for


@pytest.mark.parametrize(
    "given",
    [
        [f"P{n:03d}" for n in range(200)],
        [f"P{n:03d}" for n in range(1000)],
        [f"{n:03x}" for n in range(1000, 3800)],
        [f"{n:04d}" for n in np.random.default_rng(0).permutation(10_000)[:5000]],
        [f"x{n:02d}{'ab'[n % 2]}" for n in range(60)],
        [f"q-{n}z" for n in range(120)],
    ],
    ids=lambda given: f"{given[0]} to {given[-1]}",
)
def test_no_real_key_is_made(given: list[str]) -> None:
    for count in (len(given), 3000):
        made = patterns.made_from(patterns.form_of(given), count, "x")
        assert len(set(made)) == count and not set(made) & set(given)
    assert patterns.made_from({"form": "P00"}, 3, "x")  # as models of before have it


def test_no_unique_number_is_made_twice_from_what_was_made() -> None:
    made = patterns.made_from({"uuid": True}, 50, "x")
    assert not set(made) & set(patterns.made_from(patterns.form_of(made), 50, "x"))


def test_numbers_that_leave_their_type_make_it_wider() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 130, (2, 4000))
    those = (a + b >= 200) & (a + b < 250)
    parts = pl.DataFrame({"a": a[those], "b": b[those]}, schema={"a": pl.UInt8, "b": pl.UInt8})
    rows = len(parts)
    frame = parts.with_columns(total=pl.col("a") + pl.col("b"), id=pl.int_range(rows) % 256)[:200]
    frame = frame.with_columns(id=pl.int_range(200, dtype=pl.UInt8))
    data = TABLES.read(Frame(frame), DataOptions())
    assert data.report["columns"]["total"]["worked_out"] == "total = a + b"
    real = data.codec.given(data.samples(slice(None))[0])
    assert real["total"].equals(frame["total"])
    noise = torch.randn(1000, *data.codec.spec.shape, generator=torch.Generator().manual_seed(1))
    made = data.codec.given(data.codec.decode(noise))
    assert made["total"].max() > 255 and made["total"].dtype == pl.Int64 and not sum(made.null_count().row(0))
    assert (made["a"].cast(int) + made["b"].cast(int)).equals(made["total"])
    assert made["id"].to_list() == [*range(200, 1200)]


def test_decimals_that_leave_their_type_make_it_wider() -> None:
    found = frames._as_type(pl.Series([1.25, 12345.5, None]), pl.Decimal(4, 2))
    assert [str(each) for each in found] == ["1.25", "12345.50", "None"]
    assert frames._as_type(pl.Series([2.0**63, -(2.0**64)]), pl.Int64()).to_list() == [2**63 - 1, -(2**63)]


@pytest.mark.parametrize(
    ("days", "mark"),
    [
        ([f"20{n % 20:02d}-0{n % 9 + 1}-1{n % 9}" for n in range(N)], "0000-00-00"),
        ([f"1{n % 9}.0{n % 9 + 1}.20{n % 20:02d}" for n in range(N)], "unknown"),
        ([f"2020-01-1{n % 9} {n % 24:02d}:{n % 60:02d}:00" for n in range(N)], "0000-00-00 00:00:00"),
        ([f"2020-01-1{n % 9}T1{n % 9}:30:00Z" for n in range(N)], "N.A."),
        ([f"1{n % 9}:3{n % 7}" for n in range(N)], "-"),
        ([f"2020-0{n % 9 + 1}-{n % 28 + 1:02d}" for n in range(N)], "2020-02-30"),
    ],
)
def test_marks_among_dates_stand_for_what_is_missing(days: list[str], mark: str) -> None:
    found = look(pl.Series("x", [mark, *days, mark]), text=True)
    assert found.field.kind == "date" and found.column is not None and found.column.missing and found.values is not None
    assert np.flatnonzero(np.isnan(found.values)).tolist() == [0, N + 1]
    assert f"WARNING: 'x' holds dates, and 2 x {mark}: read as missing" in found.notes
    assert np.isnan(read_as(pl.Series("x", [mark, days[0]]), found.column, found.field, [])).tolist() == [True, False]


def test_many_texts_among_dates_are_no_marks() -> None:
    days = [f"20{n % 20:02d}-0{n % 9 + 1}-1{n % 9}" for n in range(N)]
    for others in (["soon", "later", "never", "maybe"], ["soon"] * (N + 1)):
        assert kind([*days, *others]) != "date"
    assert kind(["1.2.10", "1.2.11", "2.40.1"] * 60) == "category"


@pytest.mark.parametrize("name", ["id", "user_id", "userId", "ID", "row number", "order-no", "Unnamed: 0"])
def test_names_of_keys(name: str) -> None:
    assert patterns.named_like_key(name)
    assert not any(patterns.named_like_key(other) for other in ("paid", "width", "amount", "video", "hidden"))


def test_personal_values_are_never_among_what_is_made() -> None:
    for how in ({"personal": "email"}, {"personal": "name", "part": "whole"}, {"personal": "phone", "mask": "+00 000"}):
        made = personal.made_up(how, 50, "x")
        assert len(made) == 50 and made == personal.made_up(how, 50, "x")
    assert personal._is_card("4111 1111 1111 1111") and not personal._is_card("4111 1111 1111 1112")
    assert personal._is_iban("DE89 3704 0044 0532 0130 00") and not personal._is_iban("DE88 3704 0044 0532 0130 00")


def test_dates_are_read_in_the_form_they_were_learnt_in() -> None:
    """Days up to 12 alone could be months as well; cells in another form are read in theirs."""
    learnt = look(pl.Series("day", [f"{1 + n % 12:02}/{1 + n % 28:02}/2020" for n in range(60)]), text=True)
    assert learnt.field.format == "%m/%d/%Y" and learnt.column is not None
    fifth = dt.datetime(2020, 1, 5, tzinfo=dt.UTC).timestamp()
    for other, value in (("2020-01-05", fifth), ("tbd", np.nan)):
        found = read_as(pl.Series("day", ["01/05/2020", None, other]), learnt.column, learnt.field, [])
        np.testing.assert_array_equal(found, [fifth, np.nan, value])


@pytest.mark.parametrize(
    "values",
    [
        pl.Series("x", [dt.timedelta(hours=1)] * N),
        pl.Series("x", [*range(N - 1), 2**63 - 1]),
        pl.Series("x", [*range(N - 1), 2**64 - 1], dtype=pl.UInt64),
    ],
    ids=["a constant duration", "the largest whole number", "the largest without sign"],
)
def test_odd_types_come_back(values: pl.Series) -> None:
    data = TABLES.read(Frame(pl.DataFrame({"x": values, "y": [f"{n % 3}" for n in range(N)]})), DataOptions())
    again = data.codec.given(data.samples(slice(None))[0])
    assert again["x"].dtype == values.dtype and again["x"].null_count() <= 1  # what no float holds may be lost


def test_dates_as_names_stay_text() -> None:
    days = pl.Series("x", [dt.date(2020, 1, 1 + n % 3) for n in range(N)])
    data = TABLES.read(Frame(pl.DataFrame({"x": days})), DataOptions(columns={"x": "category"}))
    assert set(data.codec.given(data.samples(slice(None))[0])["x"]) == {"2020-01-01", "2020-01-02", "2020-01-03"}


def test_a_person_alone_and_numbers_of_people_as_floats_are_not_learnt() -> None:
    """One e-mail in every row; numbers of telephones and customers with a gap, as pandas has them."""
    frame = pl.DataFrame(
        {"email": ["john.doe@gmail.com"] * N, "phone": [4915112345678.0 + 977 * n for n in range(N)]}
        | {"customer_id": [None, *(1000.0 + n for n in range(N - 1))], "age": [float(20 + n % 50) for n in range(N)]}
    )
    data = TABLES.read(Frame(frame), DataOptions())
    assert data.codec.names == ("age",)
    text = str(data.codec.to_dict())
    assert "john.doe" not in text and "4915112345678" not in text
    made = data.codec.given(data.samples(slice(None))[0])
    assert made.schema == frame.schema and not set(made["email"]) & set(frame["email"])


def test_text_with_a_zone_in_a_typed_table_comes_back() -> None:
    frame = pl.DataFrame({"at": [f"2024-01-{1 + n % 28:02}T10:00:00Z" for n in range(N)]})
    data = TABLES.read(Frame(frame), DataOptions())
    assert data.codec.given(data.samples(slice(None))[0])["at"].str.starts_with("2024-01-").all()


def test_short_floats_have_the_decimals_that_they_are_written_with() -> None:
    prices = pl.Series("price", [round(9.99 + 0.01 * (n % 97), 2) for n in range(N)], dtype=pl.Float32)
    found = look(prices)
    assert found.column is not None and found.column.step == pytest.approx(0.01)


def test_keys_may_be_longer_than_floats_can_count() -> None:
    made = patterns.made_from({"form": "0" * 300}, 3, "x")
    assert len(set(made)) == 3 and all(len(each) == 300 for each in made)


def test_a_group_of_columns_takes_no_name_of_another() -> None:
    columns = {f"item_{letter}": [int(n % 3 == at) for n in range(N)] for at, letter in enumerate("abc")}
    frame = pl.DataFrame({"item": [f"code-{n}-{n * n}" for n in range(N)], **columns})
    made = TABLES.read(Frame(frame), DataOptions())
    assert not made.codec.given(made.samples(slice(None))[0])["item"].str.starts_with("item_").any()


def test_years_of_two_and_of_four_digits_are_not_taken_for_each_other() -> None:
    from gandem.domains.tables import dates

    texts = pl.Series(["31.05.22", "01.06.2022"])
    assert dates.read(texts, "%d.%m.%y").dt.year().to_list() == [2022, None]
    assert dates.read(texts, "%d.%m.%Y").dt.year().to_list() == [None, 2022]


def test_moments_that_the_clock_skips_come_later() -> None:
    """An hour in spring in Berlin, and a whole day when Samoa crossed the date line; in older runs all is by UTC."""
    for zone, moment, later in (
        ("Europe/Berlin", dt.datetime(2023, 3, 26, 2, 30), dt.datetime(2023, 3, 26, 3, 30)),
        ("Pacific/Apia", dt.datetime(2011, 12, 30, 5), dt.datetime(2011, 12, 31, 5)),
        ("Europe/Berlin", dt.datetime(2023, 7, 1), dt.datetime(2023, 7, 1)),
    ):
        asked = dates.seconds(pl.Series([moment]))
        made = dates.dated(asked, pl.Datetime("us", zone))
        assert made.dt.replace_time_zone(None).to_list() == [later]
        assert dates.seconds(made).tolist() == dates.seconds(pl.Series([later])).tolist()
        assert dates.seconds(dates.dated(asked, pl.Datetime("us", zone), by_zone=False), by_zone=False) == asked
