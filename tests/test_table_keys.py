"""Keys of several columns: found where they are no chance, kept by whatever is made, and counted by the judge."""

from __future__ import annotations

import copy
import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import gandem
from gandem import latents
from gandem.cli import main
from gandem.conditions import conditions
from gandem.domains.domain import Judged
from gandem.domains.given import Frame
from gandem.domains.tables import TABLES
from gandem.domains.tables.asking import _different
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.completing import imputed, scored
from gandem.domains.tables.data import TableData
from gandem.domains.tables.examination import broken_rules, examined
from gandem.domains.tables.keys import Key, different, hashed
from gandem.domains.tables.networks import TableGenerator
from gandem.domains.tables.networks import latents as latents_of
from gandem.domains.tables.page import _rules
from gandem.errors import RecipeError
from gandem.recipe import DataOptions

KEY = ["store", "date"]


def sales(stores: int = 12, days: int = 200, rows: int = 2000, seed: int = 0) -> pl.DataFrame:
    """Some stores on some days, never twice; the region follows from the store."""
    rng = np.random.default_rng(seed)
    cells = rng.choice(stores * days, rows, replace=False)
    return pl.DataFrame(
        {
            "store": [f"store {cell // days}" for cell in cells],
            "region": ["north" if cell // days % 3 else "south" for cell in cells],
            "date": [dt.date(2024, 1, 1) + dt.timedelta(int(cell % days)) for cell in cells],
            "sold": rng.integers(0, 50, rows),
        }
    )


def read(frame: pl.DataFrame, **options: Any) -> TableData:
    return TABLES.read(Frame(frame), DataOptions(**options))


@pytest.fixture(scope="module")
def data() -> TableData:
    return read(sales())


@pytest.fixture(scope="module")
def generator(data: TableData) -> TableGenerator:
    """One that knows how often values are, and nothing else."""
    return TableGenerator(data.spec, 16).eval()


def made(data: TableData, generator: TableGenerator, count: int, where: Any = None, seed: int = 0) -> pl.DataFrame:
    told = TABLES.told(data.codec, lambda: generator, conditions(where), count, seed)
    noise = latents.draw(count, latents_of(data.spec), seed)
    return data.codec.given(TABLES.made(data.codec, generator, noise, told))


def test_a_key_is_found_and_said(data: TableData) -> None:
    assert [key.columns for key in data.codec.keys] == [("store", "date")]
    assert "no two rows agree in store and date" in "\n".join(TABLES.lines(data.report))
    assert read(sales(), rules="none").codec.keys == ()
    assert data.split(0.2)[0].codec.keys == data.codec.keys
    doubled = pl.concat([sales(), sales().head(1)])
    assert read(doubled).codec.keys == ()
    gap = sales().with_columns(store=pl.when(pl.int_range(2000) == 7).then(None).otherwise(pl.col("store")))
    assert read(gap).codec.keys == ()


def test_triples_are_found_among_columns_of_no_other_key() -> None:
    rng = np.random.default_rng(0)
    cells = rng.choice(20 * 30 * 8, 3000, replace=False)
    frame = pl.DataFrame({"plant": cells // 240, "week": cells // 8 % 30, "shift": cells % 8, "x": rng.random(3000)})
    assert [key.columns for key in read(frame).codec.keys] == [("plant", "week", "shift")]
    assert str(read(frame).codec.keys[0]) == "no two rows agree in plant, week and shift"
    with_pair = frame.with_columns(**{name: sales(20, 300, 3000)[name] for name in KEY})
    assert {key.columns for key in read(with_pair).codec.keys} == {("plant", "week", "shift"), ("store", "date")}


@pytest.mark.parametrize("seed", range(8))
def test_chance_makes_no_keys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {f"n{size}": rng.integers(0, size, 1500) for size in (3, 30, 200, 700, 5000)}
    columns |= {"name": rng.choice([f"k{n}" for n in range(400)], 1500), "at": rng.integers(10**6, size=1500) / 100}
    nearly = sales(rows=1500, seed=seed).select(KEY)  # four rows are there twice: with a third column no key either
    nearly = pl.concat([nearly.head(1496), nearly.head(4)])
    assert read(pl.DataFrame({**columns, **{name: nearly[name] for name in KEY}})).codec.keys == ()


def test_no_two_samples_agree(data: TableData, generator: TableGenerator) -> None:
    rows = made(data, generator, 1500)
    assert rows.select(KEY).n_unique() == 1500
    assert rows.equals(made(data, generator, 1500)) and not rows.equals(made(data, generator, 1500, seed=1))
    assert rows.head(300).equals(made(data, generator, 300))  # the first ones are the same for every count
    again = TableCodec.from_dict(json.loads(json.dumps(data.codec.to_dict())))
    assert again.keys == data.codec.keys
    older = {name: value for name, value in data.codec.to_dict().items() if name != "keys"}
    assert TableCodec.from_dict(older).keys == ()


def test_all_keys_that_there_are_can_be_had_and_one_more_cannot() -> None:
    data = read(sales(8, 60, 480))
    generator = TableGenerator(data.spec, 16).eval()
    assert made(data, generator, 480).select(KEY).n_unique() == 480
    with pytest.raises(RecipeError, match="no two rows agree in store and date, and only 480 different ones"):
        made(data, generator, 481)


@pytest.mark.parametrize(
    ("where", "meets", "most"),
    [
        (["store=store 3"], pl.col("store") == "store 3", 200),
        (["date>=2024-06-01", "date<2024-06-11"], pl.col("date").dt.month() == 6, 120),
        (["store=store 3|store 4", "date<2024-01-06"], pl.col("date").dt.day() < 6, 10),
        (["region=south", "sold>=20"], (pl.col("region") == "south") & (pl.col("sold") >= 20), 800),
    ],
)
def test_keys_are_kept_on_conditions(
    where: list[str], meets: pl.Expr, most: int, data: TableData, generator: TableGenerator
) -> None:
    rows = made(data, generator, most * 3 // 4, where)
    assert rows.select(KEY).n_unique() == len(rows) == rows.filter(meets).height == most * 3 // 4
    with pytest.raises(RecipeError, match=r"--where .*: no two rows agree .* only \d+ different ones were found; ask"):
        made(data, generator, most + 1, where)


def test_each_is_drawn_by_its_probability_among_those_that_are_left(data: TableData) -> None:
    generator = TableGenerator(data.spec, 16).eval()
    at = data.codec.names.index("store")
    with torch.no_grad():
        generator.heads[at].bias[0] += 2
    often = data.codec.columns[at].categories[0]
    free = made(data, generator, 100)["store"] == often
    asked = made(data, generator, 100, ["sold>=0"])["store"] == often
    assert 0.25 < free.mean() < 0.55 and 0.25 < asked.mean() < 0.55  # exp(2) / (exp(2) + 11) = 0.4


def test_what_meets_conditions_more_likely_comes_more_often() -> None:
    """Half of the rows that are drawn, of three times the weight: three of four that are kept."""
    rng, drawn = np.random.default_rng(0), []

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor, dict[str, np.ndarray]]:
        heavy, number = rng.integers(0, 2, count).astype(float), np.arange(count) + float(sum(drawn))
        drawn.append(count)
        cells = torch.from_numpy(np.stack([heavy, number], 1))
        return cells, torch.from_numpy(1 + 2 * heavy), {"heavy": heavy, "number": number}

    codec = TableCodec([], [], [], [], [Key(("heavy", "number"))])
    order = torch.Generator().manual_seed(0)
    cells, chance = _different(codec, draw, 1000, order, conditions(["heavy>=0"]), np.inf)
    assert cells[:, 0].mean() == pytest.approx(0.75, abs=0.05) and chance == pytest.approx(2, abs=0.05)


def test_several_keys_are_kept_at_once() -> None:
    """A patient comes once a day, and has a first, a second, ... visit."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(150), rng.integers(5, 15, 150))
    visit = np.concatenate([np.arange(count) for count in np.unique(patient, return_counts=True)[1]])
    day = np.concatenate([np.sort(rng.choice(60, count, False)) for count in np.unique(patient, return_counts=True)[1]])
    frame = pl.DataFrame({"patient": [f"p{n}" for n in patient], "visit": visit, "day": day})
    data = read(frame.sample(fraction=1, shuffle=True, seed=0))
    assert {key.columns for key in data.codec.keys} == {("patient", "visit"), ("patient", "day")}
    rows = made(data, TableGenerator(data.spec, 16).eval(), 1000)
    assert rows.select("patient", "visit").n_unique() == rows.select("patient", "day").n_unique() == 1000


def test_rows_that_share_nothing_with_those_before_them_are_kept() -> None:
    hashes = np.array([[1, 5], [1, 6], [2, 6], [3, 6], [2, 7], [4, 5], [4, 8]], np.uint64)
    assert different(hashes).tolist() == [True, False, True, False, False, False, True]
    values = np.array([0.0, -0.0, 1.0, 2.0])
    first, second, *_ = hashed([values, values])
    assert first == second and len(np.unique(hashed([np.arange(1e5), np.arange(1e5) // 2]))) == 100_000
    assert hashed([values])[2] != hashed([values, values])[2]


def test_what_is_filled_repeats_no_key(data: TableData, generator: TableGenerator) -> None:
    frame = sales()
    rows = np.random.default_rng(1).random(2000) < 0.1
    holes = frame.with_columns(date=pl.when(pl.Series(rows)).then(None).otherwise(pl.col("date")))
    filled = imputed(data.codec, generator, Frame(holes), 0)
    assert filled["date"].null_count() == 0 and filled.select(KEY).n_unique() == 2000
    assert filled.filter(~pl.Series(rows)).equals(frame.filter(~pl.Series(rows)))
    assert not filled.equals(imputed(data.codec, generator, Frame(holes), 1))


def test_where_too_few_values_are_free_gaps_stay(data: TableData, generator: TableGenerator) -> None:
    """One store has more rows without a date than there are dates."""
    days = sales()["date"].n_unique()
    holes = pl.concat([sales().head(1)] * (days + 50)).with_columns(date=pl.lit(None, sales()["date"].dtype))
    filled = imputed(data.codec, generator, Frame(holes), 0)
    there = filled.drop_nulls("date")
    assert 50 <= filled["date"].null_count() < 150 and there.select(KEY).n_unique() == len(there)
    assert filled.drop("date").equals(holes.drop("date"))


def test_the_command_counts_the_gaps_that_stay(
    tmp_path: Path, data: TableData, generator: TableGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    sales(rows=400).write_csv(tmp_path / "sales.csv")
    gandem.train(tmp_path / "sales.csv", tmp_path / "run", budget="256", settings={"network.width": 16})
    holes = pl.concat([sales().head(1)] * 220).with_columns(date=pl.lit(None, pl.Date))
    holes.write_csv(tmp_path / "holes.csv")
    line = f"impute {tmp_path}/run {tmp_path}/holes.csv --out {tmp_path}/full.csv"
    assert main(line.split()) == 0 and " gap(s) are left" in capsys.readouterr().out
    assert main([*line.split(), "--force", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["gaps_left"] == pl.read_csv(tmp_path / "full.csv")["date"].null_count() >= 20


def test_a_gap_of_another_key_is_filled_all_the_same(data: TableData, generator: TableGenerator) -> None:
    """Twenty rows of one day: there are stores for twelve, and numbers for all."""
    codec = copy.copy(data.codec)
    codec.keys = Key(("store", "date")), Key(("date", "sold"))
    holes = pl.concat([sales().head(1)] * 20).with_columns(
        store=pl.lit(None, pl.String), region=pl.lit(None, pl.String), sold=pl.lit(None, pl.Int64)
    )
    filled = imputed(codec, generator, Frame(holes), 0)
    stores, sold = (filled[name].drop_nulls() for name in ("store", "sold"))
    assert stores.n_unique() == len(stores) <= 12
    assert sold.n_unique() == len(sold) >= 16  # but where the last draw repeated one of them as well


def test_names_nobody_has_seen_are_parts_of_keys(data: TableData, generator: TableGenerator) -> None:
    days = sales()["date"].n_unique()
    holes = pl.concat([sales().head(1)] * (days + 20)).with_columns(
        store=pl.lit("a new one"), date=pl.lit(None, sales()["date"].dtype)
    )
    filled = imputed(data.codec, generator, Frame(holes), 0)
    there = filled.drop_nulls("date")
    assert len(there) > days / 2 and there.select(KEY).n_unique() == len(there)
    assert set(filled["store"]) == {"a new one"}


def test_rows_that_repeat_a_key_are_counted(data: TableData, generator: TableGenerator) -> None:
    wrong = pl.concat([sales().head(50), sales().head(3), sales().head(3).with_columns(store=pl.lit(None, pl.String))])
    broken = TABLES.matching(Frame(wrong), data.codec, DataOptions()).report["broken"]
    assert broken["no two rows agree in store and date"] == 6
    scores = scored(data.codec, generator, Frame(wrong))
    assert scores["breaks_rules"].to_list() == [1] * 3 + [0] * 47 + [1] * 3 + [0] * 3


def test_the_judge_counts_repeated_keys_of_samples_and_of_real_rows(data: TableData) -> None:
    real = data.samples(torch.arange(100))[0]
    judged = Judged(data.codec, np.concatenate([real, real[:5]]), real, real, {}, lambda count: real)
    rule = "no two rows agree in store and date"
    broken = broken_rules(judged)
    assert broken["generated"][rule] == 10 and broken["real"][rule] == 0
    section = _rules(judged, broken)
    assert section is not None and "10 of 105" in section.body and "0 of 100" in section.body


def test_a_target_that_is_worked_out_is_refused_in_one_line(data: TableData) -> None:
    rows = data.samples(torch.arange(100))[0]
    judged = Judged(data.codec, rows, rows, rows, {}, lambda count: rows)
    with pytest.raises(RecipeError, match=r"--target region: is worked out .* take store, or train with --set data.ru"):
        examined(judged, "region", 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gandem.Run:
    settings = {"network.width": 16, "training.batch": 64, "referee.every": 0, "data.held_out": 0.0}
    return gandem.train(sales(), tmp_path_factory.mktemp("keys") / "run", budget="640", seed=0, settings=settings)


def test_a_run_keeps_its_keys_and_so_does_its_file(
    run: gandem.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.csv"
    assert main(["sample", str(run.path), "--count", "1000", "--out", str(out)]) == 0
    assert pl.read_csv(out).select(KEY).n_unique() == 1000 and "%" not in capsys.readouterr().out
    assert main(["sample", str(run.path), "--count", "2401", "--out", str(out), "--force"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--count 2401: no two rows agree" in said and pl.read_csv(out).height == 1000
    assert main(["export", str(run.path), "--out", str(tmp_path / "sales.safetensors")]) == 0
    model = gandem.open_run(tmp_path / "sales.safetensors")
    assert model.sample(900).equals(run.sample(900)) and model.sample(900).select(KEY).n_unique() == 900


def test_more_rows_than_keys_are_judged_and_counted(run: gandem.Run) -> None:
    from gandem.uses.evaluate import _told

    assert _told(run, 100, 0).inputs is not None
    assert _told(run, 5000, 0).inputs is None
