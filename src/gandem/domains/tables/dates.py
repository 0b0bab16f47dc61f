"""Dates and times: texts in many forms as seconds since 1970, and back; by the clock of their zone where they have one.

So midnight stays midnight, and a day is asked for as people count it.
"""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl

from gandem.domains.tables.tidy import MOST_MARKS

DAYS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
)
TIMES = ("", "T%H:%M:%S%.f", "T%H:%M:%S", "T%H:%M", " %H:%M:%S%.f", " %H:%M:%S", " %H:%M", " %I:%M %p")
CLOCKS = ("%H:%M:%S", "%H:%M", "%H:%M:%S%.f")
_SAMPLE, _MOST_FORMS = 300, 3
_SURELY = 20
"""Different dates beside which one that cannot be, as 30 February, is a slip: some versions look like dates too."""
_TURNED = {"%d/%m/%Y": "%m/%d/%Y", "%d-%m-%Y": "%m-%d-%Y", "%d/%m/%y": "%m/%d/%y"}
_LIKELY = r"^\s*(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{4}|[A-Z][a-z]{2,8} \d{1,2}, \d{4})"
_NO_DAY = r"^0+[-/.]0+[-/.]0+"
_CLOCK = r"^\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$"


def parsed(series: pl.Series) -> tuple[pl.Series, str, list[str]] | None:
    """Read a column of text as dates: (values, the form in which most stand, notes), None if they are none.

    A few texts that are no dates, such as unknown or 0000-00-00, stand for what is missing.
    """
    given = series
    strange = ~series.str.contains(f"{_LIKELY}|{_CLOCK}") | series.str.contains(_NO_DAY)
    series = series.set(strange.fill_null(False), None)
    sample = series.drop_nulls().unique(maintain_order=True).head(_SAMPLE)
    if not len(sample):
        return None
    if sample.str.contains(_CLOCK).all():
        found = _clock(series)
    else:
        found = _days(series, sample) if sample.str.contains(_LIKELY).all() else None
    if found is None:
        return None
    values, form, notes = found
    unread = given.filter(values.is_null() & given.is_not_null())
    marks = unread.unique().sort().to_list()
    if len(marks) > MOST_MARKS or len(unread) > given.count() / 2:
        return None
    if values.null_count() > series.null_count() and values.n_unique() <= _SURELY:
        return None
    if marks:
        marked = f"{len(unread):,} x {', '.join(marks)}"
        notes.append(f"WARNING: {given.name!r} holds dates, and {marked}: read as missing")
    return values, form, notes


def _days(series: pl.Series, sample: pl.Series) -> tuple[pl.Series, str, list[str]] | None:
    """Read dates in the forms of most of them; null for the few that no form reads."""
    zoned = sample.str.contains(r"(Z|[+-]\d{2}:?\d{2})$").all()
    values, forms, notes = None, [], []
    for _ in range(_MOST_FORMS):
        left = series if values is None else series.filter(values.is_null())
        form = _best(left.drop_nulls(), zoned)
        if form is None:
            break
        found = read(series, form)
        values = found if values is None else values.fill_null(found)
        forms.append(form)
        if values.null_count() == series.null_count():
            break
    else:
        return None
    if values is None:
        return None
    for form in forms:
        other = next((form.replace(a, b) for a, b in _TURNED.items() if a in form), None)
        if other and len(forms) == 1 and read(series, other).null_count() == values.null_count():
            notes.append(f"{series.name!r}: day and month could be either; read as {form}")
    if len(forms) > 1:
        notes.append(f"{series.name!r}: dates in {len(forms)} forms, {', '.join(forms)}; they come back as {forms[0]}")
    if all(not _has_time(form) for form in forms):
        values = values.cast(pl.Date)
    form = forms[0].replace("%.f", "%.6f") if zoned else forms[0]
    return values, form, notes


def _clock(series: pl.Series) -> tuple[pl.Series, str, list[str]] | None:
    for form in CLOCKS:
        values = read(series, form)
        if values.null_count() == series.null_count():
            return values, form, []
    return None


def _best(texts: pl.Series, zoned: bool) -> str | None:
    """Return the form that reads most of the texts, the first of equals."""
    sample = texts.unique(maintain_order=True).head(_SAMPLE)
    forms = [
        f"{day}{time}{'%:z' if zoned else ''}" for day, time in itertools.product(DAYS, TIMES) if time or not zoned
    ]
    best, most = None, 0
    for form in forms:
        count = len(sample) - read(sample, form).null_count()
        if count > most:
            best, most = form, count
        if most == len(sample):
            # the first form that fits the sample may fail further on, where a day is above 12
            if read(texts, best or form).null_count() == 0:
                break
            most -= 1
    return best


def _has_time(form: str) -> bool:
    return "%H" in form or "%I" in form


def read(texts: pl.Series, form: str) -> pl.Series:
    """Return texts as dates or times of day of a form, null for those of another."""
    if form in CLOCKS:
        return texts.str.to_time(form, strict=False)
    zone = "UTC" if form.endswith("%:z") else None
    if zone:
        texts = texts.str.replace(r"Z$", "+00:00")
    if "%Y" in form:  # the same letters stand for years of two digits, which would be the year 22
        texts = texts.set(~texts.str.contains(r"\d{4}").fill_null(False), None)
    return texts.str.to_datetime(form.replace("%.6f", "%.f"), strict=False, time_unit="us", time_zone=zone)


def seconds(values: pl.Series, by_zone: bool = True) -> np.ndarray:
    """Return dates or times as seconds since 1970 or since midnight, float64 (n,), NaN for missing.

    by_zone: by the clock of their zone, if they have one, or else by UTC.
    """
    if values.dtype == pl.Date:
        number = values.to_physical().cast(pl.Float64) * 86_400
    elif values.dtype == pl.Time:
        number = values.to_physical().cast(pl.Float64) / 1e9
    else:
        values = values.dt.replace_time_zone(None) if by_zone and getattr(values.dtype, "time_zone", None) else values
        number = values.dt.cast_time_unit("us").to_physical().cast(pl.Float64) / 1e6
    return number.fill_null(np.nan).to_numpy().astype(np.float64)


def dated(values: np.ndarray, dtype: pl.DataType, by_zone: bool = True) -> pl.Series:
    """Return seconds (n,), as `seconds` gives them, as a column of dates of a type."""
    series = pl.Series(values).fill_nan(None)
    if dtype == pl.Date:
        return (series / 86_400).round().cast(pl.Int32).cast(pl.Date)
    if dtype == pl.Time:
        return ((series * 1e6).round().cast(pl.Int64) * 1000).cast(pl.Time)
    made = (series * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us"))
    zone = getattr(dtype, "time_zone", None)
    if zone is None:
        return made.cast(dtype)
    if not by_zone:
        return made.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).cast(dtype)
    # In spring an hour of the clock does not exist, and of islands that crossed the date line a day.
    placed, *later = (
        made.dt.offset_by(wait).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        for wait in ("0h", "1h", "24h")
    )
    for each in later:
        placed = placed.fill_null(each)
    return placed.cast(dtype)
