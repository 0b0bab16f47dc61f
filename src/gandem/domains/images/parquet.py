"""Parquet files with a column of encoded images, as Hugging Face writes them."""

from __future__ import annotations

import bisect
import contextlib
import io
import itertools
import json
from pathlib import Path
from typing import Any, BinaryIO

from gandem.domains.images.readers import UnreadableError
from gandem.domains.images.records import Source
from gandem.errors import SourceError, optional

_IMAGE_NAMES = ("image", "img", "images", "picture", "jpg", "png")
_LABEL_NAMES = ("label", "labels", "fine_label", "class", "category")


def parquet_source(paths: list[Path]) -> Source:
    """Read one or several shards; raises SourceError when they hold no column of images."""
    pq = optional("pyarrow.parquet", "parquet")
    with contextlib.ExitStack() as stack:
        try:
            shards = [stack.enter_context(pq.ParquetFile(path)) for path in paths]
        except (OSError, ValueError) as error:
            raise SourceError(f"{paths[0].parent}: holds no readable Parquet file; download it again") from error
        schema = shards[0].schema_arrow
        features = _features(schema)
        column = _image_column(schema, features)
        if column is None:
            names = ", ".join(schema.names)
            raise SourceError(f"{paths[0]}: has no column of encoded images, only {names}; name one 'image'")
        source = Source("Parquet", [], lambda index: rows.open(int(source.names[index].removeprefix("row "))))
        rows = _Rows(shards, column)
        source.names = [f"row {index}" for index in range(len(rows))]
        if (label := _label_column(schema.names, features)) is not None:
            labels, source.classes = _labels(shards, label, features)
            source.keep_labelled(labels, "has no label")
        source.close = stack.pop_all().close
        return source


class _Rows:
    """The cells of one column over several shards; the row group that was read last is kept."""

    def __init__(self, shards: list[Any], column: str) -> None:
        self.column = column
        self.groups = [(shard, group) for shard in shards for group in range(shard.num_row_groups)]
        sizes = [shard.metadata.row_group(group).num_rows for shard, group in self.groups]
        self.starts = [0, *itertools.accumulate(sizes)]
        self.held: tuple[int, Any] = (-1, None)

    def __len__(self) -> int:
        return self.starts[-1]

    def open(self, row: int) -> BinaryIO:
        group = bisect.bisect_right(self.starts, row) - 1
        if self.held[0] != group:
            shard, number = self.groups[group]
            self.held = (group, shard.read_row_group(number, columns=[self.column]).column(0))
        value = self.held[1][row - self.starts[group]].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise UnreadableError("the row holds no image, only a path or nothing")
        return io.BytesIO(data)


def _features(schema: Any) -> dict[str, Any]:
    """Return Hugging Face's description of the columns, empty when there is none."""
    try:
        info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return dict(info.get("info", {}).get("features", {}))
    except (ValueError, AttributeError, TypeError):
        return {}


def _is_declared(features: dict[str, Any], column: str, kind: str) -> bool:
    feature = features.get(column)
    return isinstance(feature, dict) and feature.get("_type") == kind


def _image_column(schema: Any, features: dict[str, Any]) -> str | None:
    import pyarrow.types as types

    def holds_bytes(kind: Any) -> bool:
        if types.is_struct(kind):
            return any(field.name == "bytes" and holds_bytes(field.type) for field in kind)
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    fitting = [field.name for field in schema if holds_bytes(field.type)]
    declared = [name for name in fitting if _is_declared(features, name, "Image")]
    named = [name for name in _IMAGE_NAMES if name in fitting]
    return next(iter((*declared, *named, *(fitting if len(fitting) == 1 else ()))), None)


def _label_column(names: list[str], features: dict[str, Any]) -> str | None:
    declared = [name for name in names if _is_declared(features, name, "ClassLabel")]
    usual = [name for name in _LABEL_NAMES if name in names]
    return next(iter((*usual, *declared)), None)


def _labels(shards: list[Any], column: str, features: dict[str, Any]) -> tuple[list[str], tuple[str, ...]]:
    """Return one class name per row, empty where there is none, and the order of the classes when it is declared."""
    values = [value for shard in shards for value in shard.read(columns=[column]).column(0).to_pylist()]
    declared = features.get(column)
    classes = tuple(str(name) for name in (declared.get("names") or ())) if isinstance(declared, dict) else ()
    if classes:
        known = [value if isinstance(value, int) and 0 <= value < len(classes) else None for value in values]
        return ["" if value is None else classes[value] for value in known], classes
    bad = next((value for value in values if value is not None and not isinstance(value, int | str)), None)
    if bad is not None:
        raise SourceError(f"the column '{column}' holds {type(bad).__name__}; it needs whole numbers or texts")
    return ["" if value is None else str(value) for value in values], ()
