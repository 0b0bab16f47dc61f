"""The domain of tables: from a file to a run and back to files, what the judge sees, and refusals in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import gandem
from gandem.cli import main
from gandem.domains import domain_of
from gandem.domains.given import Frame, opened
from gandem.domains.tables import TABLES, reading
from gandem.domains.tables.data import TableData
from gandem.errors import GandemError
from gandem.judge.distances import frechet_value
from gandem.recipe import DataOptions, load_recipe
from tables import adult, everything

QUICK = {"network.width": 16, "network.blocks": 1, "training.batch": 32, "optimizer.warmup": 0}
ROWS = 300


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "rows.csv"
    frame = everything(ROWS).select("id", "contact", "began", "ended", "city", "state", "b", "gaps", "flag", "note")
    frame.with_columns(pl.col("began").dt.strftime("%d.%m.%Y")).write_csv(path, separator=";")
    return path


@pytest.fixture(scope="module")
def run(source: Path) -> gandem.Run:
    return gandem.train(source, source.parent / "run", budget="640", seed=0, settings={**QUICK, "referee.every": 0})


@pytest.fixture(scope="module")
def data() -> TableData:
    return TABLES.read(str(adult()), DataOptions())


def test_a_table_comes_back_as_a_table(run: gandem.Run, source: Path) -> None:
    made = run.sample(40, seed=3)
    assert isinstance(made, pl.DataFrame) and made.equals(run.sample(40, seed=3))
    assert made.columns == pl.read_csv(source, separator=";").columns
    assert made["began"].dtype == pl.Date and made["flag"].dtype == pl.Boolean and made["b"].dtype == pl.Float64
    assert run.report["dataset_size"] + run.report["held_out_size"] == ROWS
    assert {"report.html", "data.json", "README.md"} <= {path.name for path in run.path.iterdir()}
    assert "gandem sample run --count 64 --out rows.csv" in (run.path / "README.md").read_text()
    assert any((run.path / "samples").glob("*.png"))


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.parquet", "rows.arrow", "rows.png", "rows.npz"])
def test_rows_are_written_in_every_form(
    name: str, run: gandem.Run, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / name
    assert main(["sample", str(run.path), "--count", "30", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["count"] == 30 and out.stat().st_size
    if out.suffix in (".csv", ".tsv", ".parquet", ".arrow"):
        back = TABLES.matching(opened(str(out)), run.codec, DataOptions())
        assert back.count == 30 and not any("WARNING" in note for note in back.report["notes"])
        assert np.allclose(back.values, run.sample_array(30)[0], rtol=0, atol=1e-6, equal_nan=True)
    if out.suffix == ".csv":  # dates stand as they stood
        assert pl.read_csv(out)["began"].str.contains(r"^\d\d\.\d\d\.\d{4}$").all()


@pytest.mark.parametrize(
    ("name", "words"), [("rows", "rows: write them to .csv"), ("rows.xlsx", ".csv, .tsv, .parquet")]
)
def test_other_forms_are_refused(
    name: str, words: str, run: gandem.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", str(run.path), "--out", str(tmp_path / name)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_inspect_says_what_is_there(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(source)]) == 0
    said = capsys.readouterr().out
    for words in ("300 rows x 10 columns", "separated by semicolons", "city determines state", "personal", "free text"):
        assert words in said, words
    assert main(["inspect", str(source), "--set", "data.columns.city=text", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["columns"]["city"]["kind"] == "text" and report["columns"]["b"]["step"] == 0.01


def test_a_run_goes_on_with_the_same_table_only(run: gandem.Run, source: Path, tmp_path: Path) -> None:
    other = tmp_path / "rows.csv"
    other.write_text(source.read_text().replace("city 1;", "city 2;", 1))
    with pytest.raises(GandemError, match="has changed"):
        gandem.resume(run.path, budget="+64", source=other)
    assert gandem.resume(run.path, budget="+64", source=source).report["images"] >= 700


def test_a_run_does_not_go_on_where_its_columns_are_now_read_otherwise(
    run: gandem.Run, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = reading.look
    monkeypatch.setattr(
        reading, "look", lambda series, asked, text: before(series, "text" if series.name == "city" else asked, text)
    )
    with pytest.raises(GandemError, match="read otherwise than when this run was trained"):
        gandem.resume(run.path, budget="+64", source=source)


def test_real_rows_are_told_from_floors(data: TableData) -> None:
    features = TABLES.features(data.codec)
    real = data.samples(torch.arange(1500))[0]
    halves = features(real[:750]), features(real[750:])
    assert halves[0].dtype == torch.float64 and halves[0].shape[1] <= 220 and halves[0].isfinite().all()
    fair = frechet_value(*halves)
    for name, floor in TABLES.floors(real[:750], 0).items():
        assert floor.shape == (750, len(data.codec.columns)), name
        assert frechet_value(features(floor), halves[1]) > 1.5 * fair, name
    independent = TABLES.floors(real, 0)["independent columns"]
    for column in range(real.shape[1]):
        assert np.array_equal(np.sort(independent[:, column]), np.sort(real[:, column]), equal_nan=True)


def test_other_rows_are_seen_as_they_are(data: TableData) -> None:
    frame = data.codec.given(data.samples(torch.arange(200))[0])
    strange = frame.with_columns(age=pl.col("age") + 1000, sex=pl.lit("?!"))
    other = TABLES.matching(Frame(strange), data.codec, DataOptions())
    values = other.samples(torch.arange(200))[0]
    assert values[:, data.codec.names.index("age")].min() > 1000  # also beyond the range of the training data
    assert np.isnan(values[:, data.codec.names.index("sex")]).all()
    assert any("'sex': 200 values" in note for note in other.report["notes"])
    with pytest.raises(GandemError, match="lacks the column 'age'"):
        TABLES.matching(Frame(frame.drop("age")), data.codec, DataOptions())
    parts = other.split(0.5)
    assert sum(part.count for part in parts) == 200 and other.batch(torch.arange(5))["real"].shape[0] == 5


def test_a_preview_is_a_table(data: TableData) -> None:
    samples = data.samples(torch.arange(40))[0]
    picture = TABLES.preview(samples, data.codec)
    assert picture.height < 400 < picture.width and len(picture.getcolors(100_000) or []) > 3


@pytest.mark.parametrize(
    "settings", [{"data.size": 32}, {"data.mirror": True}, {"data.turn": True}, {"game.augment": 1.0}]
)
def test_choices_for_pictures_are_refused(settings: dict[str, object], data: TableData) -> None:
    with pytest.raises(GandemError, match="is for pictures"):
        TABLES.decided(data, load_recipe("default", settings))
    with pytest.raises(GandemError, match="pictures"):
        TABLES.features(data.codec, Path("x.onnx"))


def test_settings_reach_single_columns() -> None:
    recipe = load_recipe("default", {"data.columns.default.payment": "category", "data.columns.zip": "text"})
    assert recipe.data.columns == {"default.payment": "category", "zip": "text"}
    with pytest.raises(GandemError, match="unknown recipe key"):
        load_recipe("default", {"data.fit.x": "crop"})


def test_equal_tables_have_equal_fingerprints(tmp_path: Path) -> None:
    frame = everything(100).select("a", "b", "city", "flag")
    frame.write_parquet(tmp_path / "x.parquet")
    read = [TABLES.read(opened(each), DataOptions()) for each in (frame, str(tmp_path / "x.parquet"))]
    assert read[0].fingerprint == read[1].fingerprint
    other = TABLES.read(Frame(frame.with_columns(a=pl.col("a") + 1)), DataOptions())
    assert other.fingerprint != read[0].fingerprint
    assert domain_of(str(tmp_path / "x.parquet")) is TABLES


def test_rows_that_are_everywhere_are_on_both_sides_of_a_split() -> None:
    """Half of the rows are one and the same; other copies stay together."""
    from gandem.domains.tables.data import dealt

    places = np.concatenate([np.full(500, 0.95), np.linspace(0, 0.999, 200).repeat(2), np.linspace(0, 0.9999, 2000)])
    spread = dealt(places)
    assert np.array_equal(spread[500:], places[500:])
    assert (spread[:500] < 0.1).mean() == pytest.approx(0.1, abs=0.02)
    assert np.array_equal(dealt(places[::-1])[::-1][500:], places[500:])


def test_where_most_rows_repeat_both_sides_have_the_same_patterns() -> None:
    """A few columns of a few categories: real rows must not be told from real rows."""
    from gandem.domains.tables.data import dealt, places_of
    from gandem.holdout import split

    rows = np.random.default_rng(0).integers(0, 4, (5000, 5)).astype(float)
    training, held_out = (rows[part.numpy()] for part in split(dealt(places_of(rows)), 0.2))
    known = set(map(tuple, training))
    assert 0.15 < len(held_out) / len(rows) < 0.25 and np.mean([tuple(row) in known for row in held_out]) > 0.95
