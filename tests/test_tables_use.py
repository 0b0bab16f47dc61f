"""A generator of rows in use: conditions, gaps, scores, one file, an estimator."""

from __future__ import annotations

import gc
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gandem
from gandem import TableGAN
from gandem.cli import main
from gandem.domains.tables.making import BLOCK
from gandem.errors import GandemError, RecipeError, RunError
from gandem.uses.sample import walk

pl = pytest.importorskip("polars")
SETTINGS = {"network.width": 48, "training.batch": 64, "optimizer.lr": 5e-3, "game.opening": 0.9}


def people(count: int = 600, seed: int = 0) -> Any:
    """Rows in which the age decides what somebody does, one city is rare, and some incomes are missing."""
    rng = np.random.default_rng(seed)
    age = rng.integers(10, 80, count)
    job = np.where(age < 20, "pupil", np.where(age > 64, "pensioner", rng.choice(["cook", "clerk"], count)))
    income = np.where(job == "pupil", 0, rng.integers(1000, 5000, count)).astype(float)
    income[rng.random(count) < 0.1] = np.nan
    city = np.where(rng.random(count) < 0.03, "Ulm", rng.choice(["Bonn", "Kiel"], count))
    day = np.datetime64("2024-01-01") + rng.integers(0, 300, count).astype("timedelta64[D]")
    frame = pl.DataFrame({"age": age, "job": job, "income": income, "city": city, "joined": day})
    return frame.with_columns(pl.col("income").fill_nan(None), pl.lit("DE").alias("country"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gandem.Run:
    return gandem.train(people(), tmp_path_factory.mktemp("tables") / "run", budget="50k", seed=0, settings=SETTINGS)


def test_rows_have_the_columns_and_types_of_the_data(run: gandem.Run) -> None:
    made, real = run.sample(200), people()
    assert made.schema == real.schema and made.equals(run.sample(200))
    assert made["country"].unique().to_list() == ["DE"]
    assert run.recipe.optimizer.second_betas() == (0.999, 0.999)  # what is rare is remembered
    assert made["age"].min() >= 10 and made["age"].max() < 80
    assert 0.02 < made["income"].null_count() / 200 < 0.25


def test_what_goes_with_what_is_learnt(run: gandem.Run) -> None:
    made = run.sample(2000)
    right = made.filter(pl.col("job") == "pupil")["age"] < 20
    assert len(right) > 100 and right.mean() > 0.8


@pytest.mark.parametrize(
    ("where", "meets"),
    [
        (["job=pupil"], pl.col("job") == "pupil"),
        (["age>=60", "city=Bonn|Ulm"], (pl.col("age") >= 60) & pl.col("city").is_in(["Bonn", "Ulm"])),
        ({"age": (30, 40), "income": None}, pl.col("age").is_between(30, 40) & pl.col("income").is_null()),
        (["income<1500", "income!=0"], (pl.col("income") < 1500) & (pl.col("income") != 0)),
        (["joined>=2024-07-01"], pl.col("joined") >= np.datetime64("2024-07-01")),
        (["city!=Bonn"], pl.col("city") != "Bonn"),
    ],
)
def test_all_rows_meet_the_conditions(run: gandem.Run, where: Any, meets: Any) -> None:
    made = run.sample(300, where)
    assert len(made) == 300 and made.filter(meets).height == 300


@pytest.mark.parametrize("where", [None, ["age>=30", "city=Bonn"]])
def test_rows_are_the_same_on_any_number_of_threads(run: gandem.Run, where: Any) -> None:
    before = torch.get_num_threads()
    frames = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        try:
            frames.append(run.sample(3 * BLOCK + 1, where))
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
    assert frames[0].equals(frames[1])
    assert where or frames[0].head(100).equals(run.sample(100))


def test_a_walk_keeps_to_what_is_asked_for(run: gandem.Run) -> None:
    assert len(walk(run, 3, 6, ["city=Bonn"])) == 6


def test_conditions_shape_the_rest_as_the_data_do(run: gandem.Run) -> None:
    """Asked for pensioners, the ages are theirs; the chance is their share of the data."""
    told = run.told(1000, ["job=pensioner"])
    made = run.codec.given(run.made(told, 1000)[0])
    assert (made["age"] > 64).mean() > 0.65  # of all rows 0.21; 0.71 to 0.87 by the seed of the training
    assert told.chance == pytest.approx((people()["job"] == "pensioner").mean(), abs=0.05)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (["jobb=cook"], "'job'"),
        (["job=cok"], "'cook'"),
        (["job>=cook"], "category"),
        (["age=old"], "takes a number"),
        (["age=300"], "from 10 to 79"),
        (["age>=300"], "no row meets"),
        (["age="], "nothing is missing"),
        (["country=DE"], "not learnt"),
        (["joined>=someday"], "2024-05-31"),
        (["label=1"], "no such column"),
    ],
)
def test_what_cannot_be_asked_gets_one_line(run: gandem.Run, where: list[str], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        run.sample(10, where)


def test_gaps_are_filled_and_the_rest_is_left(run: gandem.Run) -> None:
    asked = people(200, 1).with_columns(
        pl.when(pl.int_range(pl.len()) % 3 == 0).then(None).otherwise(pl.col("age")).alias("age")
    )
    filled = gandem.impute(run, asked)
    assert sum(series.null_count() for series in filled) == 0 and filled.columns == asked.columns
    for name in asked.columns:
        there = asked[name].is_not_null()
        assert filled[name].filter(there).to_list() == asked[name].filter(there).to_list()
    pupils = filled.filter(asked["age"].is_null() & (asked["job"] == "pupil"))
    assert (pupils["age"] < 20).mean() > 0.6
    assert not filled.equals(gandem.impute(run, asked, seed=1))


def test_cells_that_the_data_never_had_are_not_filled(run: gandem.Run) -> None:
    asked = people(30, 1).with_columns(pl.col("joined").dt.strftime("%Y-%m-%d"))
    asked[3, "city"], asked[4, "city"], asked[5, "joined"], asked[6, "joined"] = "Basel", None, "tbd", None
    filled = gandem.impute(run, asked)
    assert filled["city"][3] == "Basel" and filled["city"][4] in ("Bonn", "Kiel", "Ulm")
    assert filled["joined"].to_list()[:6] == asked["joined"].to_list()[:6] and filled["joined"][6].startswith("2024-")


def test_odd_rows_score_low(run: gandem.Run) -> None:
    rows = people(100, 2)
    odd = rows.with_columns(pl.lit("pupil").alias("job"), pl.lit(75).alias("age"))
    usual, strange = gandem.score(run, rows), gandem.score(run, odd)
    assert usual.columns == [*rows.columns, "log_likelihood", "typical", "unseen", "breaks_rules"]
    assert strange["log_likelihood"].mean() < usual["log_likelihood"].mean() - 1
    assert strange["typical"].mean() < usual["typical"].mean() / 2


def test_rows_that_nobody_has_seen_are_counted(
    run: gandem.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = people(40, 2)
    rows[3, "city"], rows[5, "age"], rows[5, "city"] = "Basel", 5000, None
    rows.write_csv(tmp_path / "rows.csv")
    assert main(["score", str(run.path), str(tmp_path / "rows.csv"), "--out", str(tmp_path / "scored.csv")]) == 0
    assert "; 2 of 40 rows hold values that the training data never held" in capsys.readouterr().out
    assert pl.read_csv(tmp_path / "scored.csv")["unseen"].to_list()[3:6] == [1, 0, 2]


def test_only_cells_that_are_asked_for_are_kept(run: gandem.Run) -> None:
    told = run.told(100, ["age>=30", "city=Bonn"])
    assert told.inputs is not None and told.inputs.shape[1] <= 3 < len(run.codec.names)


def test_one_file_makes_the_same_rows(run: gandem.Run, tmp_path: Path) -> None:
    from gandem.uses.export import write_model

    facts = write_model(run, tmp_path / "people.safetensors")
    assert facts["bytes"] < 300_000
    model = gandem.open_run(tmp_path / "people.safetensors")
    assert model.sample(50, ["city=Ulm"]).equals(run.sample(50, ["city=Ulm"]))
    content = (tmp_path / "people.safetensors").read_bytes()
    assert b"pupil" in content and str(run.path).encode() not in content
    (tmp_path / "people.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match="readable"):
        gandem.open_run(tmp_path / "people.safetensors")


def test_a_training_of_rows_goes_on_to_the_bit(tmp_path: Path) -> None:
    source = tmp_path / "people.csv"
    people(300).write_csv(source)
    whole = gandem.train(source, tmp_path / "whole", budget="4k", seed=1, settings=SETTINGS)
    half = gandem.train(source, tmp_path / "half", budget="2k", seed=1, settings=SETTINGS)
    assert half.report["status"] == whole.report["status"] == "finished"
    again = gandem.train(source, tmp_path / "again", budget="4k", seed=1, settings=SETTINGS)
    assert whole.sample(50).equals(again.sample(50))


def test_an_estimator_has_the_manners_of_scikit_learn() -> None:
    from sklearn.base import clone
    from sklearn.pipeline import make_pipeline

    gan = TableGAN(budget="3k", settings=SETTINGS, random_state=3)
    assert clone(gan).get_params() == gan.get_params()
    gan.set_params(budget="2k")
    rows = people(300)
    made = gan.fit(rows).sample(20, where={"city": "Kiel"})
    assert made["city"].unique().to_list() == ["Kiel"] and gan.n_features_in_ == 6
    assert gan.score_samples(rows).shape == (300,) and np.isfinite(gan.score(rows))
    filled = make_pipeline(TableGAN(budget="1k", settings=SETTINGS)).fit(rows).transform(rows)
    assert filled["income"].null_count() == 0
    with pytest.raises(RecipeError, match="data frames"):
        gan.fit(np.zeros((10, 2)))


def test_an_export_draws_any_number_of_rows(run: gandem.Run, tmp_path: Path) -> None:
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library)
    assert gandem.export_onnx(run, tmp_path / "x.onnx")["max_difference"] < 1e-4


def test_rows_are_not_pictures(run: gandem.Run, tmp_path: Path) -> None:
    from gandem.uses.sample import write_samples

    with pytest.raises(GandemError, match="csv"):
        write_samples(run, tmp_path / "folder", count=3)
    write_samples(run, tmp_path / "rows.csv", count=3, where=["age<20"])
    assert (pl.read_csv(tmp_path / "rows.csv")["age"] < 20).all()


def test_scores_follow_how_probable_rows_are(tmp_path: Path) -> None:
    """Three independent normal numbers: within a bin, too, and in the tails; and categories that share a token."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2000, 3))
    names = np.array([f"n{place}" for place in range(400)])
    drawn = np.minimum(rng.geometric(0.01, 2000) - 1, 399)
    frame = pl.DataFrame({f"x{at}": values[:, at] for at in range(3)} | {"name": names[drawn]})
    run = gandem.train(frame, tmp_path / "run", budget="6k", settings=SETTINGS | {"data.columns.name": "category"})
    asked = rng.normal(size=(500, 3)).clip(values.min(0), values.max(0))
    scores = gandem.score(run, pl.DataFrame({f"x{at}": asked[:, at] for at in range(3)} | {"name": names[[0] * 500]}))
    ranks = [np.argsort(np.argsort(each)) for each in (-(asked**2).sum(1), scores["log_likelihood"].to_numpy())]
    assert np.corrcoef(*ranks)[0, 1] > 0.6  # 0.75; by tokens and residuals alone it was 0
    rarest = names[np.flatnonzero(np.bincount(drawn) == 1)[0]]
    often, once = (
        gandem.score(run, pl.DataFrame({"x0": [0.0], "x1": [0.0], "x2": [0.0], "name": [name]}))["log_likelihood"][0]
        for name in (names[0], rarest)
    )
    assert once < often - 1


def test_a_copy_of_an_estimator_lives_on_without_it() -> None:
    gan = TableGAN(budget="1k", settings=SETTINGS).fit(people(300))
    copied, made = pickle.loads(pickle.dumps(gan)), gan.sample(5)
    del gan
    gc.collect()
    assert copied.sample(5).equals(made) and copied.n_features_in_ == made.width


def test_parts_of_a_scaled_sum_are_filled_as_they_are_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kilos = np.round(rng.normal(70, 15, 800), 3)
    frame = pl.DataFrame({"kg": kilos, "g": np.rint(kilos * 1000).astype(np.int64), "x": rng.normal(size=800)})
    run = gandem.train(frame, tmp_path / "run", budget="1k", settings=SETTINGS)
    filled = gandem.impute(run, frame.head(20).with_columns(kg=pl.lit(None, dtype=pl.Float64)))
    assert filled["kg"].to_list() == kilos[:20].tolist()


def test_dates_go_by_the_clock_of_their_zone(tmp_path: Path) -> None:
    """Midnight in Berlin, and days as people count them in New York."""
    days = pl.datetime_range(pl.datetime(2023, 1, 1), pl.datetime(2024, 12, 1), "1d", eager=True)
    frame = pl.DataFrame({"day": days.dt.replace_time_zone("Europe/Berlin"), "x": np.arange(len(days)) % 7})
    run = gandem.train(frame, tmp_path / "run", budget="1k", settings=SETTINGS)
    made = run.sample(300, ["day>=2023-05-31", "day<2023-06-02"])["day"]
    assert made.dtype == frame["day"].dtype and set(made.dt.hour()) == {0}
    assert set(made.dt.date().cast(pl.String)) <= {"2023-05-31", "2023-06-01"}
    gap = frame.head(50).with_columns(x=pl.lit(None, dtype=pl.Int64))
    assert gandem.impute(run, gap)["day"].equals(gap["day"])


def test_amounts_with_commas_among_marks_stay_what_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    amounts = [f"{value:,}" for value in rng.integers(1_000, 90_000, 600).tolist()]
    amounts[::20] = ["unknown"] * 30
    rows = "\n".join(f'"{amount}",{place % 9}' for place, amount in enumerate(amounts))
    (tmp_path / "paid.csv").write_text(f"amount,x\n{rows}\n")
    run = gandem.train(tmp_path / "paid.csv", tmp_path / "run", budget="1k", settings=SETTINGS)
    (tmp_path / "more.csv").write_text('amount,x\n"12,345",1\nunknown,2\n"54,321",\n')
    filled = gandem.impute(run, tmp_path / "more.csv")["amount"].cast(pl.Float64).to_list()
    assert [filled[0], filled[2]] == [12345, 54321] and filled[1] is not None
