"""Where tables come from: every form that is read, and what is said of those that are broken."""

from __future__ import annotations

import datetime as dt
import gzip
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gandem.domains import domain_of
from gandem.domains.given import opened
from gandem.domains.tables import TABLES, delimited, source
from gandem.errors import GandemError
from gandem.recipe import DataOptions
from tables import adult

ROWS = [(f"{number % 7}", f"{'xyz'[number % 3]}é") for number in range(60)]
TEXT = "a,b\n" + "".join(f"{a},{b}\n" for a, b in ROWS)


def read(given: Any, **options: Any) -> Any:
    given = opened(str(given) if isinstance(given, Path) else given)
    assert domain_of(given) is TABLES
    return TABLES.read(given, DataOptions(**options))


def table(data: Any) -> pl.DataFrame:
    return data.codec.given(data.samples(slice(None))[0])


EXPECTED = pl.DataFrame({"a": [int(a) for a, _ in ROWS], "b": [b for _, b in ROWS]})

FORMS: dict[str, bytes] = {
    "plain.csv": TEXT.encode(),
    "semicolons.csv": TEXT.replace(",", ";").encode(),
    "tabs.tsv": TEXT.replace(",", "\t").encode(),
    "bars.txt": TEXT.replace(",", "|").encode(),
    "spaces.data": TEXT.replace(",", " ").encode(),
    "carets.csv": TEXT.replace(",", "^").encode(),
    "marked.csv": TEXT.encode("utf-8-sig"),
    "utf16.csv": TEXT.encode("utf-16"),
    "utf16_unmarked.csv": TEXT.encode("utf-16-le"),
    "latin.csv": TEXT.encode("latin-1"),
    "packed.csv.gz": gzip.compress(TEXT.encode()),
    "packed_latin.csv.gz": gzip.compress(TEXT.encode("latin-1")),
    "windows.csv": TEXT.replace("\n", "\r\n").encode(),
    "spaced.csv": TEXT.replace(",", ", ").encode(),
    "quoted.csv": ("a,b\n" + "".join(f'"{a}", "{b}"\n' for a, b in ROWS)).encode(),
    "blank_lines.csv": TEXT.replace("\n", "\n\n").encode(),
    "nul.csv": TEXT.replace("zé", "zé\0", 1).encode(),
}


@pytest.mark.parametrize("name", FORMS)
def test_text_in_every_form(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FORMS[name])
    assert table(read(tmp_path / name)).equals(EXPECTED)


def _sqlite(path: Path, tables: int = 1) -> None:
    with sqlite3.connect(path) as database:
        for number in range(tables):
            database.execute(f"create table t{number}(a integer, b text)")
            database.executemany(f"insert into t{number} values (?, ?)", ROWS)
    database.close()


WRITERS: dict[str, Callable[[Path], None]] = {
    "x.parquet": EXPECTED.write_parquet,
    "x.arrow": EXPECTED.write_ipc,
    "x.feather": EXPECTED.write_ipc,
    "x.sqlite": _sqlite,
    "x.db": _sqlite,
}


@pytest.mark.parametrize("name", WRITERS)
def test_files_with_types(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    assert table(read(tmp_path / name)).equals(EXPECTED)


def test_a_table_of_a_database_is_chosen_by_name(tmp_path: Path) -> None:
    _sqlite(tmp_path / "x.sqlite", tables=2)
    with pytest.raises(GandemError, match=r"holds 2 tables, t0, t1; say .*::t0"):
        read(tmp_path / "x.sqlite")
    assert table(read(f"{tmp_path}/x.sqlite::t1")).equals(EXPECTED)
    with pytest.raises(GandemError, match="has no table 't9'"):
        read(f"{tmp_path}/x.sqlite::t9")


def test_excel(tmp_path: Path) -> None:
    excel(tmp_path / "x.xlsx", [["a", "b"], *([int(a), b] for a, b in ROWS)])
    made = table(read(tmp_path / "x.xlsx"))
    assert made["a"].to_list() == EXPECTED["a"].to_list() and made["b"].to_list() == EXPECTED["b"].to_list()


def test_sheets_hold_whole_numbers_days_and_times() -> None:
    """Excel knows fractions and moments only, those of a time of day alone in 1899."""
    moments = pl.Series([dt.datetime(2024, 2, 28), None, dt.datetime(2024, 3, 1)])
    times = pl.Series([dt.datetime(1899, 12, 31, 10, 53), dt.datetime(1899, 12, 30, 9), None])
    for series, expected in (
        (pl.Series([79.0, None, 3.0]), pl.Int64),
        (pl.Series([79.5, None, 3.0]), pl.Float64),
        (moments, pl.Date),
        (moments.dt.offset_by("3h"), pl.Datetime("us")),
        (times, pl.Time),
        (pl.Series([None, None], dtype=pl.Float64), pl.Float64),
    ):
        made = source._as_people_have_it(series)
        assert made.dtype == expected and made.null_count() == series.null_count()
    assert source._as_people_have_it(times)[0] == dt.time(10, 53)


def test_names_of_a_fixed_list_come_back_as_such() -> None:
    """Also where all of them are numbers or days as text, which then come back as text."""
    sizes = pl.Enum(["low", "medium, or so", "high"])
    frame = pl.DataFrame({"size": ["low", "high"] * 20, "ward": ["1", "2", "3", "4"] * 10, "x": range(40)})
    frame = frame.cast({"size": sizes, "ward": pl.Categorical})
    made = table(read(frame))
    assert made["size"].dtype == sizes and set(made["size"]) == {"low", "high"}
    assert made["ward"].cast(pl.String).to_list() == frame["ward"].cast(pl.String).to_list()
    mails = [f"user{number}@mail.org" for number in range(40)]
    data = read(frame.with_columns(pl.Series("mail", mails, pl.Enum(mails)), several=pl.lit([], pl.List(sizes))))
    assert table(data)["mail"].null_count() == 0 and "user7@" not in str(data.codec.to_dict())


class OtherFrame:
    """A data frame of another library, which speaks Arrow."""

    columns = ("a", "b")

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return EXPECTED.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("given", [EXPECTED, EXPECTED.lazy(), EXPECTED.to_arrow(), OtherFrame()], ids=type)
def test_data_frames(given: Any) -> None:
    assert table(read(given)).equals(EXPECTED)


def test_arrays_and_pictures_stay_what_they_are(tmp_path: Path) -> None:
    assert domain_of(opened(np.zeros((9, 3)))).name == "arrays"
    pl.DataFrame({"image": [b"\x89PNG"] * 3, "label": [1, 2, 3]}).write_parquet(tmp_path / "pictures.parquet")
    hugging = pl.DataFrame({"image": [{"bytes": b"\x89PNG", "path": "a.png"}] * 3})
    hugging.write_parquet(tmp_path / "hugging.parquet")
    for name in ("pictures.parquet", "hugging.parquet", "archive.zip", "."):
        assert domain_of(opened(str(tmp_path / name))).name == "images"


def test_text_larger_than_the_memory_goes_by_way_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "big", lambda: 100)
    for name in FORMS.keys() - {"nul.csv"}:
        (tmp_path / name).write_bytes(FORMS[name])
        data = read(tmp_path / name)
        assert table(data).equals(EXPECTED)
        assert "larger than the memory: read piece by piece" in data.report["notes"]


@pytest.mark.parametrize("bytes_of_memory", [10**9, 100])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b,c\n1,x,y\n2\n" + "3,x,y\n" * 60, "line 3 has 1 field, and the header has 3"),
        ('a,b,c\n1,"x",y\n2,"x"\n' + "3,x,y\n" * 60, "line 3 has 2 fields, and the header has 3"),
        ("a,b\n1,x\n" + "3,x,y\n" * 60, "line 3 has 3 fields, and the header has 2"),
        ('a,b\n1,"x\n' + "3,x\n" * 60, "line 2 opens a quote that is never closed"),
    ],
)
def test_uneven_lines_are_named_whatever_the_memory(
    text: str, words: str, bytes_of_memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "big", lambda: bytes_of_memory)
    (tmp_path / "uneven.csv").write_text(text)
    with pytest.raises(GandemError, match=words):
        read(tmp_path / "uneven.csv")


@pytest.mark.parametrize("bytes_of_memory", [10**9, 100])
def test_a_header_may_be_longer_than_what_is_looked_at(
    bytes_of_memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "big", lambda: bytes_of_memory)
    names = [f"measurement_{number:05d}" for number in range(20_000)]
    lines = [",".join(names), *(",".join(f"{row}" * len(names)) for row in range(3))]
    (tmp_path / "wide.csv").write_text("\n".join(lines) + "\n")
    table = source.open_table(tmp_path / "wide.csv", tmp_path)
    assert table.names == names and len(table) == 3 and table.column(names[-1]).to_list() == ["0", "1", "2"]


def test_adult_as_it_is_at_uci() -> None:
    data = read(adult())
    assert data.count == 1500 and data.report["columns"]["workclass"]["missing"] > 0.03
    made = table(data)
    assert made["education"].to_list()[0] == made["education"].to_list()[0].strip()
    assert "education determines education-num" in data.report["rules"]


WIDTH = 1_500
WIDE = ",".join(f"c{number}" for number in range(WIDTH))
CELLS = "\n".join(",".join(str((row + number) % 2) for number in range(WIDTH)) for row in range(12))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("more.csv", TEXT + "1,2,3\n", "line 62 has 3 fields, and the header has 2"),
        ("fewer.csv", "a,b\n1,x\n2\n" + TEXT[4:], "line 3 has 1 field, and the header has 2"),
        ("open.csv", TEXT + '1,"x\n' + TEXT[4:], "line 62 opens a quote that is never closed"),
        ("open_last.csv", TEXT + '1,"x\n', "line 62 opens a quote that is never closed"),
        ("empty.csv", "", "the file is empty"),
        ("blank.csv", " \n\n\t\n", "the file is empty"),
        ("header.csv", "a,b\n", "no rows below its header"),
        ("one.csv", "a,b\n1,x\n", "only one row"),
        ("binary.csv", np.random.default_rng(0).bytes(5000), "binary file"),
        ("cut.csv.gz", gzip.compress(TEXT.encode() * 99)[:80], "damaged or cut short"),
        ("parquet.csv", b"PAR1" + bytes(100), "a Parquet file; call it .parquet"),
        ("excel.csv", b"PK\x03\x04" + bytes(100), "call it .xlsx"),
        ("database.csv", b"SQLite format 3\0" + bytes(100), "an SQLite file"),
        ("page.csv", b"%PDF-1.7" + bytes(100), "a PDF"),
        ("broken.arrow", b"ARROW1" + bytes(50), "cannot be read"),
        ("broken.xlsx", b"PK\x03\x04" + bytes(100), "no readable Excel file"),
        ("locked.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "password"),
        ("broken.sqlite", b"SQLite format 3\0" + bytes(100), "no readable SQLite file"),
        ("torn.csv", TEXT.encode("utf-16")[:-1], "utf-16"),
        ("constant.csv", "a,b\n" + "1,x\n" * 30, "no column to learn from, only constant"),
        ("keys.csv", "id\n" + "".join(f"{number}\n" for number in range(50)), "only identifier"),
        ("missing.csv", "a,b\n" + "?,NA\n" * 30, "no column to learn from"),
    ],
)
def test_what_cannot_be_read_gets_one_line(name: str, text: str | bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(GandemError, match=words) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_more_that_cannot_be_read(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "none.sqlite") as database:
        database.execute("create table t(a)")
        database.execute("drop table t")
    database.close()
    excel(tmp_path / "empty.xlsx", [])
    wrong = {
        f"{tmp_path}/none.sqlite": "has no tables",
        f"{tmp_path}/empty.xlsx": "empty",
        f"{tmp_path}/nowhere.csv": "no such file",
        f"{tmp_path}/empty.xlsx::Page 7": "has no sheet",
    }
    for given, words in wrong.items():
        with pytest.raises(GandemError, match=words):
            read(given)
    for frame, words in {
        "rows": pl.DataFrame({"a": []}),
        "columns": pl.DataFrame(),
        "one row": pl.DataFrame({"a": [1]}),
    }.items():
        with pytest.raises(GandemError, match=frame):
            read(words)


@pytest.mark.parametrize(
    ("text", "note", "names"),
    [
        (TEXT.replace("a,b", "a,a"), "two columns are called 'a'", ["a", "a_2"]),
        (TEXT.replace("a,b", ",b"), "column 1 has no name", ["column_1", "b"]),
        ("".join(f"{n % 7},{n % 3}\n" for n in range(60)), "holds numbers and no names", ["column_1", "column_2"]),
        (TEXT.encode("latin-1") + TEXT[4:].encode(), "mixed encodings: 60 lines are UTF-8, 60", ["a", "b"]),
        (TEXT.replace(",", ";"), "separated by semicolons", ["a", "b"]),
        (TEXT.encode("utf-16"), "encoded as utf-16", ["a", "b"]),
    ],
)
def test_what_is_odd_is_read_and_said(text: str | bytes, note: str, names: list[str], tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    data = read(tmp_path / "odd.csv")
    assert any(note in line for line in data.report["notes"]), data.report["notes"]
    assert table(data).columns == names


def test_thousands_of_columns(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text(f"{WIDE}\n{CELLS}\n")
    data = read(tmp_path / "wide.csv")
    assert len(data.codec.columns) == WIDTH and table(data).shape == (12, WIDTH)
    assert TABLES.lines(data.report)


def test_delimiters_are_told_from_what_stands_in_values() -> None:
    assert delimited._delimiter("a;b\n1,5;2,5\n3,5;4,5\n", True) == ";"
    assert delimited._delimiter("when,what\n2020-01-01 10:00,a b\n2020-01-01 11:00,c d\n", True) == ","
    assert delimited._delimiter("name\nAnna Berg\nBen Costa\n", True) in (",", " ")
    assert delimited._delimiter("height, cm;weight, kg\n178,5;57,4\n181,2;60,1\n", True) == ";"


def excel(path: Path, rows: list[list[Any]]) -> None:
    """Write the smallest workbook that there is."""
    import zipfile
    from xml.sax.saxutils import escape

    def cell(value: Any) -> str:
        if isinstance(value, int):
            return f"<c><v>{value}</v></c>"
        return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'

    lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    package = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    types = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{types}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="Page 1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)


def test_a_comma_before_three_digits_is_a_point_between_semicolons(tmp_path: Path) -> None:
    """Only where one comma leaves it open; elsewhere it is said how it was read."""
    rows = [f"1,{100 + n};{1 + n % 9},{100 + n},000;{1 + n % 7},250.5" for n in range(60)]
    (tmp_path / "european.csv").write_text("\n".join(["a;b;c", *rows]))
    data = read(tmp_path / "european.csv")
    made = table(data)
    assert made["a"][:2].to_list() == [1.1, 1.101]
    assert made["b"][:2].to_list() == [1_100_000, 2_101_000] and made["c"][:2].to_list() == [1250.5, 2250.5]
    assert [note for note in data.report["notes"] if "semicolons separate" in note] == [
        "'a': commas before three digits are read as points, as semicolons separate the values"
    ]
    others = TABLES.matching(opened(str(tmp_path / "european.csv")), data.codec, DataOptions())
    assert others.values[0, data.codec.names.index("a")] == 1.1
    (tmp_path / "tabs.tsv").write_text("\n".join(["a\tb", *(f"1,{100 + 2 * n}\t{n % 7}" for n in range(60))]))
    data = read(tmp_path / "tabs.tsv")
    assert table(data)["a"][0] == 1100 and any("commas between thousands" in note for note in data.report["notes"])


def test_decimal_commas_divide_no_table(tmp_path: Path) -> None:
    path = tmp_path / "european.csv"
    path.write_text("a;b;c\n" + "".join(f"{n},5;{n % 7},3;0,{n % 9}1\n" for n in range(60)), encoding="utf-8")
    assert table(read(path)).columns == ["a", "b", "c"] and table(read(path))["a"][:2].to_list() == [0.5, 1.5]
