"""Types of polars by the text that a codec keeps of them."""

from __future__ import annotations

import json
import re

import polars as pl

_UNITS = r"time_unit='(?P<unit>\w+)'"


def written(dtype: pl.DataType) -> str:
    """Return a type as text; categories and the like come back as text themselves."""
    return "String" if dtype in (pl.Categorical, pl.Enum, pl.Object) else str(dtype)


def of_names(dtype: pl.DataType) -> str:
    """Return Categorical or Enum as text, of a column whose values come back as names."""
    return f"Enum({json.dumps(dtype.categories.to_list())})" if isinstance(dtype, pl.Enum) else "Categorical"


def read(text: str) -> pl.DataType:
    """Return the type that `written` gave; null for one that can hold nothing that gandem makes."""
    if match := re.fullmatch(rf"Datetime\({_UNITS}, time_zone=(?:None|'(?P<zone>.*)')\)", text):
        return pl.Datetime(match["unit"], match["zone"])  # type: ignore[arg-type]
    if match := re.fullmatch(rf"Duration\({_UNITS}\)", text):
        return pl.Duration(match["unit"])  # type: ignore[arg-type]
    if match := re.fullmatch(r"Decimal\(precision=(\d+|None), scale=(\d+)\)", text):
        return pl.Decimal(None if match[1] == "None" else int(match[1]), int(match[2]))
    if match := re.fullmatch(r"List\((.*)\)", text):
        return pl.List(read(match[1]))
    if match := re.fullmatch(r"Enum\((\[.*\])\)", text):
        return pl.Enum(json.loads(match[1]))
    found = getattr(pl, text, None)
    if isinstance(found, type) and issubclass(found, pl.DataType):
        return found()
    return pl.Null()
