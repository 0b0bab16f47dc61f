"""What the columns of a table are: found from their values, shown with the reason, and open to correction."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from gandem.domains.tables import dates, dtypes, patterns, personal
from gandem.domains.tables.columns import KINDS, Column, Field
from gandem.domains.tables.scales import Grid, date_scale
from gandem.domains.tables.tidy import MOST_MARKS
from gandem.domains.tables.tokens import CategoryTokens, NumberTokens
from gandem.errors import RecipeError, nearest

FEWEST_KEYS = 20
"""Rows from which a column without repetitions says that it identifies them."""
NEARLY_ALL, HALF = 0.9, 0.5
LONG_TEXT, WORDS = 60, 4
_LARGEST = 2.0**53


@dataclass(frozen=True)
class Found:
    """A column as it was found.

    values: float64 (n,) of a modelled column, as `Column` says. notes: what a person should know.
    """

    field: Field
    column: Column | None = None
    tokens: CategoryTokens | NumberTokens | None = None
    values: np.ndarray | None = None
    notes: list[str] = dataclasses.field(default_factory=list)


def look(series: pl.Series, asked: str | None = None, text: bool = False) -> Found:
    """Find out what a column is, or read it as the kind that is asked for; raises RecipeError where that cannot be.

    text: whether the source had no types, so that numbers in text come back as numbers.
    """
    if asked is not None:
        if asked not in KINDS:
            raise RecipeError(f"data.columns.{series.name} = {asked!r} is no kind of column.{nearest(asked, KINDS)}")
        found = _ASKED[asked](series, text)
        if found is None:
            example = next(iter(series.drop_nulls().head(1).to_list()), None)
            raise RecipeError(f"data.columns.{series.name} = {asked!r}: its values, such as {example!r}, are none")
        return found
    if series.dtype.is_float() and (hidden := _whole_ones(series, text)) is not None:
        return hidden
    readers = [_left_out, _constant, _boolean, _date, _personal, _key, _number, _texts]
    if text and series.dtype == pl.String and _as_number(series) is not None:  # most columns of most tables
        readers = [_constant, _personal, _key, _number]
    return next(found for reader in readers if (found := reader(series, text)) is not None)


def _made(series: pl.Series, kind: str, why: str, how: dict[str, Any], *notes: str) -> Found:
    """Return a column that is not modelled."""
    gone = series.null_count() / max(len(series), 1)
    how = how | ({"missing": round(gone, 4)} if gone and kind not in ("constant", "text") else {})
    return Found(Field(series.name, kind, dtypes.written(series.dtype), why, made=how), notes=list(notes))


def _left_out(series: pl.Series, text: bool) -> Found | None:
    if not (series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object)):
        return None
    note = f"WARNING: {series.name!r} holds {series.dtype} in every cell: left empty"
    return _made(series, "text", f"cells of type {series.dtype}", {}, note)


def _constant(series: pl.Series, text: bool) -> Found | None:
    present = series.drop_nulls()
    if len(present) == 0:
        return _made(series, "constant", "no value at all", {"value": None}, f"{series.name!r} holds no value at all")
    if series.null_count() or present.n_unique() > 1:
        return None
    if (of_one := _personal(series, text)) is not None:
        return of_one
    value = present[0]
    if text and _as_number(present) is not None:
        number = _as_number(present)
        assert number is not None
        whole = number.dtype == pl.Int64
        return Found(
            Field(series.name, "constant", "Int64" if whole else "Float64", "one value", made={"value": number[0]})
        )
    plain = value if isinstance(value, bool | int | float | str) else None
    if series.dtype == pl.Duration:
        plain = int(present.to_physical()[0])
    elif plain is None:  # dates and the like
        plain = float(dates.seconds(present)[0]) if series.dtype.is_temporal() else str(value)
    return _made(series, "constant", "one value", {"value": plain})


def _boolean(series: pl.Series, text: bool) -> Found | None:
    if series.dtype == pl.Boolean:
        return _category(series.cast(pl.String), "boolean", "Boolean", "true and false", ("false", "true"))
    if series.dtype != pl.String:
        return None
    names = tuple(sorted(series.drop_nulls().unique().to_list()))
    if tuple(name.lower() for name in names) != ("false", "true"):
        return None
    dtype = "Boolean" if text and names == ("false", "true") else "String"
    return _category(series, "boolean", dtype, "true and false", names)


def _date(series: pl.Series, text: bool) -> Found | None:
    form: str | None = None
    notes: list[str] = []
    values = series
    if series.dtype == pl.String:
        read = dates.parsed(series)
        if read is None:
            return None
        values, form, notes = read
    elif not series.dtype.is_temporal() or series.dtype == pl.Duration:
        return None
    dtype = dtypes.written(series.dtype if form and not text else values.dtype)
    found = dates.seconds(values)
    scale = date_scale(found[~np.isnan(found)])
    why = f"texts like {form}" if form else f"type {series.dtype}"
    return _numbers(series, "date", dtype, why, found, scale, form, notes)


def _personal(series: pl.Series, text: bool) -> Found | None:
    if series.dtype != pl.String and not series.dtype.is_integer():
        return None
    how = personal.recognised(series)
    if how is None:
        return None
    what = how["personal"]
    note = f"WARNING: {series.name!r} looks like personal data ({what}): made-up values take their place"
    return _made(series, "personal", f"form or name of: {what}", how, note)


def _key(series: pl.Series, text: bool) -> Found | None:
    present = series.drop_nulls()
    if len(present) < FEWEST_KEYS or present.n_unique() < len(present):
        return None
    if series.dtype == pl.String:
        number = numbers_of(present, []) if text else None
        if number is None:
            one_word = not present.str.contains(r"\s").any()
            coded = (present.str.contains(r"\d").mean() or 0) > HALF  # type: ignore[operator]
            if one_word and (coded or patterns.named_like_key(series.name)):
                return _identifier(series, text)
            return None
        present = number
    if not present.dtype.is_integer():
        return None
    low, high = int(present.min()), int(present.max())  # type: ignore[arg-type]
    counted = high - low == len(present) - 1 and present.is_sorted()
    return _identifier(series, text) if counted or patterns.named_like_key(series.name) else None


def _whole_ones(series: pl.Series, text: bool) -> Found | None:
    """Find keys and personal numbers among floats, which whole numbers with gaps become in some libraries."""
    whole = series.cast(pl.Int64, strict=False)
    if not (whole.cast(pl.Float64) == series.cast(pl.Float64)).fill_null(True).all() or whole.count() != series.count():
        return None
    found = (_personal(whole, text) or _key(whole, text)) if whole.n_unique() > 2 else None
    return found and dataclasses.replace(
        found, field=dataclasses.replace(found.field, dtype=dtypes.written(series.dtype))
    )


def _identifier(series: pl.Series, text: bool) -> Found | None:
    present = series.drop_nulls()
    number = _as_number(present) if series.dtype == pl.String and text else present
    if number is not None and number.dtype.is_integer():
        how: dict[str, Any] = {"start": int(number.max()) + 1}  # type: ignore[arg-type]
        found = _made(series, "identifier", "whole numbers, all different", how)
        if series.dtype != pl.String:
            return found
        return Found(Field(series.name, "identifier", "Int64", found.field.why, made=found.field.made))
    if series.dtype != pl.String:
        return None
    return _made(series, "identifier", "codes, all different", patterns.form_of(present.to_list()))


def _as_number(series: pl.Series) -> pl.Series | None:
    """Return texts as Int64 or Float64, None if one of them is no number or a code such as 007."""
    if series.str.contains(r"^[+-]?0\d").any():
        return None
    whole = series.cast(pl.Int64, strict=False)
    if whole.null_count() == series.null_count():
        return whole
    found = series.cast(pl.Float64, strict=False)
    return found if found.null_count() == series.null_count() else None


_COMMAS = {
    r"^[+-]?([1-9]\d{0,2}(,\d{3})+|\d{1,3})(\.\d+)?$": (",", "", "commas between thousands"),
    r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?$": (".", ",", "decimal commas"),
}
"""Forms of numbers; what is taken out of them, what stands for the point, and what this is called."""


def without_commas(series: pl.Series, notes: list[str]) -> pl.Series | None:
    """Return the text of numbers with decimal commas, or with commas between thousands, as others write them.

    What holds no digit, such as a mark for what is missing, stays. None where there are no such numbers.
    """
    if not series.str.contains(",").any():
        return None
    digits = series.str.contains(r"\d").fill_null(False)
    for form, (taken, comma, what) in _COMMAS.items():
        if series.filter(digits).str.contains(form).all():
            notes.append(f"{series.name!r}: numbers with {what}; they come back with points")
            text = series.str.replace_all(taken, "", literal=True)
            text = text.str.replace(comma, ".", literal=True) if comma else text
            return text.zip_with(digits, series)
    return None


def _with_marks(series: pl.Series, notes: list[str]) -> pl.Series | None:
    """Read numbers among which a few texts stand for what is missing."""
    if series.str.contains(r"^[+-]?0\d").any():
        return None
    number = series.cast(pl.Float64, strict=False)
    strange = series.filter(number.is_null() & series.is_not_null())
    marks = strange.unique().sort().to_list()
    if len(marks) > MOST_MARKS or len(strange) > HALF * series.count() or number.n_unique() <= FEWEST_KEYS:
        return None
    notes.append(f"WARNING: {series.name!r} holds numbers, and {len(strange):,} x {', '.join(marks)}: read as missing")
    return number


def numbers_of(series: pl.Series, notes: list[str]) -> pl.Series | None:
    """Read the numbers of a column of text in whatever form they stand."""
    said: list[str] = []
    text = without_commas(series, said)
    plain = series if text is None else text
    found = _as_number(plain)
    found = _with_marks(plain, said) if found is None else found
    notes += said if found is not None else []
    return found


def _number(series: pl.Series, text: bool, kind: str | None = None) -> Found | None:
    """Read whole numbers and decimals; those that stood as text in a source with types come back as text."""
    notes: list[str] = []
    number: pl.Series | None
    if series.dtype == pl.String:
        number = numbers_of(series, notes) if text else _as_number(series)
        if number is None or (not text and not number.cast(pl.String).eq_missing(series).all()):
            return None
    elif series.dtype.is_numeric():
        number = series
    elif series.dtype == pl.Duration:
        number = series.to_physical()
    else:
        return None
    if number.dtype == pl.Float32:  # as it is written: 19.99 and not 19.989999
        number = number.cast(pl.String).cast(pl.Float64)
    values = number.cast(pl.Float64).fill_null(np.nan).to_numpy().astype(np.float64)
    if endless := int(np.isinf(values).sum()):
        notes.append(f"WARNING: {series.name!r} holds {endless:,} infinite numbers: read as missing")
        values = np.where(np.isinf(values), np.nan, values)
    present = values[~np.isnan(values)]
    if not len(present):
        return _made(series.clear(), "constant", "no finite value", {"value": None}, *notes)
    if np.abs(present).max() >= _LARGEST and number.dtype.is_integer():
        notes.append(f"WARNING: {series.name!r} holds whole numbers above 2^53: they come back rounded")
    scale = Grid.of(present)
    whole = bool(scale.step) and scale.decimals == 0
    if kind == "integer" and not whole:
        return None
    chosen = kind or ("integer" if whole else "decimal")
    dtype = dtypes.written(series.dtype)
    if text and series.dtype == pl.String:
        dtype = "Int64" if whole and number.dtype.is_integer() else "Float64"
    if kind is None and number.dtype.is_integer() and number.n_unique() - (number.null_count() > 0) == 2:
        two = [str(value) for value in sorted(number.drop_nulls().unique().to_list())]
        kind, why = ("boolean", "0 and 1") if two == ["0", "1"] else ("category", "two numbers")
        return _category(number.cast(pl.String), kind, dtype, why, (two[0], two[1]), notes)
    return _numbers(series, chosen, dtype, "whole numbers" if whole else "numbers", values, scale, None, notes)


def _numbers(
    series: pl.Series,
    kind: str,
    dtype: str,
    why: str,
    values: np.ndarray,
    scale: Any,
    form: str | None,
    notes: list[str],
) -> Found:
    """Return a modelled column of numbers or dates."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    column = Column(series.name, kind, (), low, high, scale.width or None, bool(np.isnan(values).any()))
    tokens = NumberTokens.of(values, scale)
    return Found(Field(series.name, kind, dtype, why, form), column, tokens, values, notes)


def _texts(series: pl.Series, text: bool) -> Found:
    """Tell categories from free text; nearly unique words would be learnt by heart."""
    if series.dtype != pl.String:
        series = series.cast(pl.String)
    present = series.drop_nulls()
    part = present.n_unique() / len(present)
    length = float(present.str.len_chars().mean() or 0)  # type: ignore[arg-type]
    words = float(present.str.count_matches(r"\S+").mean() or 0)  # type: ignore[arg-type]
    free = part > HALF and (words >= WORDS or length > LONG_TEXT)
    if len(present) >= FEWEST_KEYS and (free or part > NEARLY_ALL):
        return _free(series, text)
    notes = []
    if part > HALF and len(present) >= FEWEST_KEYS:
        notes.append(f"WARNING: {series.name!r}: {part:.0%} of its values are different; rows might be told by it")
    if personal.may_name_people(series):
        learnt = f"say data.columns.{series.name}=personal if it does"
        notes.append(f"WARNING: {series.name!r} may hold names of people, and is learnt: {learnt}")
    return _category(series, "category", "String", "texts that repeat", notes=notes)


def _free(series: pl.Series, text: bool) -> Found:
    share = series.n_unique() / max(len(series), 1)
    note = f"{series.name!r} is free text ({share:.0%} of its values are different): left empty"
    return _made(series, "text", "texts that hardly repeat", {}, note)


def _category(
    series: pl.Series,
    kind: str,
    dtype: str,
    why: str,
    order: Sequence[str] | None = None,
    notes: list[str] | None = None,
) -> Found:
    """Return a modelled column of names, those that occur most first unless the order is given."""
    missing = series.null_count()
    table = series.drop_nulls().alias("name").value_counts(name="count")
    if order is None:
        table = table.sort(["count", "name"], descending=[True, False])
        names, counts = tuple(table["name"].to_list()), table["count"].to_numpy()
    else:
        known = dict(table.iter_rows())
        names, counts = tuple(order), np.array([known.get(name, 0) for name in order])
    place = pl.Series(names, dtype=pl.String)
    values = series.replace_strict(place, pl.Series(np.arange(len(names), dtype=np.float64)), default=None)
    numbers = values.fill_null(np.nan).to_numpy().astype(np.float64)
    column = Column(series.name, kind, names, missing=missing > 0)
    return Found(Field(series.name, kind, dtype, why), column, CategoryTokens(counts, missing), numbers, notes or [])


def _as_category(series: pl.Series, text: bool) -> Found | None:
    if series.dtype.is_nested() or series.dtype == pl.Binary or series.count() == 0:
        return None
    whole = text and (number := _as_number(series)) is not None and number.dtype.is_integer()
    as_text = series.dtype.is_temporal()  # names do not become dates again
    dtype = "Int64" if whole else "String" if as_text else dtypes.written(series.dtype)
    return _category(series.cast(pl.String), "category", dtype, "as you say")


def _as_boolean(series: pl.Series, text: bool) -> Found | None:
    names = tuple(sorted(series.drop_nulls().cast(pl.String).unique().to_list()))
    if len(names) != 2:
        return None
    found = _as_category(series, text)
    assert found is not None
    return _category(series.cast(pl.String), "boolean", found.field.dtype, "as you say", names)


def _as_personal(series: pl.Series, text: bool) -> Found | None:
    if not (series.dtype == pl.String or series.dtype.is_integer()) or series.count() == 0:
        return None
    how = personal.recognised(series) or {"personal": "name", "part": "whole"}
    return _made(series, "personal", "as you say", how)


_ASKED: dict[str, Callable[[pl.Series, bool], Found | None]] = {
    "category": _as_category,
    "boolean": _as_boolean,
    "integer": lambda series, text: _number(series, text, "integer"),
    "decimal": lambda series, text: _number(series, text, "decimal"),
    "date": _date,
    "identifier": lambda series, text: _identifier(series, text) if series.count() else None,
    "personal": _as_personal,
    "constant": _constant,
    "text": _free,
}
