"""Samples as a table of all columns of the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gandem.domains.tables.columns import Column, Field

if TYPE_CHECKING:
    from gandem.domains.tables.codec import TableCodec


def frame_of(codec: TableCodec, samples: np.ndarray) -> pl.DataFrame:
    """Return the table of samples (n, c) that a codec decoded."""
    place = {name: index for index, name in enumerate(codec.names)}
    made = []
    for field in codec.fields:
        if field.name in place:
            index = place[field.name]
            made.append(_modelled(field, codec.columns[index], samples[:, index]))
        else:
            value = field.made.get("value")
            made.append(pl.Series(field.name, [value] * len(samples), getattr(pl, field.dtype)))
    return pl.DataFrame(made)


def _modelled(field: Field, column: Column, values: np.ndarray) -> pl.Series:
    dtype = getattr(pl, field.dtype)
    if column.is_category:
        names = pl.Series(column.categories, dtype=pl.String)
        at = pl.Series(values).fill_nan(None).cast(pl.UInt32)
        return names.gather(at).alias(field.name).cast(dtype)
    return pl.Series(field.name, values).fill_nan(None).cast(dtype)
