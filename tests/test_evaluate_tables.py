"""Rows of a table to a verdict, a page and facts: fresh rows pass, independent columns and copies do not."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gandem
from gandem.cli import main
from gandem.domains.tables.drawings import forest, heat, histogram
from gandem.judge.figure import Figure
from gandem.judge.tables.rows import independent
from gandem.judge.verdict import ORDER, RULES
from tables_made import COLUMNS, table


def save(path: Path, rows: np.ndarray) -> Path:
    """Write rows as a person has them: categories as text, missing values empty."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(COLUMNS.names)
        for row in rows:
            texts = [
                COLUMNS.label(i, int(v)) if COLUMNS.categorical[i] else f"{v:g}"
                for i, v in enumerate(np.nan_to_num(row))
            ]
            out.writerow(["" if np.isnan(value) else text for value, text in zip(row, texts, strict=True)])
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    save(folder / "train.csv", table(1, 500))
    save(folder / "test.csv", table(2, 500))
    save(folder / "fresh.csv", table(3, 500))
    save(folder / "floor.csv", independent(table(1, 500), 7))
    save(folder / "copies.csv", table(1, 500))
    return folder


def judged(data: Path, made: str, **more: Any) -> dict[str, Any]:
    return gandem.evaluate(data / made, data / "train.csv", held_out=data / "test.csv", **more)


@pytest.fixture(scope="module")
def fresh(data: Path) -> dict[str, Any]:
    return judged(data, "fresh.csv", target="bought", out=data / "page.html")


def test_fresh_rows_are_good_and_everything_is_said(fresh: dict[str, Any]) -> None:
    assert fresh["verdict"]["verdict"] in ("excellent", "usable"), fresh["verdict"]
    assert fresh["verdict"]["because"]["global utility"]["low"] > 0.5
    found = fresh["examination"]["table"]
    assert fresh["verdict"]["because"]["two-sample AUC"] == found["rows"]["generated"]["two_sample"]["auc"]
    assert found["privacy"]["works"] and found["privacy"]["generated"]["highest"]["low"] <= 0.5
    assert set(found["utility"]["figures"]) == {"generated", "real", "independent columns"}
    json.dumps(fresh, allow_nan=False)


def test_the_page_has_every_part_and_stands_alone(fresh: dict[str, Any], data: Path) -> None:
    page = (data / "page.html").read_text()
    for part in (
        "Can it be told",
        "Column by column",
        "Pairs of columns",
        "Is it useful",
        "a study",
        "twice",
        "attacks",
    ):
        assert part in page, part
    assert page.count('class="histogram"') == len(COLUMNS) and 'class="heat"' in page and 'class="forest"' in page
    assert not re.search(r"(src|href)=.(https?:)?//", page) and "<script" not in page and "$" not in page
    told = re.sub(r"base64,[^\"]*", "", page).lower()
    assert "nan" not in re.sub(r"[a-z]nan|nan[a-z]", "", told)
    assert "anonym" not in told and not re.search(r"\bsafe\b", told)


def test_independent_columns_are_never_usable(data: Path) -> None:
    facts = judged(data, "floor.csv")
    assert ORDER.index(facts["verdict"]["verdict"]) >= ORDER.index("still improving"), facts["verdict"]
    assert facts["examination"]["table"]["privacy"]["generated"]["highest"]["low"] <= 0.5


def test_copies_are_called_out(data: Path) -> None:
    assert judged(data, "copies.csv")["verdict"]["verdict"] == "copies its data"


def test_without_held_out_rows_no_attack_is_claimed(data: Path) -> None:
    facts = gandem.evaluate(data / "fresh.csv", data / "train.csv", count=150)
    assert facts["examination"]["table"]["privacy"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fresh.csv", "--real", "train.csv", "--target", "bougt"], "Did you mean 'bought'?"),
        (["fresh.csv", "--real", "train.csv", "--held-out", "none.csv"], "none.csv"),
        (["fresh.csv", "--held-out", "test.csv"], "--real"),
    ],
)
def test_bad_requests_are_refused_in_one_line(
    arguments: list[str], said: str, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(data)
    assert main(["evaluate", *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]


GOOD = {
    "Frechet share beyond real": 0.01,
    "two-sample AUC": 0.52,
    "spread": 1.0,
    "coverage": 0.95,
    "density": 1.0,
    "missing cells": 0.0,
    "different samples": 1e6,
    "distance to the data": 1.0,
    "copied share": 0.01,
    "copied share of held-out data": 0.01,
}


@pytest.mark.parametrize(
    ("evidence", "verdict"),
    [
        ({}, "excellent"),
        ({"global utility": 0.9, "membership attack": 0.55}, "excellent"),
        ({"two-sample AUC": 0.65, "global utility": 0.7, "Frechet share beyond real": 0.2}, "usable"),
        ({"two-sample AUC": 0.75, "global utility": 0.7, "Frechet share beyond real": 0.2}, "too little training"),
        ({"global utility": 0.1}, "too little training"),
        ({"two-sample AUC": 0.99, "global utility": 0.9}, "too little training"),
        ({"two-sample AUC": 0.99, "global utility": 0.1}, "too little training"),
        ({"global utility": 0.9, "membership attack": 0.8}, "copies its data"),
    ],
)
def test_what_a_domain_brings_decides(evidence: dict[str, float], verdict: str) -> None:
    numbers = {name: Figure(value, value, value, 1000) for name, value in (GOOD | evidence).items()}
    assert next(rule for rule in RULES if rule.holds(numbers)).verdict == verdict


@pytest.mark.parametrize("categorical", [True, False])
def test_drawings_of_hard_columns(categorical: bool) -> None:
    """All missing, constant, and categories that real rows never have."""
    for made, real in (([np.nan] * 3, [1, 2, 3]), ([1, 1, 1], [1, 1, 1]), ([7, 8, 9], [1, np.nan, 2]), ([1], [np.nan])):
        drawn = histogram(np.array(made, float), np.array(real, float), categorical)
        assert "nan" not in drawn and drawn.startswith("<svg")


def test_drawings_escape_names() -> None:
    figure = Figure(0.5, 0.4, 0.6, 9)
    assert "<b>" not in forest([("<b>", figure, figure)]) + heat({(0, 1): 0.5}, {(0, 1): 1.0}, ["<b>", "x"])


def test_a_column_that_is_almost_empty_and_a_single_one_are_judged(tmp_path: Path) -> None:
    """Trees of scikit-learn fail on columns that hold nothing, and on none; seeds may be larger than theirs."""
    rng = np.random.default_rng(0)
    value, lab = rng.normal(size=700), np.full(700, np.nan)
    lab[rng.permutation(700)[:5]] = 1.5
    rows = [
        f"{a:.3f},{'' if np.isnan(b) else b},{'xy'[n % 2]}" for n, (a, b) in enumerate(zip(value, lab, strict=True))
    ]
    for name, header, lines in (
        ("rare", "a,lab,kind", rows),
        ("one", "a", [row.split(",")[0] for row in rows]),
    ):
        for part, chosen in (("real", lines[:450]), ("made", lines[450:])):
            (tmp_path / f"{name}-{part}.csv").write_text("\n".join([header, *chosen]) + "\n")
        facts = gandem.evaluate(tmp_path / f"{name}-made.csv", tmp_path / f"{name}-real.csv", seed=2**40)
        assert facts["verdict"]["verdict"] in ORDER
        assert ("global utility" in facts["verdict"]["because"]) <= (name == "rare")
