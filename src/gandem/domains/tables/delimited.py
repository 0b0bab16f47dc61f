"""Tables as text: which encoding, which delimiter, whether there is a header; found, used, and said."""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from gandem.domains.tables.tidy import header
from gandem.errors import SourceError

DELIMITERS = (",", ";", "\t", "|", "^", "~", "\x01", ":", " ")
"""Those that are tried, the usual ones first."""
SEPARATED = "values are separated by {}"
_HEAD, _LINES = 2**18, 200
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BINARY = {
    b"PAR1": "a Parquet file; call it .parquet",
    b"PK\x03\x04": "a zip or Excel file; call it .xlsx if that is what it is",
    b"\xd0\xcf\x11\xe0": "an old or protected Excel file; save it as .xlsx without a password",
    b"SQLite format 3": "an SQLite file; call it .sqlite",
    b"ARROW1": "an Arrow file; call it .arrow",
    b"%PDF": "a PDF; save the table in it as .csv",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}


def read_text(path: Path, big: int, folder: Callable[[], Path], notes: list[str]) -> pl.DataFrame | pl.LazyFrame:
    """Read text with delimiters, every value as text; raises SourceError with the line that is wrong.

    big: bytes from which the table goes to a Parquet file in `folder()` instead of the memory.
    """
    head = _head(path)
    encoding = _encoding(path, head, notes)
    beginning = head.decode("utf-8" if encoding == "mixed" else encoding, "ignore")
    if not beginning.strip("\ufeff \r\n\t"):
        raise SourceError(f"{path}: the file is empty; give a table with a header and rows")
    delimiter = _delimiter(beginning, len(head) < _HEAD)
    if delimiter != ",":
        notes.append(SEPARATED.format(_named(delimiter)))
    plain = encoding == "utf-8" and head[:2] != b"\x1f\x8b" and not _is_packed(path)
    if plain and path.stat().st_size < big:
        return _frame(path, path.read_bytes(), delimiter, notes)
    if not plain and path.stat().st_size * (8 if _is_packed(path) else 1) < big:
        return _frame(path, "".join(_texts(path, encoding)).encode(), delimiter, notes)
    if not plain:
        whole = folder() / "rows.csv"
        with whole.open("w", encoding="utf-8", newline="") as file:
            file.writelines(_texts(path, encoding))
        return _streamed(path, whole, delimiter, folder(), notes)
    return _streamed(path, path, delimiter, folder(), notes)


def _frame(path: Path, data: bytes, delimiter: str, notes: list[str]) -> pl.DataFrame:
    """Parse UTF-8 text."""
    if nuls := data.count(b"\0"):
        notes.append(f"{nuls:,} NUL bytes were taken out")
        data = data.replace(b"\0", b"")

    def text() -> TextIO:
        return io.TextIOWrapper(io.BytesIO(data), "utf-8", "replace", newline="")

    names = _names(path, text(), delimiter, notes)
    try:
        frame = pl.read_csv(io.BytesIO(data), schema=_schema(names), separator=delimiter, **_PLAIN)
        even = _is_even([data], delimiter, frame.lazy())
    except pl.exceptions.PolarsError:
        even = False
    if not even:  # the slower reader knows of spaces before quotes, and which line is wrong
        columns: list[list[str]] = [[] for _ in names]
        for fields in _records(path, text, delimiter, len(names)):
            for column, value in zip(columns, fields, strict=True):
                column.append(value)
        frame = pl.DataFrame(dict(zip(_schema(names), columns, strict=True)), _schema(names))
    frame.columns = names
    return frame if _headless(notes) else frame.slice(1)


_PLAIN: dict[str, Any] = {"has_header": False, "infer_schema": False, "empty_string_is_null": False}


def _schema(names: list[str]) -> dict[str, type[pl.String]]:
    return {f"column_{number}": pl.String for number in range(1, len(names) + 1)}


def _is_even(pieces: Iterable[bytes], delimiter: str, frame: pl.LazyFrame) -> bool:
    """Whether no line lacks fields and no quote stands behind a space; polars fills such lines up without a word.

    pieces: the bytes that the frame was parsed from.
    """
    quotes, delimiters, end, names = 0, 0, b"", frame.collect_schema().names()
    for piece in pieces:
        if b' "' in end + piece:
            return False
        quotes += piece.count(b'"')
        delimiters += piece.count(delimiter.encode())
        end = piece[-1:]
    if quotes:
        return not frame.select((pl.col(names[-1]).fill_null("") == "").any()).collect().item()
    return bool(delimiters == frame.select(pl.len()).collect().item() * (len(names) - 1))


def _records(path: Path, text: Callable[[], TextIO], delimiter: str, width: int) -> Iterator[list[str]]:
    """Yield the fields of all lines; raises SourceError for the first one that has more or fewer than the header.

    text: opens the text at its beginning.
    """
    spaces = delimiter != " "
    began = 1
    with text() as lines:
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=spaces, strict=True)
        try:
            for fields in reader:
                if len(fields) not in (0, width):
                    opened = reader.line_num > began and _is_open(text)
                    what = "opens a quote that is never closed" if opened else f"has {_counted(len(fields))}"
                    raise SourceError(f"{path}: line {began} {what}, and the header has {width}; mend that line")
                if fields:
                    yield fields
                began = reader.line_num + 1
        except csv.Error as error:
            unclosed = "end of data" in str(error) or "field larger" in str(error)
            what = "opens a quote that is never closed" if unclosed else f"cannot be read ({error})"
            raise SourceError(f"{path}: line {began} {what}; mend that line") from error


def _is_open(text: Callable[[], TextIO]) -> bool:
    """Whether a quote is opened that is never closed."""
    with text() as lines:
        return sum(line.count('"') for line in lines) % 2 == 1


def _counted(fields: int) -> str:
    return f"{fields:,} field{'' if fields == 1 else 's'}"


def _streamed(path: Path, whole: Path, delimiter: str, folder: Path, notes: list[str]) -> pl.LazyFrame:
    """Bring large text into a Parquet file, piece by piece."""

    def text() -> TextIO:
        return whole.open(encoding="utf-8", errors="replace", newline="")

    with text() as lines:
        names = _names(path, lines, delimiter, notes)
    out = folder / "rows.parquet"
    try:
        _sunk(whole, delimiter, names, out)
        even = _is_even(_pieces(whole), delimiter, pl.scan_parquet(out))
    except pl.exceptions.PolarsError:
        even = False
    if not even:  # as for small text
        mended = folder / "mended.csv"
        with mended.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(_records(path, text, delimiter, len(names)))
        _sunk(mended, ",", names, out)
        mended.unlink()
    notes.append("larger than the memory: read piece by piece")
    return pl.scan_parquet(out).slice(0 if _headless(notes) else 1)


def _sunk(whole: Path, delimiter: str, names: list[str], out: Path) -> None:
    """Parse text into a Parquet file, its first line too."""
    scan = pl.scan_csv(whole, schema=_schema(names), separator=delimiter, **_PLAIN)
    scan.rename(dict(zip(_schema(names), names, strict=True))).sink_parquet(out)


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _pieces(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, unpacked."""
    try:
        with gzip.open(path) if _is_packed(path) else path.open("rb") as file:
            while piece := file.read(2**20):
                yield piece
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(f"{path}: the compressed file is damaged or cut short; download it again") from error


def _head(path: Path) -> bytes:
    return next(_pieces(path), b"")[:_HEAD]


def _encoding(path: Path, head: bytes, notes: list[str]) -> str:
    """Return how the text is encoded; raises SourceError for what is no text."""
    for magic, what in _BINARY.items():
        if head.startswith(magic):
            raise SourceError(f"{path}: is no text but {what}")
    found = next((name for mark, name in _BOMS.items() if head.startswith(mark)), None)
    if found is None and head.count(0) > len(head) / 5:
        even, odd = head[::2].count(0), head[1::2].count(0)
        found = "utf-16-le" if odd > 9 * even else "utf-16-be" if even > 9 * odd else None
    strange = sum(head.count(byte) for byte in range(32) if byte not in (0, 1, 9, 10, 12, 13, 26))
    if found is None and (head.count(0) > len(head) / 100 or strange > len(head) / 20):
        raise SourceError(f"{path}: is no text but a binary file; give a table as .csv, .parquet or .xlsx")
    if found is None:
        found = _unmarked(path, notes)
    if found not in ("utf-8", "utf-8-sig", "mixed"):
        notes.append(f"the text is encoded as {found}")
    return found


def _unmarked(path: Path, notes: list[str]) -> str:
    """Tell UTF-8 from Windows' Western letters, and find files that hold both."""
    good = bad = 0
    for line in _lines(_pieces(path)):
        if not line.isascii():
            try:
                line.decode("utf-8")
                good += 1
            except UnicodeDecodeError:
                bad += 1
    if not bad:
        return "utf-8"
    if good > bad / 10:
        notes.append(f"mixed encodings: {good:,} lines are UTF-8, {bad:,} were read as cp1252")
        return "mixed"
    return "cp1252"


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    yield rest


def _mixed(error: UnicodeError) -> tuple[str, int]:
    """Read single bytes that are no UTF-8 as Windows' Western letters."""
    assert isinstance(error, UnicodeDecodeError)
    wrong = error.object[error.start : error.end]
    return wrong.decode("cp1252", "replace"), error.end


codecs.register_error("gandem_cp1252", _mixed)


def _texts(path: Path, encoding: str) -> Iterator[str]:
    """Yield the text of a file in pieces."""
    mixed = encoding == "mixed"
    errors = "gandem_cp1252" if mixed else "replace" if encoding == "cp1252" else "strict"
    decoder = codecs.getincrementaldecoder("utf-8" if mixed else encoding)(errors)
    try:
        for piece in _pieces(path):
            yield decoder.decode(piece)
        yield decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise SourceError(f"{path}: is not the {encoding} that its beginning says; save it as UTF-8") from error


def _delimiter(text: str, complete: bool) -> str:
    """Return the delimiter that divides the first lines most evenly into more than one field."""
    lines = text.splitlines(keepends=True)[: _LINES + 1]
    lines = lines if complete and len(lines) <= _LINES else lines[:-1] or lines
    best, most = ",", (0.0, False, 0)
    for delimiter in DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if row]
        except csv.Error:
            continue
        width = widths[0] if widths else 1  # the header's: decimal commas divide all lines but that evenly
        even = widths.count(width) / max(len(widths), 1)
        rare = delimiter in DELIMITERS[4:]
        surely = delimiter in DELIMITERS[1:4] and even == 1  # commas also stand in numbers, and in names with units
        found = (round(even, 1), surely, 0 if rare else width)
        if width > 1 and found > most and (not rare or even == 1):
            best, most = delimiter, found
    return best


def _names(path: Path, lines: TextIO, delimiter: str, notes: list[str]) -> list[str]:
    """Return names for the columns, from the first line if it is a header, however long it is."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != " ")
    rows = (row for row in reader if row)
    try:
        first = next(rows, [])
    except csv.Error as error:
        raise SourceError(f"{path}: line 1 cannot be read ({error}); mend that line") from error
    second: list[str] = []
    with contextlib.suppress(csv.Error):  # it is said when the rows are read
        second = next(rows, [])
    if second and first and all(_is_number(cell) for cell in first):
        notes.append(_NO_HEADER)
        first = ["" for _ in first]
    return header([cell.strip().lstrip("\ufeff") for cell in first], notes)


_NO_HEADER = "the first line holds numbers and no names: read as a row"


def _headless(notes: list[str]) -> bool:
    return _NO_HEADER in notes


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _named(delimiter: str) -> str:
    return {"\t": "tabs", " ": "spaces", ";": "semicolons", "|": "bars"}.get(delimiter, repr(delimiter))
